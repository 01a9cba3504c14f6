import * as fc from "fast-check";
import { expect, it } from "vitest";
import { Reader } from "../../src/wire/reader.ts";
import { unzigzag32, uvarintSize, varintSize, varlongSize, zigzag32 } from "../../src/wire/varint.ts";
import { Writer } from "../../src/wire/writer.ts";

function sizeOf(write: (writer: Writer) => void): number {
  const writer = new Writer();
  write(writer);
  return writer.size;
}

it("sizes are those of the bytes written", () => {
  fc.assert(
    fc.property(fc.integer(), fc.maxSafeInteger(), (small, large) => {
      expect(uvarintSize(small)).toBe(sizeOf((writer) => writer.uvarint(small)));
      expect(varintSize(small)).toBe(sizeOf((writer) => writer.varint(small)));
      expect(varlongSize(large)).toBe(sizeOf((writer) => writer.varlong(large)));
    }),
  );
});

it.each([0, 63, 64, 8191, 8192, 2 ** 31, 2 ** 48 - 1, 2 ** 48, Number.MAX_SAFE_INTEGER])(
  "a varlong at the edge of a byte comes back: ±%d",
  (value) => {
    for (const signed of [value, -value, -value - 1].filter((number) => Number.isSafeInteger(number))) {
      const writer = new Writer();
      writer.varlong(signed);
      expect(new Reader(Buffer.concat(writer.finish())).varlong() + 0).toBe(signed + 0);
    }
  },
);

it("zigzag folds and unfolds every int32", () => {
  fc.assert(
    fc.property(fc.integer(), (value) => {
      expect(unzigzag32(zigzag32(value))).toBe(value);
    }),
  );
  expect([0, -1, 1, -2].map(zigzag32)).toEqual([0, 1, 2, 3]);
});
