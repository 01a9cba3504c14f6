// Produced batches on a real socket: sizes, bombs, counts, checksums, offsets and sequences at their limits and one past
// them, with the code Kafka has for each. The batch beside a refused one is not refused.
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { createFetchPartition, createFetchRequest, createFetchTopic } from "../../generated/testing/fetch-request.ts";
import { createInitProducerIdRequest } from "../../generated/testing/init-producer-id-request.ts";
import {
  createListOffsetsPartition,
  createListOffsetsRequest,
  createListOffsetsTopic,
} from "../../generated/testing/list-offsets-request.ts";
import { Compression, compress, decompressedBytesMax } from "../../src/records/compression.ts";
import { type BatchOptions, encodeBatch } from "../../src/records/encode-batch.ts";
import { BATCH_HEADER_BYTES, BatchField } from "../../src/records/record-batch.ts";
import { writeCrc } from "../../src/records/restamp.ts";
import { apis, batchOf, messageSetOf, produceOf } from "../kafka/broker-world.ts";
import { type SocketClient, SocketWorld } from "./socket-world.ts";

const NOW_MS = 1_700_000_000_000;
const MIB = 1024 * 1024;

let world: SocketWorld;
let client: SocketClient;

beforeAll(async () => {
  world = await SocketWorld.start();
  client = await world.connect();
  expect(await client.createTopic("log", 2)).toBe(0);
  expect(await client.createTopic("keyed", 1, { "cleanup.policy": "compact", "max.message.bytes": "8000000" })).toBe(0);
  expect(await client.createTopic("timed", 1, { "message.timestamp.before.max.ms": "1000" })).toBe(0);
});
beforeEach(async () => {
  client = await world.connect();
});
afterEach(() => {
  expect(client.isOpen).toBe(true);
  client.socket.destroy();
});
afterAll(async () => {
  expect(world.endedCount("bug")).toBe(0);
  await world.stop();
});

/** The code for one batch, while a good batch for another partition in the same request is taken. */
async function codeOf(batch: Uint8Array | null, options: { topic?: string; version?: number } = {}): Promise<number> {
  const { topic = "log", version = 9 } = options;
  const beside = version >= 3 ? batchOf(["beside"]) : messageSetOf(["beside"], 1);
  const entries = [
    { topic, batch },
    { topic: "log", partition: 1, batch: beside },
  ];
  const { responses } = await client.call(apis.produce, version, produceOf(entries, version));
  expect(responses[1]?.partitionResponses[0]?.errorCode).toBe(ErrorCode.NONE);
  return responses[0]?.partitionResponses[0]?.errorCode ?? -1;
}

/** A batch whose one record makes it exactly `bytes` long. */
function batchOfBytes(bytes: number): Uint8Array {
  let valueBytes = bytes - BATCH_HEADER_BYTES - 20;
  for (;;) {
    const batch = encodeBatch([{ timestampMs: NOW_MS, key: null, value: new Uint8Array(valueBytes) }]);
    if (batch.length === bytes) return batch;
    valueBytes += bytes - batch.length;
  }
}

/** A good batch changed behind the back of its codec, with a right checksum again. */
function changed(change: (view: DataView, bytes: Uint8Array) => void, options: BatchOptions = {}): Uint8Array {
  const batch = batchOf(["a", "b", "c"], options);
  change(new DataView(batch.buffer, batch.byteOffset, batch.length), batch);
  writeCrc(batch);
  return batch;
}

describe("the size of a batch", () => {
  it.each([
    ["1 MiB + 12", MIB + 12, ErrorCode.NONE],
    ["1 MiB + 13", MIB + 13, ErrorCode.MESSAGE_TOO_LARGE],
  ])("of %s", async (_name, bytes, code) => {
    const batch = batchOfBytes(bytes);
    expect(batch.length).toBe(bytes);
    expect(await codeOf(batch)).toBe(code);
  });

  it("follows max.message.bytes of the topic", async () => {
    expect(await client.createTopic("small", 1, { "max.message.bytes": "500" })).toBe(0);
    expect(await codeOf(batchOfBytes(500), { topic: "small" })).toBe(ErrorCode.NONE);
    expect(await codeOf(batchOfBytes(501), { topic: "small" })).toBe(ErrorCode.MESSAGE_TOO_LARGE);
  });

  it("counts for what old messages become, too", async () => {
    const messages = (bytes: number) => messageSetOf(["x".repeat(bytes)], 1);
    expect(await codeOf(messages(380), { topic: "small", version: 2 })).toBe(ErrorCode.NONE);
    expect(await codeOf(messages(520), { topic: "small", version: 2 })).toBe(ErrorCode.MESSAGE_TOO_LARGE);
  });
});

