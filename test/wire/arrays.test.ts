import { expect, it } from "vitest";
import { newArray } from "../../src/wire/arrays.ts";

it("takes no more than 64 KiB of slots on the word of a count", () => {
  expect(newArray(8192)).toHaveLength(8192);
  expect(newArray(8193)).toHaveLength(0);
  expect(newArray(0x7fff_ffff)).toHaveLength(0);
});
