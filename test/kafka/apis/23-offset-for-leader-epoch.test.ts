// OffsetForLeaderEpoch as consumers see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createOffsetForLeaderEpochRequest,
  createOffsetForLeaderPartition,
  createOffsetForLeaderTopic,
} from "../../../generated/testing/offset-for-leader-epoch-request.ts";
import { apis, BrokerWorld, batchOf, type TestClient, versionsOf } from "../broker-world.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
  await client.createTopic("log");
  await client.produce({ topic: "log" }, batchOf(["a", "b", "c"]));
});
afterAll(() => world.stop());

async function ask(
  version: number,
  leaderEpoch: number,
  where: { topic?: string; partition?: number; current?: number } = {},
) {
  const { topic = "log", partition = 0, current = -1 } = where;
  const epochs = version >= 2 ? { leaderEpoch, currentLeaderEpoch: current } : { leaderEpoch };
  const partitions = [createOffsetForLeaderPartition({ partition, ...epochs })];
  const request = createOffsetForLeaderEpochRequest({
    ...(version >= 3 ? { replicaId: -1 } : {}),
    topics: [createOffsetForLeaderTopic({ topic, partitions })],
  });
  const answer = await client.call(apis.offsetForLeaderEpoch, version, request);
  return answer.topics[0]?.partitions[0];
}

describe("OffsetForLeaderEpoch", () => {
  it.each(versionsOf(23))("version %i answers the end for the present epoch", async (version) => {
    expect(await ask(version, 1)).toMatchObject({ errorCode: 0, endOffset: 3, leaderEpoch: version >= 1 ? 1 : -1 });
  });

  it.each(versionsOf(23))("version %i answers -1 for an epoch of the future", async (version) => {
    expect(await ask(version, 9)).toMatchObject({ errorCode: 0, endOffset: -1, leaderEpoch: -1 });
  });

  it.each(versionsOf(23))("version %i answers unknown topics and partitions with 3", async (version) => {
    expect((await ask(version, 1, { topic: "nowhere" }))?.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    expect((await ask(version, 1, { partition: 7 }))?.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  });

  it.each(versionsOf(23, 2))("version %i compares the client's leader epoch with ours", async (version) => {
    expect((await ask(version, 1, { current: 1 }))?.errorCode).toBe(0);
    expect((await ask(version, 1, { current: 0 }))?.errorCode).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    expect((await ask(version, 1, { current: 2 }))?.errorCode).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH);
  });
});
