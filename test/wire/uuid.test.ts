import * as fc from "fast-check";
import { expect, it } from "vitest";
import { EncodeError } from "../../src/wire/encode-error.ts";
import { uuidFromBytes, uuidToBytes, ZERO_UUID } from "../../src/wire/uuid.ts";

it("text and bytes turn into each other without loss", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const text = uuidFromBytes(bytes);
      expect(text).toHaveLength(22);
      expect(new Uint8Array(uuidToBytes(text))).toEqual(bytes);
    }),
  );
  expect(uuidFromBytes(new Uint8Array(16))).toBe(ZERO_UUID);
});

it("a text that is no uuid, or another spelling of one, is refused", () => {
  for (const text of ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAA/A", "AAAAAAAAAAAAAAAAAAAAAA=="]) {
    expect(() => uuidToBytes(text)).toThrow(EncodeError);
  }
});
