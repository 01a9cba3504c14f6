// Message sets of magic 0 and 1: what they become, what becomes of batches, and what is refused.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { Compression, compress, decompress } from "../../src/records/compression.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import {
  encodeMessages,
  iterateMessages,
  type Message,
  MessageAttribute,
  type MessageMagic,
} from "../../src/records/message-set.ts";
import { CONVERTED_RECORDS_MAX, downConvert, upConvert } from "../../src/records/old-formats.ts";
import { RecordBatchView } from "../../src/records/record-batch.ts";
import { iterateRecords } from "../../src/records/record-iterator.ts";
import { validateProducedBatch } from "../../src/records/validate.ts";
import { anyRecords, NOW_MS, openRules, refusal, someRecords } from "./sample-batches.ts";

const magics = [0, 1] as const;
const oldCodecs = Object.entries(Compression).filter(([, codec]) => codec !== Compression.ZSTD);
const cases = magics.flatMap((magic) => oldCodecs.map(([name, codec]) => [magic, name, codec] as const));

function message(fields: Partial<Message> = {}): Message {
  return { offset: 0, attributes: 0, timestampMs: NOW_MS, key: null, value: Uint8Array.of(1, 2, 3), ...fields };
}

function wrapped(inner: readonly Message[], magic: MessageMagic, codec: Compression, innerMagic = magic): Uint8Array {
  const value = compress(codec, encodeMessages(inner, innerMagic), { isMagic0: magic === 0 });
  return encodeMessages([message({ attributes: codec, value })], magic);
}

function contents(batch: Uint8Array): unknown[] {
  return [...iterateRecords(new RecordBatchView(batch))].map(({ key, value, timestampMs }) => [
    key,
    value,
    timestampMs,
  ]);
}

