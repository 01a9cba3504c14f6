// The partition of a group, against an exact computation of the hash of Java.
import { expect, it } from "vitest";
import { groupPartition } from "../../src/group/group-placement.ts";

it("places groups as Java's String.hashCode does, also where that is negative or the smallest integer", () => {
  expect(groupPartition("", 50)).toBe(0);
  expect(groupPartition("abc", 50)).toBe(96_354 % 50);
  expect(groupPartition("group", 50)).toBe(98_629_247 % 50);
  // -2147483648, whose absolute value Java cannot say.
  expect(groupPartition("polygenelubricants", 50)).toBe(0);
  expect(groupPartition("my-consumer-group", 50)).toBe(((javaHash("my-consumer-group") & 0x7fff_ffff) >>> 0) % 50);
});

it("stays within any partition count", () => {
  for (let i = 0; i < 1_000; i++) {
    const partition = groupPartition(`group-${i}`, 7);
    expect(partition).toBeGreaterThanOrEqual(0);
    expect(partition).toBeLessThan(7);
  }
});

/** The same hash by exact integers. */
function javaHash(text: string): number {
  let hash = 0n;
  for (const character of text) hash = BigInt.asIntN(32, hash * 31n + BigInt(character.charCodeAt(0)));
  return Number(hash);
}
