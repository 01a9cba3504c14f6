// DeleteRecords as admin clients see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createDeleteRecordsPartition,
  createDeleteRecordsRequest,
  createDeleteRecordsTopic,
  encodeDeleteRecordsRequest,
} from "../../../generated/testing/delete-records-request.ts";
import { decodeDeleteRecordsResponse } from "../../../generated/testing/delete-records-response.ts";
import {
  createFetchPartition,
  createFetchRequest,
  createFetchTopic,
} from "../../../generated/testing/fetch-request.ts";
import {
  createListOffsetsPartition,
  createListOffsetsRequest,
  createListOffsetsTopic,
} from "../../../generated/testing/list-offsets-request.ts";
import { MemoryObjectStore } from "../../../src/object-store/memory.ts";
import type { PutOptions } from "../../../src/object-store/object-store.ts";
import { encodeBatch } from "../../../src/records/encode-batch.ts";
import { apis, BrokerWorld, batchOf, type TestClient, valuesOf, versionsOf } from "../broker-world.ts";

const deleteRecords = { apiKey: 21, encode: encodeDeleteRecordsRequest, decode: decodeDeleteRecordsResponse };

/** A store whose puts of one WAL object wait until they are let through. */
class StuckStore extends MemoryObjectStore {
  #release: (() => void) | undefined;
  #stuck: Promise<void> | undefined;

  stick(): void {
    this.#stuck = new Promise((resolve) => (this.#release = resolve));
  }

  release(): void {
    this.#stuck = undefined;
    this.#release?.();
  }

  override async put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    if (key.includes("/wal/")) await this.#stuck;
    return super.put(key, parts, options);
  }
}

const store = new StuckStore();
let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start({}, { store });
  client = await world.connect();
});
afterAll(() => world.stop());

type Asked = { topic: string; partition?: number; offset: number };

function requestOf(asked: readonly Asked[], timeoutMs = 30_000) {
  const topics = asked.map(({ topic, partition = 0, offset }) =>
    createDeleteRecordsTopic({
      name: topic,
      partitions: [createDeleteRecordsPartition({ partitionIndex: partition, offset })],
    }),
  );
  return createDeleteRecordsRequest({ topics, timeoutMs });
}

async function remove(version: number, asked: readonly Asked[], timeoutMs?: number) {
  const answer = await client.call(deleteRecords, version, requestOf(asked, timeoutMs));
  return answer.topics.map(({ name, partitions: [partition] }) => ({
    topic: name,
    code: partition?.errorCode,
    low: partition?.lowWatermark,
  }));
}

async function earliest(topic: string): Promise<number | undefined> {
  const partitions = [createListOffsetsPartition({ partitionIndex: 0, timestamp: -2n })];
  const request = createListOffsetsRequest({
    replicaId: -1,
    topics: [createListOffsetsTopic({ name: topic, partitions })],
  });
  return (await client.call(apis.listOffsets, 5, request)).topics[0]?.partitions[0]?.offset;
}

async function fetch(topic: string, fetchOffset: number) {
  const partitions = [createFetchPartition({ partition: 0, fetchOffset, partitionMaxBytes: 1_000_000 })];
  const request = createFetchRequest({
    maxWaitMs: 0,
    minBytes: 0,
    topics: [createFetchTopic({ topic, partitions })],
  });
  const [partition] = (await client.call(apis.fetch, 11, request)).responses[0]?.partitions ?? [];
  return { code: partition?.errorCode, values: valuesOf(partition?.records ?? null) };
}

