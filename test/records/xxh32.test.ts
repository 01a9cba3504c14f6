// xxHash32 against published values, on both sides of its stripes of 16 bytes.
import { describe, expect, it } from "vitest";
import { xxh32 } from "../../src/records/xxh32.ts";

describe("xxh32", () => {
  it.each([
    ["", 0x02cc5d05],
    ["a", 0x550d7456],
    ["abc", 0x32d153ff],
    ["Nobody inspects the spammish repetition", 0xe2293b2f],
  ])("of %j is the published value", (text, expected) => {
    expect(xxh32(new TextEncoder().encode(text))).toBe(expected);
  });
});
