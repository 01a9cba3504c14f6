// Real chance: right lengths and ranges, and no two draws alike.
import { expect, it } from "vitest";
import { SystemRandom } from "../../src/host/system-random.ts";

it("draws fresh bytes and numbers in [0, 1)", () => {
  const random = new SystemRandom();
  expect(random.bytes(16).byteLength).toBe(16);
  expect(random.bytes(16)).not.toEqual(random.bytes(16));
  expect(random.bytes(0).byteLength).toBe(0);
  for (let index = 0; index < 100; index++) {
    const value = random.uniform();
    expect(value >= 0 && value < 1).toBe(true);
  }
});
