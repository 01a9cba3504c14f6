// The PUT budget: how long a flush waits for a token.
import fc from "fast-check";
import { expect, it } from "vitest";
import { PutBudget } from "../../src/log/put-budget.ts";

it("lets an idle broker spend its burst at once and then earns tokens at the given rate", () => {
  const budget = new PutBudget({ perSecond: 4, burst: 3 }, 0);
  for (let n = 0; n < 3; n++) {
    expect(budget.waitMs(0)).toBe(0);
    budget.spend(0);
  }
  expect(budget.waitMs(0)).toBe(250);
  expect(budget.waitMs(100)).toBe(150);
  expect(budget.waitMs(250)).toBe(0);
});

it("is at 0 after a flush that could not wait for a token", () => {
  const budget = new PutBudget({ perSecond: 4, burst: 1 }, 0);
  budget.spend(0);
  budget.spend(200);
  expect(budget.waitMs(200)).toBe(250);
});

it("never waits without a limit", () => {
  const budget = new PutBudget({ perSecond: 0, burst: 0 }, 0);
  budget.spend(0);
  expect([budget.isUnlimited, budget.waitMs(0)]).toEqual([true, 0]);
});

it("never lets more tokens be waited out than burst plus rate times time", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 50 }), (perSecond, burst) => {
      const budget = new PutBudget({ perSecond, burst }, 0);
      let spent = 0;
      for (let nowMs = 0; nowMs < 10_000; nowMs++) {
        if (budget.waitMs(nowMs) > 0) continue;
        budget.spend(nowMs);
        spent++;
      }
      expect(spent).toBeLessThanOrEqual(burst + perSecond * 10 + 1);
      expect(spent).toBeGreaterThanOrEqual(perSecond * 9);
    }),
  );
});
