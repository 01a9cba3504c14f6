import fc from "fast-check";
import { expect, it } from "vitest";
import { int16At, int32At, int64At, putInt32, putInt64 } from "../../src/wire/big-endian.ts";
import { EncodeError } from "../../src/wire/encode-error.ts";

it("reads what a DataView reads, at every position", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 24 }), fc.nat(), (bytes, seed) => {
      const at = seed % (bytes.length - 7);
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      expect(int16At(bytes, at)).toBe(view.getInt16(at));
      expect(int32At(bytes, at)).toBe(view.getInt32(at));
      expect(int64At(bytes, at)).toBe(Number(view.getBigInt64(at)));
    }),
  );
});

it("puts what it reads, and no byte beside it", () => {
  fc.assert(
    fc.property(fc.integer(), (value) => {
      const bytes = new Uint8Array(6).fill(7);
      putInt32(bytes, 1, value);
      expect(int32At(bytes, 1)).toBe(value);
      expect([bytes[0], bytes[5]]).toEqual([7, 7]);
    }),
  );
});

it("puts safe integers of 64 bits, and refuses others", () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      const bytes = new Uint8Array(9);
      putInt64(bytes, 1, value);
      expect(new DataView(bytes.buffer).getBigInt64(1)).toBe(BigInt(value));
    }),
  );
  expect(() => putInt64(new Uint8Array(8), 0, 2 ** 53)).toThrow(EncodeError);
  expect(() => putInt64(new Uint8Array(8), 0, 0.5)).toThrow(EncodeError);
});
