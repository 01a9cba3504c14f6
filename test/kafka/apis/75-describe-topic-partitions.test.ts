// DescribeTopicPartitions as admin clients see it.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createCursor,
  createDescribeTopicPartitionsRequest,
  createTopicRequest,
} from "../../../generated/testing/describe-topic-partitions-request.ts";
import { apis, BrokerWorld, type TestClient } from "../broker-world.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start({ describePartitionsMax: 6 });
  client = await world.connect();
  await client.createTopic("b", 4);
  await client.createTopic("a", 2);
  await client.createTopic("c", 3);
});
afterAll(() => world.stop());

interface Options {
  limit?: number;
  cursor?: { topicName: string; partitionIndex: number } | null;
}

function ask(names: readonly string[], { limit = 2_000, cursor = null }: Options = {}) {
  const request = createDescribeTopicPartitionsRequest({
    topics: names.map((name) => createTopicRequest({ name })),
    responsePartitionLimit: limit,
    cursor: cursor && createCursor(cursor),
  });
  return client.call(apis.describeTopicPartitions, 0, request);
}

describe("DescribeTopicPartitions", () => {
  it("describes the named topics in the order of their names", async () => {
    const { topics, nextCursor } = await ask(["c", "a"]);
    expect(topics.map(({ name, partitions }) => [name, partitions.length])).toEqual([
      ["a", 2],
      ["c", 3],
    ]);
    expect(topics[0]?.partitions[1]).toMatchObject({ errorCode: 0, partitionIndex: 1, leaderId: 0, replicaNodes: [0] });
    expect(topics[0]?.topicAuthorizedOperations).toBeGreaterThan(0);
    expect(nextCursor).toBeNull();
  });

  it.each([1, 2, 3, 4, 5, 6, 100])("gives all topics in pages of %i, each partition once", async (limit) => {
    const seen: string[] = [];
    let cursor: Options["cursor"] = null;
    do {
      const answer = await ask([], { limit, cursor });
      const page = answer.topics.flatMap(({ name, partitions }) =>
        partitions.map((each) => `${name}-${each.partitionIndex}`),
      );
      expect(page.length).toBeLessThanOrEqual(Math.min(limit, 6));
      expect(page.length).toBeGreaterThan(0);
      seen.push(...page);
      cursor = answer.nextCursor;
    } while (cursor);
    expect(seen).toEqual(["a-0", "a-1", "b-0", "b-1", "b-2", "b-3", "c-0", "c-1", "c-2"]);
  });

  it("answers unknown and impossible names for themselves and creates nothing", async () => {
    const { topics } = await ask(["nowhere", "a b"]);
    const codes = Object.fromEntries(topics.map(({ name, errorCode }) => [name, errorCode]));
    expect(codes).toEqual({ nowhere: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "a b": ErrorCode.INVALID_TOPIC_EXCEPTION });
    expect((await ask([])).topics.map(({ name }) => name)).not.toContain("nowhere");
  });
});
