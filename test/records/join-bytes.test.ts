// Joining parts.
import { describe, expect, it } from "vitest";
import { joinBytes, totalBytes } from "../../src/records/join-bytes.ts";

describe("joinBytes", () => {
  it("keeps the order and copies, also a single part", () => {
    const part = Uint8Array.of(1, 2);
    const joined = joinBytes([part]);
    part[0] = 9;
    expect(joined).toEqual(Uint8Array.of(1, 2));
    expect(joinBytes([part, new Uint8Array(), Uint8Array.of(3)])).toEqual(Uint8Array.of(9, 2, 3));
    expect(totalBytes([part, part])).toBe(4);
  });
});
