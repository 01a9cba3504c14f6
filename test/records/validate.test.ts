// What may be appended: Kafka's order of checks, its codes, and the index of a refused record.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { Compression } from "../../src/records/compression.ts";
import { type BatchOptions, type BatchRecord, encodeBatch } from "../../src/records/encode-batch.ts";
import { BATCH_RECORDS_MAX, BatchField, RecordBatchView } from "../../src/records/record-batch.ts";
import { writeCrc } from "../../src/records/restamp.ts";
import { type ProduceRules, RecordsRefusedError, validateProducedBatch } from "../../src/records/validate.ts";
import { anyRecords, everyCodec, NOW_MS, openRules, refusal, someRecords } from "./sample-batches.ts";

const batch = encodeBatch(someRecords());

function refused(bytes: Uint8Array, rules: Partial<ProduceRules> = {}): ErrorCode | undefined {
  return refusal(() => validateProducedBatch(bytes, { ...openRules, ...rules }));
}

/** The sample batch with a field changed and a true checksum. */
function with32(at: number, value: number, options: BatchOptions = {}): Uint8Array {
  const bytes = encodeBatch(someRecords(), options);
  new DataView(bytes.buffer).setInt32(at, value);
  if (at >= BatchField.ATTRIBUTES) writeCrc(bytes);
  return bytes;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function recordErrors(action: () => unknown): readonly (readonly [number, string])[] {
  try {
    action();
  } catch (error) {
    if (error instanceof RecordsRefusedError)
      return error.recordErrors.map(({ batchIndex, message }) => [batchIndex, message]);
    throw error;
  }
  return [];
}

describe("the frame of a produced batch", () => {
  it("is a view on the bytes it came in", () => {
    const padded = join(batch, Uint8Array.of(1, 2, 3));
    const view = validateProducedBatch(padded, openRules);
    expect(view.bytes.buffer).toBe(padded.buffer);
    expect(view.bytes).toEqual(batch);
  });

  it("refuses a batch that is cut off at any length", () => {
    for (let length = 0; length < batch.length; length += 1) {
      expect(refused(batch.subarray(0, length))).toBe(ErrorCode.INVALID_RECORD);
    }
  });

  it("leaves out a second batch that is cut off and refuses a whole one", () => {
    for (let length = 0; length < batch.length; length += 1) {
      expect(refused(join(batch, batch.subarray(0, length)))).toBeUndefined();
    }
    expect(refused(join(batch, batch))).toBe(ErrorCode.INVALID_RECORD);
  });

  it.each([
    ["a negative length", with32(8, -1), ErrorCode.CORRUPT_MESSAGE],
    ["a length of 13", with32(8, 13), ErrorCode.CORRUPT_MESSAGE],
    ["a length of 13, cut off", with32(8, 13).subarray(0, 12), ErrorCode.CORRUPT_MESSAGE],
    ["a length of 48, one less than a header", with32(8, 48), ErrorCode.CORRUPT_MESSAGE],
    ["magic 0", with32(16, 0x00_00_00_00), ErrorCode.INVALID_RECORD],
    ["magic 1", with32(16, 0x01_00_00_00), ErrorCode.INVALID_RECORD],
    ["magic 3", with32(16, 0x03_00_00_00), ErrorCode.CORRUPT_MESSAGE],
    ["base offset 1", with32(4, 1), ErrorCode.INVALID_RECORD],
    ["base offset 2^62", with32(0, 0x4000_0000), ErrorCode.INVALID_RECORD],
  ])("refuses %s", (_, bytes, code) => {
    expect(refused(bytes)).toBe(code);
  });

  it("allows the largest size of the topic and not one byte more", () => {
    expect(refused(batch, { messageBytesMax: batch.length })).toBeUndefined();
    expect(refused(batch, { messageBytesMax: batch.length - 1 })).toBe(ErrorCode.MESSAGE_TOO_LARGE);
  });

  it("refuses zstd where the request does not know it, and codecs that do not exist", () => {
    const zstd = encodeBatch(someRecords(), { compression: Compression.ZSTD });
    expect(refused(zstd)).toBeUndefined();
    expect(refused(zstd, { allowZstd: false })).toBe(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE);
    for (const codec of [5, 6, 7]) {
      const bytes = batch.slice();
      bytes[22] = codec;
      writeCrc(bytes);
      expect(refused(bytes)).toBe(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE);
    }
  });
});

describe("the checksum of a produced batch", () => {
  it("finds every flipped bit, or the bit lies outside and is refused or of no matter", () => {
    for (const [, compression] of everyCodec) {
      const bytes = encodeBatch(someRecords(), { compression });
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const flipped = bytes.slice();
        const at = bit >> 3;
        flipped[at] = (flipped[at] as number) ^ (1 << (bit & 7));
        const code = refused(flipped);
        // The leader epoch of a client means nothing: it is overwritten.
        const isLeaderEpoch = at >= BatchField.LEADER_EPOCH && at < BatchField.MAGIC;
        if (isLeaderEpoch) expect(code).toBeUndefined();
        else
          expect([
            ErrorCode.CORRUPT_MESSAGE,
            ErrorCode.INVALID_RECORD,
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
          ]).toContain(code);
        if (at >= BatchField.CRC && at !== BatchField.ATTRIBUTES + 1) expect(code).toBe(ErrorCode.CORRUPT_MESSAGE);
      }
    }
  });

  it("is judged after size and base offset, as in Kafka", () => {
    const broken = batch.slice();
    broken[batch.length - 1] = 0x55;
    expect(refused(broken)).toBe(ErrorCode.CORRUPT_MESSAGE);
    expect(refused(broken, { messageBytesMax: 10 })).toBe(ErrorCode.MESSAGE_TOO_LARGE);
  });
});