/** A batch of one keyed record of `valueBytes` zeros. */
function zeros(valueBytes: number, compression: Compression): Uint8Array {
  const record = { timestampMs: NOW_MS, key: Uint8Array.of(1), value: new Uint8Array(valueBytes) };
  return encodeBatch([record], { compression });
}

/** The most zeros whose batch may still be opened: what comes out is at most 64 times what came in, and 1 MiB. */
function largestAllowed(compression: Compression): number {
  const overheadBytes = encodeBatch([
    { timestampMs: NOW_MS, key: Uint8Array.of(1), value: new Uint8Array(MIB) },
  ]).length;
  const headBytes = overheadBytes - BATCH_HEADER_BYTES - MIB;
  const isAllowed = (valueBytes: number) => {
    const body = zeros(valueBytes, compression).length - BATCH_HEADER_BYTES;
    return valueBytes + headBytes <= decompressedBytesMax(body);
  };
  let [low, high] = [MIB, 4 * MIB];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (isAllowed(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** A compressed batch with another body. */
function withBody(compression: Compression, body: Uint8Array): Uint8Array {
  const batch = Buffer.concat([zeros(10, compression).subarray(0, BATCH_HEADER_BYTES), body]);
  batch.writeInt32BE(batch.length - 12, BatchField.LENGTH);
  writeCrc(batch);
  return new Uint8Array(batch);
}

const expanding = [
  ["gzip", Compression.GZIP],
  ["lz4", Compression.LZ4],
  ["zstd", Compression.ZSTD],
] as const;

/** Bodies that announce or become what no broker should allocate. */
const bombs: readonly (readonly [string, Compression, Uint8Array])[] = [
  ["gzip of 48 MiB of zeros", Compression.GZIP, gzipSync(new Uint8Array(48 * MIB))],
  ["raw snappy that announces 4 GiB", Compression.SNAPPY, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1)],
  [
    "framed snappy whose chunk announces 2 GiB",
    Compression.SNAPPY,
    Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 1),
  ],
  [
    "framed snappy of many chunks of 2 MiB",
    Compression.SNAPPY,
    framedSnappy(Array.from({ length: 40 }, () => compress(Compression.SNAPPY, new Uint8Array(2 * MIB)).subarray(16))),
  ],
  ["lz4 of 48 MiB of zeros", Compression.LZ4, compress(Compression.LZ4, new Uint8Array(48 * MIB))],
  ["zstd of 48 MiB of zeros", Compression.ZSTD, compress(Compression.ZSTD, new Uint8Array(48 * MIB))],
  // A frame header that announces 2^62 bytes of content in one segment.
  [
    "zstd that announces 2^62 bytes",
    Compression.ZSTD,
    Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0),
  ],
  ["zstd with a window of 2 GiB", Compression.ZSTD, Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 1, 0, 0)],
];

function framedSnappy(chunks: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1), ...chunks]);
}

