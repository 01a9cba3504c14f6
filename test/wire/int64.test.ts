import * as fc from "fast-check";
import { expect, it } from "vitest";
import { DecodeError } from "../../src/wire/decode-error.ts";
import { EncodeError } from "../../src/wire/encode-error.ts";
import { readInt64, writeInt64 } from "../../src/wire/int64.ts";

it("writes and reads every safe integer as the platform's int64 does", () => {
  const view = new DataView(new ArrayBuffer(8));
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      writeInt64(view, 0, value);
      expect(view.getBigInt64(0)).toBe(BigInt(value));
      expect(readInt64(view, 0)).toBe(value);
    }),
  );
});

it("refuses to round in either direction", () => {
  const view = new DataView(new ArrayBuffer(8));
  for (const value of [2 ** 53, -(2 ** 53), 0.1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => writeInt64(view, 0, value)).toThrow(EncodeError);
  }
  for (const value of [1n << 53n, -(1n << 53n), (1n << 63n) - 1n]) {
    view.setBigInt64(0, value);
    expect(() => readInt64(view, 0)).toThrow(DecodeError);
  }
});
