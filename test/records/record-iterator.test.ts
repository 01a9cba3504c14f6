// Records into a batch and out again, and what the iterator does with bodies nobody has checked.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { InvariantError } from "../../src/invariant.ts";
import { Compression } from "../../src/records/compression.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { RecordBatchView } from "../../src/records/record-batch.ts";
import { iterateRecords } from "../../src/records/record-iterator.ts";
import { validateProducedBatch } from "../../src/records/validate.ts";
import { anyRecords, everyCodec, openRules, refusal, someRecords } from "./sample-batches.ts";

describe.each(everyCodec)("records in a batch with codec %s", (_, compression) => {
  it("are validated and come out as they went in", () => {
    fc.assert(
      fc.property(anyRecords, (records) => {
        const batch = validateProducedBatch(encodeBatch(records, { compression }), openRules);
        const expected = records.map((record, offset) => ({ offset, ...record }));
        const got = [...iterateRecords(batch)];
        expect(JSON.stringify(got)).toBe(JSON.stringify(expected.map(({ offset, ...rest }) => ({ offset, ...rest }))));
      }),
      { numRuns: 60 },
    );
  });
});

describe("iterateRecords", () => {
  it("keeps the gaps that compaction left", () => {
    const records = [3, 5, 9].map((offset) => ({ offset, timestampMs: 1, key: null, value: null }));
    const batch = new RecordBatchView(encodeBatch(records, { baseOffset: 2, lastOffsetDelta: 8 }));
    expect([...iterateRecords(batch)].map(({ offset }) => offset)).toEqual([3, 5, 9]);
    expect(batch.lastOffset).toBe(10);
  });

  it("reads every record of a batch with LogAppendTime as of its time", () => {
    const batch = new RecordBatchView(encodeBatch(someRecords(), { timestampType: "LogAppendTime" }));
    expect(new Set([...iterateRecords(batch)].map(({ timestampMs }) => timestampMs))).toEqual(
      new Set([batch.maxTimestamp]),
    );
  });

  it("reads a batch that compaction emptied", () => {
    const batch = new RecordBatchView(encodeBatch([], { baseOffset: 7, lastOffsetDelta: 4 }));
    expect([...iterateRecords(batch)]).toEqual([]);
    expect([batch.lastOffset, batch.maxTimestamp]).toEqual([11, -1]);
  });

  it.each([-1, 1, 2, 4, 2 ** 31 - 1])("refuses a header that announces %i of 3 records", (count) => {
    for (const [, compression] of everyCodec) {
      const bytes = encodeBatch(someRecords(3), { compression });
      new DataView(bytes.buffer).setInt32(57, count);
      expect(refusal(() => [...iterateRecords(new RecordBatchView(bytes))])).toBe(ErrorCode.CORRUPT_MESSAGE);
    }
  });

  it("gives what comes before the damage", () => {
    const bytes = encodeBatch(someRecords(3));
    const last = bytes.length - someRecordBytes(bytes);
    bytes[last] = 2;
    const iterator = iterateRecords(new RecordBatchView(bytes));
    expect(iterator.next().value?.offset).toBe(0);
    expect(iterator.next().value?.offset).toBe(1);
    expect(refusal(() => iterator.next())).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it("refuses a codec that does not exist", () => {
    const bytes = encodeBatch(someRecords());
    bytes[22] = 5;
    expect(refusal(() => [...iterateRecords(new RecordBatchView(bytes))])).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it("opens no more than it is allowed to", () => {
    const bytes = encodeBatch(someRecords(100), { compression: Compression.GZIP });
    const view = new RecordBatchView(bytes);
    expect(refusal(() => [...iterateRecords(view, { bytesMax: 1000 })])).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it("never throws anything but CORRUPT_MESSAGE on a random body", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.integer({ min: -1, max: 30 }),
        fc.nat({ max: 7 }),
        (body, count, codec) => {
          const bytes = new Uint8Array(61 + body.length);
          bytes.set(encodeBatch([]));
          bytes.set(body, 61);
          const view = new DataView(bytes.buffer);
          view.setInt32(8, bytes.length - 12);
          view.setInt32(57, count);
          bytes[22] = codec;
          const code = refusal(() => [...iterateRecords(new RecordBatchView(bytes))]);
          expect([undefined, ErrorCode.CORRUPT_MESSAGE]).toContain(code);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe("encodeBatch", () => {
  it("refuses offsets that do not ascend or come before the base offset", () => {
    const at = (offset: number) => ({ offset, timestampMs: 1, key: null, value: null });
    expect(refusal(() => encodeBatch([at(3), at(3)]))).toBe(ErrorCode.INVALID_RECORD);
    expect(() => encodeBatch([at(3)], { baseOffset: 4 })).toThrow(InvariantError);
  });

  it("makes the next batch right after refusing one", () => {
    const bad = { timestampMs: 0.5, key: null, value: null };
    expect(() => encodeBatch([...someRecords(), bad])).toThrow(/safe/);
    expect(encodeBatch(someRecords())).toEqual(encodeBatch(someRecords()));
    expect(new RecordBatchView(encodeBatch(someRecords())).recordCount).toBe(3);
  });
});

/** Bytes of the last of three equal records. */
function someRecordBytes(batch: Uint8Array): number {
  return (batch.length - 61) / 3;
}
