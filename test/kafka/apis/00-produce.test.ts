// Produce as clients see it, at every version: rows of the acceptance list as sentences.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import type { KeyValueStore } from "../../../src/kv/key-value-store.ts";
import { MemoryKeyValueStore } from "../../../src/kv/memory.ts";
import { Compression } from "../../../src/records/compression.ts";
import type { SimClock } from "../../sim/sim-clock.ts";
import { apis, BrokerWorld, batchOf, messageSetOf, produceOf, type TestClient, versionsOf } from "../broker-world.ts";

let world: BrokerWorld;
let client: TestClient;
let topicId: string;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
  topicId = await client.createTopic("orders", 3);
  await client.createTopic("compacted", 1, { "cleanup.policy": "compact" });
  await client.createTopic("small", 1, { "max.message.bytes": "200" });
  await client.createTopic("append-time", 1, { "message.timestamp.type": "LogAppendTime" });
  await client.createTopic("strict", 1, { "message.timestamp.after.max.ms": "1000" });
});
afterAll(() => world.stop());

/** A store that shows no session to who asks for one, once `isHiding`. */
function hidingSessions(kv: MemoryKeyValueStore, isHiding: () => boolean): KeyValueStore {
  return {
    get: async (key, options) => {
      const found = await kv.get(key, options);
      return isHiding() && key.includes("/s/") ? { ...found, entry: undefined } : found;
    },
    range: (prefix, options) => kv.range(prefix, options),
    txn: (txn, options) => kv.txn(txn, options),
    watch: (prefix, options) => kv.watch(prefix, options),
    grantLease: (ttlMs, options) => kv.grantLease(ttlMs, options),
    keepAlive: (lease, options) => kv.keepAlive(lease, options),
    revokeLease: (lease, options) => kv.revokeLease(lease, options),
  };
}

/** What a producer of `version` would send. */
function bytesFor(version: number, values: readonly string[]): Uint8Array {
  return version >= 3 ? batchOf(values) : messageSetOf(values, version >= 2 ? 1 : 0);
}

