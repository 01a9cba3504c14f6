// What a Fetch plans to read of real logs.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAnswerDue, type JudgedPartition, planReads } from "../../src/kafka/fetch-read.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { BrokerWorld, batchOf } from "./broker-world.ts";

let world: BrokerWorld;
let logs: PartitionLog[];
let batchBytes: number;

beforeAll(async () => {
  world = await BrokerWorld.start();
  const client = await world.connect();
  const topicId = await client.createTopic("log", 4);
  const batch = batchOf(["x".repeat(1_000)]);
  batchBytes = batch.length;
  // Partition 0 stays empty, 1 to 3 have three flushes each.
  for (let partition = 1; partition < 4; partition++) {
    for (let index = 0; index < 3; index++) await client.produce({ topic: "log", partition }, batch);
  }
  logs = [0, 1, 2, 3].map((partition) => world.broker.brokerLog.partition(topicId, partition));
});
afterAll(() => world.stop());

function judged(partition: number, fetchOffset = 0, partitionBytesMax = 1 << 20): JudgedPartition {
  const target = { topic: "log", topicId: "", partition, fetchOffset, partitionBytesMax };
  const request = { ...target, currentLeaderEpoch: -1, lastFetchedEpoch: -1 };
  return { request, topic: undefined, log: logs[partition], error: undefined, diverging: undefined };
}

describe("a fetch plan", () => {
  it("gives partitions in their order what is there, until the bytes are used up", () => {
    const plan = planReads([judged(1), judged(2), judged(3)], batchBytes * 4);
    expect(plan.map(({ maxBytes }) => maxBytes)).toEqual([batchBytes * 3, batchBytes, 0]);
    expect(plan.map(({ atLeastOneBatch }) => atLeastOneBatch)).toEqual([true, false, false]);
  });

  it("keeps each partition to its own limit", () => {
    const plan = planReads([judged(1, 0, batchBytes), judged(2, 0, 10), judged(3)], 1 << 20);
    expect(plan.map(({ maxBytes }) => maxBytes)).toEqual([batchBytes, 10, batchBytes * 3]);
  });

  it("gives the whole batch to the first partition that has records, not to an empty one before it", () => {
    const plan = planReads([judged(0), judged(1), judged(2)], 0);
    expect(plan.map(({ atLeastOneBatch }) => atLeastOneBatch)).toEqual([false, true, false]);
    expect(plan.map(({ maxBytes }) => maxBytes > 0)).toEqual([false, true, false]);
  });

  it("reads nothing of partitions that are refused or diverge", () => {
    const refused = { ...judged(1), log: undefined };
    const diverging = { ...judged(2), diverging: { epoch: 1, endOffset: 0 } };
    expect(planReads([refused, diverging, judged(3)], 1 << 20).map(({ maxBytes }) => maxBytes)).toEqual([
      0,
      0,
      batchBytes * 3,
    ]);
  });

  it("is due with enough bytes over all partitions, and with anything to report", () => {
    const both = [judged(1, 2), judged(2, 2)];
    expect(isAnswerDue(both, 2 * batchBytes)).toBe(true);
    expect(isAnswerDue(both, 2 * batchBytes + 1)).toBe(false);
    expect(isAnswerDue([judged(0)], 1)).toBe(false);
    expect(isAnswerDue([judged(0)], 0)).toBe(true);
    expect(isAnswerDue([judged(0), { ...judged(1), log: undefined }], 1 << 20)).toBe(true);
  });
});
