// Addresses of a log.
import { expect, it } from "vitest";
import { partitionKey, relativeOffset, ZERO_TOPIC_ID } from "../src/topic-partition.ts";

it("spells a partition as one key", () => {
  expect(partitionKey(ZERO_TOPIC_ID, 3)).toBe("AAAAAAAAAAAAAAAAAAAAAA-3");
});

it("gives the distance of two offsets as an int32, and stops at anything else", () => {
  expect(relativeOffset(10, 10)).toBe(0);
  expect(relativeOffset(10, 10 + 0x7fff_ffff)).toBe(0x7fff_ffff);
  expect(() => relativeOffset(10, 9)).toThrow(/offset 9 is outside/);
  expect(() => relativeOffset(0, 0x8000_0000)).toThrow(/is outside/);
});