describe("DeleteRecords", () => {
  it.each(versionsOf(21))(
    "version %i moves the log start: older offsets are out of range, younger ones read as before",
    async (version) => {
      const topic = `log-${version}`;
      await client.createTopic(topic);
      for (const value of ["a", "b", "c"]) await client.produce({ topic }, batchOf([value]));
      expect(await remove(version, [{ topic, offset: 2 }])).toEqual([{ topic, code: 0, low: 2 }]);
      expect(await earliest(topic)).toBe(2);
      expect((await fetch(topic, 1)).code).toBe(ErrorCode.OFFSET_OUT_OF_RANGE);
      expect(await fetch(topic, 2)).toEqual({ code: 0, values: ["2:c"] });
    },
  );

  it.each(versionsOf(21))("version %i takes -1 for the high watermark; the next record follows", async (version) => {
    const topic = `all-${version}`;
    await client.createTopic(topic);
    await client.produce({ topic }, batchOf(["a", "b", "c"]));
    expect(await remove(version, [{ topic, offset: -1 }])).toEqual([{ topic, code: 0, low: 3 }]);
    expect((await client.produce({ topic }, batchOf(["d"]))).baseOffset).toBe(3);
    expect(await fetch(topic, 3)).toEqual({ code: 0, values: ["3:d"] });
  });

  it.each(versionsOf(21))("version %i answers the log start for what is already gone", async (version) => {
    const topic = `gone-${version}`;
    await client.createTopic(topic);
    await client.produce({ topic }, batchOf(["a", "b", "c"]));
    await remove(version, [{ topic, offset: 2 }]);
    expect(await remove(version, [{ topic, offset: 0 }])).toEqual([{ topic, code: 0, low: 2 }]);
    expect(await remove(version, [{ topic, offset: 2 }])).toEqual([{ topic, code: 0, low: 2 }]);
  });

  it.each(versionsOf(21))("version %i refuses each partition for itself", async (version) => {
    const fine = `fine-${version}`;
    const compacted = `compacted-${version}`;
    await client.createTopic(fine);
    await client.createTopic(compacted, 1, { "cleanup.policy": "compact" });
    await client.produce({ topic: fine }, batchOf(["a"]));
    const answers = await remove(version, [
      { topic: fine, offset: 2 },
      { topic: fine, offset: -2 },
      { topic: fine, partition: 1, offset: 0 },
      { topic: fine, partition: -1, offset: 0 },
      { topic: "nowhere", offset: 0 },
      { topic: compacted, offset: 0 },
      { topic: fine, offset: 1 },
    ]);
    expect(answers.map(({ code, low }) => [code, low])).toEqual([
      [ErrorCode.OFFSET_OUT_OF_RANGE, -1],
      [ErrorCode.OFFSET_OUT_OF_RANGE, -1],
      [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1],
      [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1],
      [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1],
      [ErrorCode.POLICY_VIOLATION, -1],
      [0, 1],
    ]);
  });

  it("serves topics that are both compacted and deleted from", async () => {
    await client.createTopic("mixed", 1, { "cleanup.policy": "compact,delete" });
    const record = { timestampMs: 1_700_000_000_000, key: Buffer.from("k"), value: Buffer.from("a") };
    await client.produce({ topic: "mixed" }, encodeBatch([record]));
    expect(await remove(2, [{ topic: "mixed", offset: 1 }])).toEqual([{ topic: "mixed", code: 0, low: 1 }]);
  });

  it("refuses internal topics", async () => {
    await client.call(apis.findCoordinator, 4, { key: "", keyType: 0, coordinatorKeys: ["g"], unknownTags: null });
    const [answer] = await remove(2, [{ topic: "__consumer_offsets", offset: -1 }]);
    expect(answer?.code).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION);
  });

  it("answers what is not committed in time with REQUEST_TIMED_OUT, and what was done at once as done", async () => {
    await client.createTopic("slow");
    await client.produce({ topic: "slow" }, batchOf(["a", "b"]));
    await remove(2, [{ topic: "slow", offset: 1 }]);
    store.stick();
    const asked = [
      { topic: "slow", offset: 2 },
      { topic: "slow", offset: 1 },
    ];
    const startMs = world.clock.monotonicMs();
    const answers = await remove(2, asked, 500);
    expect(world.clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(500);
    expect(answers.map(({ code, low }) => [code, low])).toEqual([
      [ErrorCode.REQUEST_TIMED_OUT, -1],
      [0, 1],
    ]);
    expect(await earliest("slow")).toBe(1);
    store.release();
    expect(await remove(2, [{ topic: "slow", offset: 2 }])).toEqual([{ topic: "slow", code: 0, low: 2 }]);
  });

  it("wakes a fetch that waits at an offset which is removed", async () => {
    await client.createTopic("waited");
    await client.produce({ topic: "waited" }, batchOf(["a"]));
    const other = await world.connect("waiting");
    const partitions = [createFetchPartition({ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 })];
    const topics = [createFetchTopic({ topic: "waited", partitions })];
    const waiting = other.send(apis.fetch, 11, createFetchRequest({ maxWaitMs: 60_000, minBytes: 100_000, topics }));
    await remove(2, [{ topic: "waited", offset: -1 }]);
    const startMs = world.clock.monotonicMs();
    const answer = await world.clock.complete(waiting);
    expect(answer.responses[0]?.partitions[0]?.errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE);
    expect(world.clock.monotonicMs() - startMs).toBeLessThan(1_000);
  });
});
