// DeleteTopics as admin clients see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { createDeleteTopicState, createDeleteTopicsRequest } from "../../../generated/testing/delete-topics-request.ts";
import { ZERO_TOPIC_ID } from "../../../src/topic-partition.ts";
import { apis, BrokerWorld, batchOf, type TestClient, versionsOf } from "../broker-world.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
});
afterAll(() => world.stop());

type Target = { name: string } | { topicId: string } | { name: string; topicId: string } | { name: null };

async function remove(version: number, targets: readonly Target[]) {
  const states = targets.map((target) => createDeleteTopicState({ name: null, topicId: ZERO_TOPIC_ID, ...target }));
  const names = targets.flatMap((target) => ("name" in target && target.name !== null ? [target.name] : []));
  const request = createDeleteTopicsRequest({
    timeoutMs: 10_000,
    ...(version >= 6 ? { topics: states } : { topicNames: names }),
  });
  return (await client.call(apis.deleteTopics, version, request)).responses;
}

describe("DeleteTopics", () => {
  it.each(versionsOf(20))(
    "version %i removes a topic; one of the same name has another id and starts at 0",
    async (version) => {
      const name = `topic-${version}`;
      const firstId = await client.createTopic(name);
      await client.produce({ topic: name }, batchOf(["a", "b"]));
      expect(await remove(version, [{ name }])).toMatchObject([{ errorCode: 0 }]);
      const gone = await client.produce({ topic: name }, batchOf(["c"]));
      expect(gone.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
      const secondId = await client.createTopic(name);
      expect(secondId).not.toBe(firstId);
      expect((await client.produce({ topic: name }, batchOf(["d"]))).baseOffset).toBe(0);
    },
  );

  it.each(versionsOf(20))("version %i refuses unknown and internal topics, each for itself", async (version) => {
    const name = `fine-${version}`;
    await client.createTopic(name);
    const answers = await remove(version, [{ name: "nowhere" }, { name }]);
    expect(answers.map(({ errorCode }) => errorCode)).toEqual([ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 0]);
    if (version >= 5) expect(answers[0]?.errorMessage).toContain("nowhere");
  });

  it.each(versionsOf(20))("version %i refuses a topic that is named twice", async (version) => {
    const name = `twice-${version}`;
    await client.createTopic(name);
    const answers = await remove(version, [{ name }, { name }]);
    expect(answers.map(({ errorCode }) => errorCode)).toEqual([42, 42]);
  });

  it("removes by id from version 6 on, and answers the name too", async () => {
    const topicId = await client.createTopic("by-id");
    expect(await remove(6, [{ topicId }])).toMatchObject([{ errorCode: 0, name: "by-id", topicId }]);
    expect(await remove(6, [{ topicId }])).toMatchObject([{ errorCode: ErrorCode.UNKNOWN_TOPIC_ID, topicId }]);
  });

  it("refuses both name and id, and neither", async () => {
    const topicId = await client.createTopic("both");
    const [both] = await remove(6, [{ name: "both", topicId }]);
    expect(both?.errorCode).toBe(ErrorCode.INVALID_REQUEST);
    const [neither] = await remove(6, [{ name: null }]);
    expect(neither?.errorCode).toBe(ErrorCode.INVALID_REQUEST);
  });
});