describe("what a compressed batch becomes", () => {
  it.each(expanding)("with %s may be 64 times its size and 1 MiB, and no byte more", async (_name, compression) => {
    const valueBytes = largestAllowed(compression);
    expect(await codeOf(zeros(valueBytes, compression), { topic: "keyed" })).toBe(ErrorCode.NONE);
    expect(await codeOf(zeros(valueBytes + 1, compression), { topic: "keyed" })).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it("with snappy, which cannot grow that much, is taken whatever it holds", async () => {
    expect(await codeOf(zeros(4 * MIB, Compression.SNAPPY), { topic: "keyed" })).toBe(ErrorCode.NONE);
  });

  it.each(bombs)("is refused for %s where it has to be opened", async (_name, compression, body) => {
    const before = process.memoryUsage().arrayBuffers;
    expect(await codeOf(withBody(compression, body), { topic: "keyed" })).toBe(ErrorCode.CORRUPT_MESSAGE);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(72 * MIB);
  });

  it.each(bombs)(
    "is not looked at for %s where it need not be, and harms no reader",
    async (name, compression, body) => {
      const topic = `bomb-${name.replaceAll(/[^a-z0-9]/g, "-")}`;
      expect(await client.createTopic(topic, 1, { "max.message.bytes": "4000000" })).toBe(0);
      expect(await codeOf(withBody(compression, body), { topic })).toBe(ErrorCode.NONE);
      const partitions = [createListOffsetsPartition({ timestamp: BigInt(NOW_MS) })];
      const topics = [createListOffsetsTopic({ name: topic, partitions })];
      const found = await client.call(apis.listOffsets, 6, createListOffsetsRequest({ replicaId: -1, topics }));
      expect(found.topics[0]?.partitions[0]?.errorCode).toBe(ErrorCode.CORRUPT_MESSAGE);
      // Old formats do not know zstd; what they know has to be opened for them; version 11 gets the bytes as they are.
      const isZstd = compression === Compression.ZSTD;
      const oldCode = isZstd ? ErrorCode.UNSUPPORTED_COMPRESSION_TYPE : ErrorCode.CORRUPT_MESSAGE;
      expect(await fetchCode(topic, 3)).toBe(oldCode);
      expect(await fetchCode(topic, 11)).toBe(ErrorCode.NONE);
    },
  );
});

async function fetchCode(topic: string, version: number): Promise<number | undefined> {
  const partitions = [createFetchPartition({ partitionMaxBytes: 8 * MIB })];
  const topics = [createFetchTopic({ topic, partitions })];
  const request = createFetchRequest({ maxBytes: 8 * MIB, sessionEpoch: -1, topics });
  const answer = await client.call(apis.fetch, version, request);
  return answer.responses[0]?.partitions[0]?.errorCode;
}

describe("the records of a batch", () => {
  const announcing = (count: number, compression: Compression) =>
    changed(
      (view) => {
        view.setInt32(BatchField.RECORD_COUNT, count);
        view.setInt32(BatchField.LAST_OFFSET_DELTA, count - 1);
      },
      { compression },
    );

  it.each([
    ["1,000,000", 1_000_000, ErrorCode.NONE],
    ["1,000,001", 1_000_001, ErrorCode.INVALID_RECORD],
    ["none", 0, ErrorCode.INVALID_RECORD],
    ["-1", -1, ErrorCode.INVALID_RECORD],
  ])("may be at most a million, at least one: %s", async (_name, count, code) => {
    expect(await codeOf(announcing(count, Compression.GZIP))).toBe(code);
  });

  it.each([
    ["as many as announced", 3, ErrorCode.NONE],
    ["fewer than announced", 4, ErrorCode.INVALID_RECORD],
    ["more than announced", 2, ErrorCode.INVALID_RECORD],
  ])("are %s", async (_name, count, code) => {
    expect(await codeOf(announcing(count, Compression.NONE))).toBe(code);
  });

  it.each([
    ["the announced one less the last offset delta is not 1", BatchField.LAST_OFFSET_DELTA, 5],
    ["the last offset delta is negative", BatchField.LAST_OFFSET_DELTA, -1],
  ])("are refused when %s", async (_name, field, value) => {
    expect(await codeOf(changed((view) => view.setInt32(field, value)))).toBe(ErrorCode.INVALID_RECORD);
  });

  it("have offsets 0, 1, 2, …: any other is refused with its index", async () => {
    // The offset delta of the second record: each has length, attributes, timestamp delta and then it.
    const batch = changed((view) => view.setInt8(BATCH_HEADER_BYTES + 8 + 3, 4));
    const { responses } = await client.call(apis.produce, 9, produceOf([{ topic: "log", batch }], 9));
    const [partition] = responses[0]?.partitionResponses ?? [];
    expect(partition?.errorCode).toBe(ErrorCode.INVALID_RECORD);
    expect(partition?.recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1]);
  });

  it("need keys in a compacted topic", async () => {
    expect(await codeOf(batchOf(["a"]), { topic: "keyed" })).toBe(ErrorCode.INVALID_RECORD);
    expect(await codeOf(zeros(1, Compression.NONE), { topic: "keyed" })).toBe(ErrorCode.NONE);
  });

  it("have timestamps within the bounds of their topic", async () => {
    const at = (timestampMs: number) => codeOf(batchOf(["a"], { timestampMs }), { topic: "timed" });
    expect(await at(world.clock.wallMs() + 60_000)).toBe(ErrorCode.NONE);
    expect(await at(world.clock.wallMs() - 60_000)).toBe(ErrorCode.INVALID_TIMESTAMP);
  });
});

const cut = batchOf(["a", "b"]).subarray(0, -1);

describe("the header of a batch", () => {
  it.each([
    ["a wrong checksum", flipped(batchOf(["a"]), BatchField.CRC), ErrorCode.CORRUPT_MESSAGE],
    ["a flipped bit in a record", flipped(batchOf(["a"]), BATCH_HEADER_BYTES + 3), ErrorCode.CORRUPT_MESSAGE],
    ["magic 0", changed((view) => view.setInt8(BatchField.MAGIC, 0)), ErrorCode.INVALID_RECORD],
    ["magic 1", changed((view) => view.setInt8(BatchField.MAGIC, 1)), ErrorCode.INVALID_RECORD],
    ["magic 3", changed((view) => view.setInt8(BatchField.MAGIC, 3)), ErrorCode.CORRUPT_MESSAGE],
    ["the control bit", batchOf(["a"], { isControl: true }), ErrorCode.INVALID_RECORD],
    ["a base offset", batchOf(["a"], { baseOffset: 1 }), ErrorCode.INVALID_RECORD],
    ["codec 5", changed((view) => view.setInt16(BatchField.ATTRIBUTES, 5)), ErrorCode.UNSUPPORTED_COMPRESSION_TYPE],
    ["codec 7", changed((view) => view.setInt16(BatchField.ATTRIBUTES, 7)), ErrorCode.UNSUPPORTED_COMPRESSION_TYPE],
    ["the broker's timestamps", batchOf(["a"], { timestampType: "LogAppendTime" }), ErrorCode.INVALID_TIMESTAMP],
    ["a producer without sequence", batchOf(["a"], { producerId: 5, producerEpoch: 0 }), ErrorCode.INVALID_RECORD],
    [
      "a transaction",
      batchOf(["a"], { isTransactional: true, producerId: 5, producerEpoch: 0, baseSequence: 0 }),
      ErrorCode.INVALID_TXN_STATE,
    ],
    ["a length of 13", changed((view) => view.setInt32(BatchField.LENGTH, 13)), ErrorCode.CORRUPT_MESSAGE],
    ["a length of -1", changed((view) => view.setInt32(BatchField.LENGTH, -1)), ErrorCode.CORRUPT_MESSAGE],
    ["a byte too few", cut, ErrorCode.INVALID_RECORD],
    ["no bytes at all", new Uint8Array(0), ErrorCode.INVALID_RECORD],
    ["null for bytes", null, ErrorCode.INVALID_RECORD],
    ["a second batch behind it", Buffer.concat([batchOf(["a"]), batchOf(["b"])]), ErrorCode.INVALID_RECORD],
    ["a cut batch behind it", Buffer.concat([batchOf(["a"]), cut]), ErrorCode.NONE],
  ])("with %s", async (_name, batch, code) => {
    expect(await codeOf(batch)).toBe(code);
  });

  it("with zstd needs version 7", async () => {
    const batch = batchOf(["a"], { compression: Compression.ZSTD });
    expect(await codeOf(batch, { version: 6 })).toBe(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE);
    expect(await codeOf(batch, { version: 7 })).toBe(ErrorCode.NONE);
  });

  it("with a bit that has no meaning is taken, as in Kafka", async () => {
    expect(await codeOf(changed((view) => view.setInt16(BatchField.ATTRIBUTES, 0x80)))).toBe(ErrorCode.NONE);
  });
});

function flipped(batch: Uint8Array, position: number): Uint8Array {
  batch[position] = (batch[position] as number) ^ 1;
  return batch;
}

describe("the sequence of a producer", () => {
  it("goes on by one, repeats with the offsets of the first time, and refuses gaps and old epochs", async () => {
    const request = createInitProducerIdRequest({ transactionalId: null, transactionTimeoutMs: 60_000 });
    const { producerId } = await client.call(apis.initProducerId, 4, request);
    const send = async (baseSequence: number, producerEpoch: number) => {
      const batch = batchOf(["a", "b"], { producerId, producerEpoch, baseSequence });
      const { responses } = await client.call(apis.produce, 9, produceOf([{ topic: "log", batch }], 9));
      const [partition] = responses[0]?.partitionResponses ?? [];
      return [partition?.errorCode, partition?.baseOffset];
    };
    const [code, offset = -1] = await send(0, 1);
    expect(code).toBe(ErrorCode.NONE);
    expect(await send(2, 1)).toEqual([ErrorCode.NONE, offset + 2]);
    expect(await send(0, 1)).toEqual([ErrorCode.NONE, offset]);
    expect(await send(3, 1)).toEqual([ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1]);
    expect(await send(5, 1)).toEqual([ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1]);
    expect(await send(4, 0)).toEqual([ErrorCode.INVALID_PRODUCER_EPOCH, -1]);
    expect(await send(4, 2)).toEqual([ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1]);
    expect(await send(0, 2)).toEqual([ErrorCode.NONE, offset + 4]);
  });
});