describe("the header of a produced batch", () => {
  const idempotent = { producerId: 9, producerEpoch: 0, baseSequence: 0 };

  it.each([
    ["no records", with32(BatchField.RECORD_COUNT, 0)],
    ["fewer than no records", with32(BatchField.RECORD_COUNT, -1)],
    ["a count that is not that of the offsets", with32(BatchField.RECORD_COUNT, 4)],
    ["a negative last offset delta", with32(BatchField.LAST_OFFSET_DELTA, -1)],
    ["a last offset delta that is not that of the count", with32(BatchField.LAST_OFFSET_DELTA, 3)],
    ["the control bit", encodeBatch(someRecords(), { isControl: true })],
    ["a producer id without a sequence", encodeBatch(someRecords(), { ...idempotent, baseSequence: -1 })],
    ["a producer id without an epoch", encodeBatch(someRecords(), { ...idempotent, producerEpoch: -1 })],
    ["a producer id below -1", encodeBatch(someRecords(), { ...idempotent, producerId: -2 })],
    ["a transaction without a producer id", encodeBatch(someRecords(), { isTransactional: true })],
  ])("refuses %s", (_, bytes) => {
    expect(refused(bytes)).toBe(ErrorCode.INVALID_RECORD);
  });

  it("refuses numbers outside the safe range rather than round them", () => {
    const beyond = 0x0020_0000;
    expect(refused(with32(BatchField.PRODUCER_ID, beyond, idempotent))).toBe(ErrorCode.INVALID_RECORD);
    expect(refused(with32(BatchField.BASE_TIMESTAMP, beyond))).toBe(ErrorCode.INVALID_TIMESTAMP);
    expect(refused(with32(BatchField.MAX_TIMESTAMP, beyond))).toBe(ErrorCode.INVALID_TIMESTAMP);
    expect(refused(encodeBatch(someRecords(), { ...idempotent, producerId: 2 ** 53 - 1 }))).toBeUndefined();
  });

  it("allows a million records and not one more", () => {
    // Compressed, the records themselves are not looked at.
    const withCount = (count: number) => {
      const bytes = with32(BatchField.RECORD_COUNT, count, { compression: Compression.GZIP });
      new DataView(bytes.buffer).setInt32(BatchField.LAST_OFFSET_DELTA, count - 1);
      writeCrc(bytes);
      return bytes;
    };
    expect(refused(withCount(BATCH_RECORDS_MAX))).toBeUndefined();
    expect(refused(withCount(BATCH_RECORDS_MAX + 1))).toBe(ErrorCode.INVALID_RECORD);
  });

  it("lets the broker's own coordinators write markers at any offset", () => {
    const marker = encodeBatch(someRecords(1), {
      ...idempotent,
      baseSequence: -1,
      isControl: true,
      isTransactional: true,
      baseOffset: 5,
    });
    expect(refused(marker)).toBe(ErrorCode.INVALID_RECORD);
    expect(refused(marker, { fromClient: false })).toBeUndefined();
  });
});

