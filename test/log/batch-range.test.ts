// Cutting whole batches out of an extent.
import fc from "fast-check";
import { expect, it } from "vitest";
import { cutBatches } from "../../src/log/batch-range.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { iterateBatches } from "../../src/records/record-batch.ts";

function batches(counts: readonly number[]): Uint8Array {
  let baseOffset = 0;
  const parts = counts.map((count) => {
    const records = Array.from({ length: count }, () => ({ timestampMs: 0, key: null, value: new Uint8Array(10) }));
    const batch = encodeBatch(records, { baseOffset });
    baseOffset += count;
    return batch;
  });
  return new Uint8Array(Buffer.concat(parts));
}

const counts = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 8 });

it("begins with the batch that contains the offset and takes whole batches within the bytes", () => {
  fc.assert(
    fc.property(counts, fc.nat(40), fc.nat(800), fc.boolean(), (list, fromOffset, maxBytes, atLeastOneBatch) => {
      const bytes = batches(list);
      const cut = cutBatches(bytes, { fromOffset, maxBytes, atLeastOneBatch });
      const wanted = [...iterateBatches(bytes)].filter((batch) => batch.nextOffset > fromOffset);
      let size = 0;
      const fitting = wanted.filter((batch, index) => {
        size += batch.sizeInBytes;
        return size <= maxBytes || (atLeastOneBatch && index === 0);
      });
      expect([...iterateBatches(cut.batches)].map((batch) => batch.baseOffset)).toEqual(
        fitting.map((batch) => batch.baseOffset),
      );
      expect(cut.isToEnd).toBe(fitting.length === wanted.length);
    }),
  );
});
