// What small objects may cost: a rate over time, whatever they come in.
import fc from "fast-check";
import { expect, it } from "vitest";
import { SmallPuts } from "../../src/log/small-puts.ts";

it("is closed until what was spent is paid for, all of one lot", () => {
  const puts = new SmallPuts(2);
  expect(puts.isOpen(0)).toBe(true);
  puts.spend(1_000, 10);
  expect([puts.isOpen(1_000), puts.isOpen(5_999), puts.isOpen(6_000)]).toEqual([false, false, true]);
  puts.spend(4_000, 4);
  expect([puts.isOpen(7_999), puts.isOpen(8_000)]).toEqual([false, true]);
});

it("saves nothing up", () => {
  const puts = new SmallPuts(1);
  puts.spend(1_000_000, 3);
  expect([puts.isOpen(1_002_999), puts.isOpen(1_003_000)]).toEqual([false, true]);
});

it("lets no more through than the rate and one lot, whoever spends when it is open", () => {
  const lots = fc.array(fc.record({ afterMs: fc.nat(10_000), count: fc.integer({ min: 1, max: 50 }) }), {
    minLength: 1,
  });
  fc.assert(
    fc.property(lots, fc.constantFrom(0.5, 0.75, 3), (list, perSecond) => {
      const puts = new SmallPuts(perSecond);
      let [nowMs, spent, last] = [0, 0, 0];
      for (const { afterMs, count } of list) {
        nowMs += afterMs;
        if (!puts.isOpen(nowMs)) continue;
        puts.spend(nowMs, count);
        spent += count;
        last = count;
        expect(spent - last).toBeLessThanOrEqual((nowMs * perSecond) / 1000 + 1e-6);
      }
      expect(spent).toBeGreaterThan(0);
    }),
  );
});

it("is always open without a rate", () => {
  const puts = new SmallPuts(0);
  puts.spend(0, 1_000_000);
  expect(puts.isOpen(0)).toBe(true);
});
