// Seeded chance: repeatable, independent by name, and evenly spread.
import { expect, it } from "vitest";
import { SimRandom } from "./sim-random.ts";

it("draws the same from the same seed and something else from another", () => {
  const draw = (seed: number) => Array.from(new SimRandom(seed).bytes(32)).join();
  expect(draw(1)).toBe(draw(1));
  expect(draw(1)).not.toBe(draw(2));
});

it("gives a child by name that does not depend on what its parent drew", () => {
  const fresh = new SimRandom(5);
  const used = new SimRandom(5);
  used.bytes(100);
  expect(used.split("store").uniform()).toBe(fresh.split("store").uniform());
  expect(fresh.split("store").uniform()).not.toBe(fresh.split("clock").uniform());
});

it("spreads evenly over [0, 1) and over the whole numbers below a bound", () => {
  const random = new SimRandom(9);
  const counts = Array.from({ length: 10 }, () => 0);
  for (let index = 0; index < 20_000; index++) {
    const value = random.uniform();
    expect(value >= 0 && value < 1).toBe(true);
    const slot = random.below(10);
    counts[slot] = (counts[slot] ?? 0) + 1;
  }
  for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(250);
});

it("refuses to pick from nothing", () => {
  expect(() => new SimRandom(1).pick([])).toThrow("nothing");
  expect([1, 2]).toContain(new SimRandom(1).pick([1, 2]));
});