describe.each(cases)("magic %i, codec %s", (magic, _, compression) => {
  it("keeps keys, values, times and offsets on the way down, and all but the offsets on the way up", () => {
    fc.assert(
      fc.property(anyRecords, fc.nat({ max: 1e9 }), (records, baseOffset) => {
        const batch = encodeBatch(records, { compression, baseOffset });
        const down = downConvert([batch], { magic, fetchOffset: baseOffset });
        const shallow = [...iterateMessages(down)];
        expect(shallow.length).toBe(compression === Compression.NONE ? records.length : 1);
        expect(shallow.at(-1)?.offset).toBe(baseOffset + records.length - 1);
        const up = validateProducedBatch(upConvert(down), openRules);
        expect(up.compression).toBe(compression);
        expect(contents(up.bytes)).toEqual(
          records.map(({ key, value, timestampMs }) => [key, value, magic === 0 ? -1 : timestampMs]),
        );
      }),
      { numRuns: 40 },
    );
  });

  it("never throws anything but KafkaError on damaged sets", () => {
    const set = downConvert([encodeBatch(someRecords(10), { compression })], { magic, fetchOffset: 0 });
    const change = fc.tuple(fc.nat({ max: set.length - 1 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 3 }), fc.nat({ max: set.length }), (changes, length) => {
        const damaged = set.slice();
        for (const [at, value] of changes) damaged[at] = value;
        const code = refusal(() => upConvert(damaged.subarray(0, length)));
        expect(code === undefined || code > 0).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe("upConvert", () => {
  it("refuses every flipped bit behind the checksum", () => {
    const set = encodeMessages([message()], 1);
    for (let bit = 12 * 8; bit < set.length * 8; bit += 1) {
      const flipped = set.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(refusal(() => upConvert(flipped))).toBe(ErrorCode.CORRUPT_MESSAGE);
    }
  });

  it("leaves out a message that is cut off, and refuses a set with none", () => {
    const set = encodeMessages([message(), message()], 1);
    for (let length = set.length / 2; length < set.length; length += 1) {
      expect(contents(upConvert(set.subarray(0, length))).length).toBe(1);
    }
    for (let length = 0; length < set.length / 2; length += 1) {
      expect(refusal(() => upConvert(set.subarray(0, length)))).toBe(ErrorCode.INVALID_RECORD);
    }
  });

  it("checks the checksum of messages within a compressed one", () => {
    const inner = encodeMessages([message()], 1);
    inner[inner.length - 1] = 99;
    const set = encodeMessages([message({ attributes: 1, value: compress(Compression.GZIP, inner) })], 1);
    expect(refusal(() => upConvert(set))).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it.each([
    ["two magics", Uint8Array.of(...encodeMessages([message()], 0), ...encodeMessages([message()], 1))],
    ["another magic within", wrapped([message()], 1, Compression.GZIP, 0)],
    ["compression within compression", wrapped([message({ attributes: 1 })], 1, Compression.GZIP)],
    ["a compressed message without a value", encodeMessages([message({ attributes: 1, value: null })], 1)],
    ["a compressed message of nothing", wrapped([], 1, Compression.GZIP)],
  ])("refuses %s", (_, set) => {
    expect(refusal(() => upConvert(set))).toBe(ErrorCode.INVALID_RECORD);
  });

  it("refuses codecs that messages do not have", () => {
    for (const attributes of [4, 5, 6, 7]) {
      const code = refusal(() => upConvert(encodeMessages([message({ attributes })], 1)));
      expect(code).toBe(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE);
    }
  });

  it("refuses the timestamp type that is the broker's", () => {
    const set = encodeMessages([message({ attributes: MessageAttribute.LOG_APPEND_TIME })], 1);
    expect(refusal(() => upConvert(set))).toBe(ErrorCode.INVALID_TIMESTAMP);
  });

  it("refuses a batch of magic 2", () => {
    expect(refusal(() => upConvert(encodeBatch(someRecords())))).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it("takes as many messages as are allowed and not one more", () => {
    const messages = Array.from({ length: CONVERTED_RECORDS_MAX }, () => message());
    expect(new RecordBatchView(upConvert(encodeMessages(messages, 1))).recordCount).toBe(CONVERTED_RECORDS_MAX);
    expect(refusal(() => upConvert(encodeMessages([...messages, message()], 1)))).toBe(ErrorCode.INVALID_RECORD);
    expect(refusal(() => upConvert(wrapped([...messages, message()], 0, Compression.SNAPPY)))).toBe(
      ErrorCode.INVALID_RECORD,
    );
  });

  it("bounds what several compressed messages become together", () => {
    const value = new Uint8Array(20 * 1024 * 1024);
    // Incompressible filling allows the ratio; four of them are 80 MiB.
    let state = 7;
    const noise = value.subarray(0, 1024 * 1024);
    for (let index = 0; index < noise.length; index += 1) {
      state = Math.imul(state, 69069) + 1;
      noise[index] = state >>> 24;
    }
    const one = wrapped([message({ value })], 1, Compression.LZ4);
    const set = new Uint8Array(4 * one.length);
    for (let at = 0; at < 4; at += 1) set.set(one, at * one.length);
    expect(refusal(() => upConvert(set.subarray(0, 3 * one.length)))).toBeUndefined();
    expect(refusal(() => upConvert(set))).toBe(ErrorCode.CORRUPT_MESSAGE);
  });
});

describe("downConvert", () => {
  const options = { magic: 1, fetchOffset: 0 } as const;

  it("leaves out records before the fetch offset where they stand alone, not within a compressed message", () => {
    const plain = encodeBatch(someRecords(5), { baseOffset: 10 });
    const gzip = encodeBatch(someRecords(5), { baseOffset: 10, compression: Compression.GZIP });
    const offsets = (batch: Uint8Array) =>
      [...iterateMessages(downConvert([batch], { magic: 1, fetchOffset: 13 }))].map(({ offset }) => offset);
    expect(offsets(plain)).toEqual([13, 14]);
    expect(offsets(gzip)).toEqual([14]);
  });

  it("numbers inner messages from the batch in magic 1 and absolutely in magic 0", () => {
    const batch = encodeBatch(someRecords(3), { baseOffset: 10, compression: Compression.GZIP });
    for (const [magic, expected] of [
      [0, [10, 11, 12]],
      [1, [0, 1, 2]],
    ] as const) {
      const [wrapper] = [...iterateMessages(downConvert([batch], { magic, fetchOffset: 10 }))];
      const inner = [...iterateMessages(decompress(Compression.GZIP, wrapper?.value as Uint8Array))];
      expect(inner.map(({ offset }) => offset)).toEqual(expected);
      expect(wrapper?.timestampMs).toBe(magic === 0 ? -1 : NOW_MS + 2);
    }
  });

  it("says LogAppendTime in magic 1", () => {
    const batch = encodeBatch(someRecords(), { timestampType: "LogAppendTime" });
    const messages = [...iterateMessages(downConvert([batch], options))];
    expect(messages.map(({ attributes, timestampMs }) => [attributes, timestampMs])).toEqual(
      someRecords().map(() => [8, NOW_MS + 2]),
    );
  });

  it("skips control batches, and gives the head of a larger message when nothing else is left", () => {
    const marker = encodeBatch(someRecords(1), {
      isControl: true,
      isTransactional: true,
      producerId: 1,
      producerEpoch: 0,
    });
    const data = encodeBatch(someRecords(2), { baseOffset: 1 });
    expect([...iterateMessages(downConvert([marker, data], options))].length).toBe(2);
    const head = downConvert([marker], options);
    expect(head.length).toBe(12);
    expect(new DataView(head.buffer).getInt32(8)).toBe(marker.length + 1);
    expect([...iterateMessages(head)]).toEqual([]);
    expect(downConvert([], options).length).toBe(0);
  });

  it("ends before a batch that would make it too many records, and refuses one that is too many alone", () => {
    const many = encodeBatch(someRecords(CONVERTED_RECORDS_MAX));
    const one = encodeBatch(someRecords(1), { baseOffset: CONVERTED_RECORDS_MAX });
    expect(downConvert([many, one], options)).toEqual(downConvert([many], options));
    const tooMany = encodeBatch(someRecords(CONVERTED_RECORDS_MAX + 1));
    expect(refusal(() => downConvert([tooMany], options))).toBe(ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT);
  });

  it("ends before a zstd batch, and refuses one at the start", () => {
    const plain = encodeBatch(someRecords(2));
    const zstd = encodeBatch(someRecords(2), { compression: Compression.ZSTD, baseOffset: 2 });
    expect([...iterateMessages(downConvert([plain, zstd, plain], options))].length).toBe(2);
    expect(refusal(() => downConvert([zstd], options))).toBe(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE);
  });
});
