// CRC-32C and CRC-32: the published check values, and that every implementation agrees on every input and split.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32, crc32c, crc32cNative, crc32cOfBoth, crc32cSliced, crc32Sliced } from "../../src/wire/crc32c.ts";

const check = new TextEncoder().encode("123456789");
/** Lengths on both sides of the switch to native code, and offsets that are not multiples of eight. */
const buffers = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 150, maxLength: 2000 }));

describe("crc32c", () => {
  it("gives the check value of the Castagnoli polynomial", () => {
    expect(crc32c(check)).toBe(0xe3069283);
  });

  it("gives the published values of RFC 3720", () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e);
  });

  it("is 0 for no bytes and keeps the seed", () => {
    expect(crc32c(new Uint8Array())).toBe(0);
    expect(crc32c(new Uint8Array(), 0xe3069283)).toBe(0xe3069283);
  });

  it("agrees with the native implementation wherever that is installed", () => {
    fc.assert(
      fc.property(buffers, fc.integer({ min: 0, max: 0xffffffff }), (bytes, seed) => {
        expect(crc32c(bytes, seed)).toBe(crc32cSliced(bytes, seed));
        if (crc32cNative !== undefined) expect(crc32cNative(bytes, seed)).toBe(crc32cSliced(bytes, seed));
      }),
    );
  });

  it("is the same however the bytes are split", () => {
    fc.assert(
      fc.property(buffers, fc.nat(), fc.nat(), (bytes, a, b) => {
        const [first, second] = [a % (bytes.length + 1), b % (bytes.length + 1)].toSorted((x, y) => x - y);
        const parts = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        expect(parts.reduce((seed, part) => crc32c(part, seed), 0)).toBe(crc32c(bytes));
        expect(parts.reduce((seed, part) => crc32cSliced(part, seed), 0)).toBe(crc32c(bytes));
      }),
    );
  });

  it("is composed from those of two stretches, of any length", () => {
    fc.assert(
      fc.property(buffers, fc.integer({ min: 0, max: 3_000_000 }), (first, zeros) => {
        const second = new Uint8Array(zeros).fill(first[0] ?? 7);
        expect(crc32cOfBoth(crc32c(first), crc32c(second), second.length)).toBe(crc32c(second, crc32c(first)));
      }),
    );
  });
});

describe("crc32", () => {
  it("gives the check value of the IEEE polynomial", () => {
    expect(crc32(check)).toBe(0xcbf43926);
  });

  it("agrees with its own table walk on every input and split", () => {
    fc.assert(
      fc.property(buffers, fc.nat(), (bytes, at) => {
        const split = at % (bytes.length + 1);
        expect(crc32(bytes)).toBe(crc32Sliced(bytes));
        expect(crc32(bytes.subarray(split), crc32(bytes.subarray(0, split)))).toBe(crc32(bytes));
      }),
    );
  });
});