describe("the records of a produced batch", () => {
  const keyless = (...indexes: readonly number[]): BatchRecord[] =>
    someRecords(5).map((record, index) => (indexes.includes(index) ? { ...record, key: null } : record));

  it.each(everyCodec)("need keys on a compacted topic, and are named if they have none (%s)", (_, compression) => {
    const bytes = encodeBatch(keyless(1, 4), { compression });
    expect(refused(bytes)).toBeUndefined();
    expect(refused(bytes, { requiresKeys: true })).toBe(ErrorCode.INVALID_RECORD);
    const errors = recordErrors(() => validateProducedBatch(bytes, { ...openRules, requiresKeys: true }));
    expect(errors.map(([index]) => index)).toEqual([1, 4]);
    expect(errors[0]?.[1]).toMatch(/key/);
    expect(refused(encodeBatch(keyless(), { compression }), { requiresKeys: true })).toBeUndefined();
  });

  it.each(everyCodec)("must be of a time the topic allows, to the millisecond (%s)", (_, compression) => {
    const at = (...offsets: readonly number[]) =>
      encodeBatch(
        offsets.map((offset) => ({ timestampMs: NOW_MS + offset, key: null, value: null })),
        { compression },
      );
    const rules = { ...openRules, timestampAfterMaxMs: 1000, timestampBeforeMaxMs: 2000 };
    const indexes = (bytes: Uint8Array) =>
      recordErrors(() => validateProducedBatch(bytes, rules)).map(([index]) => index);
    expect(indexes(at(0, 1000, -2000))).toEqual([]);
    expect(indexes(at(0, 1001, -2000, -2001))).toEqual([1, 3]);
    expect(refused(at(1001), rules)).toBe(ErrorCode.INVALID_TIMESTAMP);
    expect(refused(at(1001), { ...rules, timestampType: "LogAppendTime" })).toBeUndefined();
    expect(refused(encodeBatch([{ timestampMs: -1, key: null, value: null }], { compression }), rules)).toBeUndefined();
  });

  it("must leave the timestamp type to the topic", () => {
    const bytes = encodeBatch(someRecords(), { timestampType: "LogAppendTime" });
    expect(refused(bytes)).toBe(ErrorCode.INVALID_TIMESTAMP);
    expect(recordErrors(() => validateProducedBatch(bytes, openRules)).map(([index]) => index)).toEqual([0]);
  });

  it("correct the largest timestamp of the header in a copy, and leave the client's bytes alone", () => {
    const bytes = batch.slice();
    new DataView(bytes.buffer).setBigInt64(BatchField.MAX_TIMESTAMP, 5n);
    writeCrc(bytes);
    const before = bytes.slice();
    const view = validateProducedBatch(bytes, openRules);
    expect(view.maxTimestamp).toBe(NOW_MS + 2);
    expect(view.computeCrc()).toBe(view.crc);
    expect(bytes).toEqual(before);
  });

  it("name the first one whose offset is not the next", () => {
    const bytes = encodeBatch(
      [0, 2].map((offset) => ({ offset, timestampMs: 1, key: null, value: null })),
      { lastOffsetDelta: 1 },
    );
    expect(refused(bytes)).toBe(ErrorCode.INVALID_RECORD);
    expect(recordErrors(() => validateProducedBatch(bytes, openRules)).map(([index]) => index)).toEqual([1]);
  });

  it("name no more than a hundred of those that are refused", () => {
    const bytes = encodeBatch(someRecords(250).map((record) => ({ ...record, key: null })));
    const errors = recordErrors(() => validateProducedBatch(bytes, { ...openRules, requiresKeys: true }));
    expect(errors.length).toBe(100);
  });

  it("must fill the batch exactly", () => {
    const longer = join(batch, Uint8Array.of(0));
    new DataView(longer.buffer).setInt32(8, longer.length - 12);
    writeCrc(longer);
    expect(refused(longer)).toBe(ErrorCode.INVALID_RECORD);
    const shorter = batch.slice(0, -1);
    new DataView(shorter.buffer).setInt32(8, shorter.length - 12);
    writeCrc(shorter);
    expect(refused(shorter)).toBe(ErrorCode.INVALID_RECORD);
  });

  it("are refused, not crashed on, whatever bytes stand in their place", () => {
    fc.assert(
      fc.property(anyRecords, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 4 }), (records, position, damage) => {
        const bytes = encodeBatch(records);
        bytes.set(
          damage.subarray(0, bytes.length - 61),
          61 + (position % Math.max(1, bytes.length - 61 - damage.length)),
        );
        writeCrc(bytes);
        const code = refused(bytes, { requiresKeys: true, timestampAfterMaxMs: 1000 });
        expect([undefined, ErrorCode.INVALID_RECORD, ErrorCode.INVALID_TIMESTAMP]).toContain(code);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("validateProducedBatch", () => {
  it("never throws anything but KafkaError on random bytes, also behind a true checksum", () => {
    const header = encodeBatch([]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.uint8Array({ maxLength: 40 }), (random, fields) => {
        const bytes = join(header, random);
        bytes.set(fields, BatchField.ATTRIBUTES);
        new DataView(bytes.buffer).setInt32(8, bytes.length - 12);
        writeCrc(bytes);
        for (const some of [random, bytes]) {
          const code = refused(some, { requiresKeys: true, timestampBeforeMaxMs: 1000 });
          expect(code === undefined || code > 0).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("does not open a compressed body when no rule needs it", () => {
    const bytes = encodeBatch(someRecords(), { compression: Compression.LZ4 });
    bytes.fill(0x77, 61);
    writeCrc(bytes);
    expect(refused(bytes)).toBeUndefined();
    expect(refused(bytes, { requiresKeys: true })).toBe(ErrorCode.CORRUPT_MESSAGE);
    expect(new RecordBatchView(bytes).recordCount).toBe(3);
  });
});
