// The view on a batch: where batches begin and end, and what their numbers mean.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { batchSizeAt, iterateBatches, RecordBatchView, sequenceAfter } from "../../src/records/record-batch.ts";
import { refusal, someRecords } from "./sample-batches.ts";

const batch = encodeBatch(someRecords(), { baseOffset: 10 });

function patched(at: number, ...values: readonly number[]): Uint8Array {
  const copy = batch.slice();
  copy.set(values, at);
  return copy;
}

describe("RecordBatchView", () => {
  it("stands anywhere in a larger array and sees no byte beside its batch", () => {
    const padded = new Uint8Array(batch.length + 20).fill(0xff);
    padded.set(batch, 7);
    const view = new RecordBatchView(padded, 7);
    expect(view.bytes).toEqual(batch);
    expect([view.baseOffset, view.lastOffset, view.nextOffset]).toEqual([10, 12, 13]);
  });

  it("refuses a batch that is cut off at any length", () => {
    for (let length = 0; length < batch.length; length += 1) {
      expect(refusal(() => new RecordBatchView(batch.subarray(0, length)))).toBe(ErrorCode.CORRUPT_MESSAGE);
    }
  });

  it.each([
    ["a negative length", patched(8, 0xff, 0xff, 0xff, 0xff)],
    ["a length less than a header has", patched(8, 0, 0, 0, 48)],
    ["magic 1", patched(16, 1)],
    ["magic 3", patched(16, 3)],
  ])("refuses %s", (_, bytes) => {
    expect(refusal(() => new RecordBatchView(bytes))).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it("refuses to round an int64 that a number cannot hold", () => {
    const view = new RecordBatchView(patched(43, 0x00, 0x20, 0, 0, 0, 0, 0, 0));
    expect(refusal(() => view.producerId)).toBe(ErrorCode.CORRUPT_MESSAGE);
    expect(new RecordBatchView(patched(43, 0x00, 0x1f, 255, 255, 255, 255, 255, 255)).producerId).toBe(2 ** 53 - 1);
  });

  it("goes on at 0 after the last sequence number", () => {
    expect(sequenceAfter(2 ** 31 - 1, 1)).toBe(0);
    expect(sequenceAfter(2 ** 31 - 2, 2 ** 31 - 1)).toBe(2 ** 31 - 3);
    const view = new RecordBatchView(
      encodeBatch(someRecords(), { producerId: 1, producerEpoch: 0, baseSequence: 2 ** 31 - 1 }),
    );
    expect(view.lastSequence).toBe(1);
    expect(new RecordBatchView(batch).lastSequence).toBe(-1);
  });
});

describe("iterateBatches", () => {
  it("gives every whole batch and ends before one that is cut off", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4 }), fc.nat({ max: batch.length - 1 }), (count, rest) => {
        const bytes = new Uint8Array(count * batch.length + rest);
        for (let at = 0; at < count; at += 1) bytes.set(batch, at * batch.length);
        bytes.set(batch.subarray(0, rest), count * batch.length);
        expect([...iterateBatches(bytes)].map((view) => view.baseOffset)).toEqual(Array(count).fill(10));
      }),
    );
  });

  it("refuses a length that would lead nowhere", () => {
    expect(refusal(() => [...iterateBatches(patched(8, 0xff, 0xff, 0xff, 0xf4))])).toBe(ErrorCode.CORRUPT_MESSAGE);
    expect(batchSizeAt(patched(8, 0xff, 0xff, 0xff, 0xf4), 0)).toBe(0);
  });

  it("never throws anything but CORRUPT_MESSAGE on random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect([undefined, ErrorCode.CORRUPT_MESSAGE]).toContain(refusal(() => [...iterateBatches(bytes)]));
      }),
    );
  });
});