describe("Produce", () => {
  it.each(versionsOf(0))("version %i appends and answers offsets that follow each other", async (version) => {
    const at = { topic: "orders", topicId, version, partition: 0 };
    const first = await client.produce(at, bytesFor(version, ["a", "b"]));
    const second = await client.produce(at, bytesFor(version, ["c"]));
    expect([first.errorCode, second.errorCode]).toEqual([0, 0]);
    expect(second.baseOffset).toBe(first.baseOffset + 2);
    expect(first.logAppendTimeMs).toBe(-1);
    expect(first.logStartOffset).toBe(version >= 5 ? 0 : -1);
  });

  it.each(versionsOf(0))("version %i refuses an unknown topic and creates none", async (version) => {
    const at = { topic: "nowhere", topicId: "AAAAAAAAAAAAAAAAAAAAAQ", version };
    const answer = await client.produce(at, bytesFor(version, ["a"]));
    const unknown = version >= 13 ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    expect(answer.errorCode).toBe(unknown);
    expect(answer.baseOffset).toBe(-1);
  });

  it.each(versionsOf(0))("version %i refuses a partition that the topic has not", async (version) => {
    const answer = await client.produce({ topic: "orders", topicId, version, partition: 3 }, bytesFor(version, ["a"]));
    expect(answer.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  });

  it.each(versionsOf(0))("version %i answers acks other than -1, 0 and 1 per partition", async (version) => {
    const batch = bytesFor(version, ["a"]);
    const request = produceOf([{ topic: "orders", topicId, batch }], version, 2);
    const answer = await client.call(apis.produce, version, request);
    expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(ErrorCode.INVALID_REQUIRED_ACKS);
  });

  it.each(versionsOf(0, 3))("version %i takes exactly one batch of magic 2 per partition", async (version) => {
    const at = { topic: "orders", topicId, version };
    const two = Buffer.concat([batchOf(["a"]), batchOf(["b"])]);
    expect((await client.produce(at, two)).errorCode).toBe(ErrorCode.INVALID_RECORD);
    expect((await client.produce(at, messageSetOf(["a"], 1))).errorCode).toBe(ErrorCode.INVALID_RECORD);
    expect((await client.produce(at, new Uint8Array(0))).errorCode).toBe(ErrorCode.INVALID_RECORD);
  });

  it.each(versionsOf(0, 3))("version %i knows zstd from 7 on", async (version) => {
    const batch = batchOf(["a"], { compression: Compression.ZSTD });
    const answer = await client.produce({ topic: "orders", topicId, version }, batch);
    expect(answer.errorCode).toBe(version >= 7 ? 0 : ErrorCode.UNSUPPORTED_COMPRESSION_TYPE);
  });

  it.each([Compression.NONE, Compression.GZIP, Compression.SNAPPY, Compression.LZ4])(
    "takes codec %i at version 3",
    async (compression) => {
      const answer = await client.produce({ topic: "orders", version: 3 }, batchOf(["a", "b"], { compression }));
      expect(answer.errorCode).toBe(0);
    },
  );

  it("refuses a batch whose checksum is wrong", async () => {
    const batch = batchOf(["a"]);
    batch[batch.length - 1] = (batch.at(-1) ?? 0) ^ 1;
    expect((await client.produce({ topic: "orders" }, batch)).errorCode).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it("takes a batch of exactly max.message.bytes and refuses one byte more", async () => {
    const overhead = batchOf([""]).length;
    // From 64 bytes on the length of the value takes one byte more.
    const atLimit = batchOf(["x".repeat(200 - overhead - 2)]);
    expect(atLimit.length).toBe(200);
    expect((await client.produce({ topic: "small" }, atLimit)).errorCode).toBe(0);
    const above = batchOf(["x".repeat(200 - overhead - 1)]);
    expect(above.length).toBe(201);
    expect((await client.produce({ topic: "small" }, above)).errorCode).toBe(ErrorCode.MESSAGE_TOO_LARGE);
  });

  it.each(versionsOf(0, 3))("version %i names the record without a key on a compacted topic", async (version) => {
    const topic = await topicIdOf("compacted");
    const answer = await client.produce({ topic: "compacted", topicId: topic, version }, batchOf(["a", "b"]));
    expect(answer.errorCode).toBe(ErrorCode.INVALID_RECORD);
    if (version >= 8) expect(answer.recordErrors[0]?.batchIndex).toBe(0);
    if (version >= 8) expect(answer.errorMessage).toContain("INVALID_RECORD");
    else expect(answer.recordErrors).toEqual([]);
  });

  it("stamps and answers the time of the append where the topic says so", async () => {
    const answer = await client.produce({ topic: "append-time" }, batchOf(["a"]));
    expect(answer.errorCode).toBe(0);
    expect(Math.abs(answer.logAppendTimeMs - world.clock.wallMs())).toBeLessThan(5_000);
  });

  it("refuses a timestamp too far in the future", async () => {
    const batch = batchOf(["a"], { timestampMs: world.clock.wallMs() + 60_000 });
    expect((await client.produce({ topic: "strict" }, batch)).errorCode).toBe(ErrorCode.INVALID_TIMESTAMP);
  });

  it("refuses writes to internal topics", async () => {
    const answer = await client.produce({ topic: "__consumer_offsets" }, batchOf(["a"]));
    expect([ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]).toContain(answer.errorCode);
  });

  it("refuses a transactional batch", async () => {
    const batch = batchOf(["a"], { producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true });
    expect((await client.produce({ topic: "orders" }, batch)).errorCode).toBe(ErrorCode.INVALID_TXN_STATE);
  });

  it("answers a repeated idempotent batch with its first offset and appends nothing", async () => {
    const { producerId } = await client.call(apis.initProducerId, 4, initOf());
    const batch = batchOf(["a", "b"], { producerId, producerEpoch: 0, baseSequence: 0 });
    const first = await client.produce({ topic: "orders", partition: 1 }, batch);
    const again = await client.produce({ topic: "orders", partition: 1 }, batch);
    expect(again).toEqual(first);
    const next = batchOf(["c"], { producerId, producerEpoch: 0, baseSequence: 2 });
    expect((await client.produce({ topic: "orders", partition: 1 }, next)).baseOffset).toBe(first.baseOffset + 2);
    const gap = batchOf(["d"], { producerId, producerEpoch: 0, baseSequence: 9 });
    const refused = await client.produce({ topic: "orders", partition: 1 }, gap);
    expect(refused.errorCode).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER);
  });

  it("refuses a gap for good only as long as its session is proven", async () => {
    let isFenced = false;
    const kv = (clock: SimClock) => hidingSessions(new MemoryKeyValueStore({ clock }), () => isFenced);
    const stale = await BrokerWorld.start({}, { kv });
    const producer = await stale.connect();
    await producer.createTopic("orders", 1);
    const { producerId } = await producer.call(apis.initProducerId, 4, initOf());
    const first = batchOf(["a"], { producerId, producerEpoch: 0, baseSequence: 0 });
    expect((await producer.produce({ topic: "orders" }, first)).errorCode).toBe(0);
    isFenced = true;
    // Its successor may have taken what came between.
    const next = batchOf(["c"], { producerId, producerEpoch: 0, baseSequence: 2 });
    const refused = await producer.produce({ topic: "orders" }, next);
    expect(refused.errorCode).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    await stale.stop();
  });

  it("gives pipelined batches of one connection offsets in the order of their arrival", async () => {
    const sends = Array.from({ length: 50 }, (_, index) => {
      const request = produceOf([{ topic: "orders", partition: 2, batch: batchOf([String(index)]) }], 9);
      return client.send(apis.produce, 9, request);
    });
    const answers = await world.clock.complete(Promise.all(sends));
    const offsets = answers.map((answer) => answer.responses[0]?.partitionResponses[0]?.baseOffset);
    expect(offsets).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  it("answers each partition of a request for itself", async () => {
    const request = produceOf(
      [
        { topic: "orders", partition: 0, batch: batchOf(["a"]) },
        { topic: "nowhere", partition: 0, batch: batchOf(["b"]) },
        { topic: "orders", partition: 1, batch: null },
      ],
      9,
    );
    const answer = await client.call(apis.produce, 9, request);
    const codes = answer.responses.map(({ partitionResponses }) => partitionResponses[0]?.errorCode);
    expect(codes).toEqual([0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.INVALID_RECORD]);
  });

  it("answers acks 0 with no frame, and the next request with its own", async () => {
    const own = await world.connect();
    own.client.tell({ ...apis.produce, version: 9 }, produceOf([{ topic: "orders", batch: batchOf(["a"]) }], 9, 0));
    const answer = await own.produce({ topic: "orders" }, batchOf(["b"]));
    expect(answer.errorCode).toBe(0);
  });

  it("closes the connection on any error of a request with acks 0", async () => {
    const own = await world.connect();
    const before = world.endedCount("refused");
    own.client.tell({ ...apis.produce, version: 9 }, produceOf([{ topic: "nowhere", batch: batchOf(["a"]) }], 9, 0));
    await expect(own.produce({ topic: "orders" }, batchOf(["b"]))).rejects.toThrow("connection");
    expect(world.endedCount("refused")).toBe(before + 1);
  });
});

async function topicIdOf(name: string): Promise<string> {
  const answer = await client.call(apis.metadata, 12, {
    topics: [{ topicId: "AAAAAAAAAAAAAAAAAAAAAA", name, unknownTags: null }],
    allowAutoTopicCreation: false,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
    unknownTags: null,
  });
  return answer.topics[0]?.topicId ?? "";
}

function initOf() {
  return {
    transactionalId: null,
    transactionTimeoutMs: 60_000,
    producerId: -1,
    producerEpoch: -1,
    enable2Pc: false,
    keepPreparedTxn: false,
    unknownTags: null,
  };
}
