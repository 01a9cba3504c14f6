// The byte budget: its bound, its order, and what becomes of waiters that give up.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteBudget } from "../../src/host/byte-budget.ts";

const { signal } = new AbortController();

/** Lets promise jobs run. */
async function turn(): Promise<void> {
  for (let index = 0; index < 5; index++) await Promise.resolve();
}

describe("ByteBudget", () => {
  it("gives out its bytes and no more", () => {
    const budget = new ByteBudget(10);
    expect(budget.tryTake(10)).toBe(true);
    expect(budget.tryTake(1)).toBe(false);
    budget.give(4);
    expect(budget.tryTake(4)).toBe(true);
    expect(budget.taken).toBe(10);
  });

  it("serves waiters in order, a small one never before a large one", async () => {
    const budget = new ByteBudget(10);
    budget.tryTake(10);
    const served: string[] = [];
    void budget.take(8, { signal }).then(() => served.push("large"));
    void budget.take(1, { signal }).then(() => served.push("small"));
    budget.give(5);
    await turn();
    expect(served).toEqual([]);
    expect(budget.tryTake(1)).toBe(false);
    budget.give(3);
    await turn();
    expect(served).toEqual(["large"]);
    budget.give(2);
    await turn();
    expect(served).toEqual(["large", "small"]);
  });

  it("takes nothing for a waiter that gives up, and serves who stood behind it", async () => {
    const budget = new ByteBudget(10);
    budget.tryTake(6);
    const controller = new AbortController();
    const large = budget.take(9, { signal: controller.signal });
    const small = budget.take(4, { signal });
    controller.abort(new Error("closed"));
    await expect(large).rejects.toThrow("closed");
    await small;
    expect(budget.taken).toBe(10);
    expect(budget.waitingCount).toBe(0);
    await expect(budget.take(1, { signal: controller.signal })).rejects.toThrow("closed");
  });

  it("goes past the bound only when forced, and serves nobody until that is paid back", async () => {
    const budget = new ByteBudget(10);
    budget.tryTake(10);
    budget.force(5);
    expect(budget.taken).toBe(15);
    let isServed = false;
    const waiting = budget.take(1, { signal }).then(() => {
      isServed = true;
    });
    budget.give(5);
    await turn();
    expect(isServed).toBe(false);
    budget.give(1);
    await waiting;
    expect(budget.taken).toBe(10);
  });

  it("refuses to give back what was not taken, and to wait for what can never be had", () => {
    const budget = new ByteBudget(10);
    expect(() => budget.give(1)).toThrow("given back");
    expect(() => budget.take(11, { signal })).toThrow("never");
  });

  it("stays within its bound, loses no byte and leaves no waiter behind, whatever is done in what order", async () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant("take" as const), bytes: fc.integer({ min: 0, max: 100 }) }),
      fc.record({ type: fc.constant("give" as const), bytes: fc.nat(20) }),
      fc.record({ type: fc.constant("abort" as const), bytes: fc.nat(20) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const budget = new ByteBudget(100);
        const held: number[] = [];
        const open: AbortController[] = [];
        for (const { type, bytes } of steps) {
          if (type === "take") {
            const controller = new AbortController();
            open.push(controller);
            budget.take(bytes, { signal: controller.signal }).then(
              () => held.push(bytes),
              () => {},
            );
          } else if (type === "give") budget.give(held.splice(bytes % Math.max(1, held.length), 1)[0] ?? 0);
          else open[bytes % Math.max(1, open.length)]?.abort();
          await turn();
          expect(budget.taken).toBe(held.reduce((sum, one) => sum + one, 0));
          expect(budget.taken).toBeLessThanOrEqual(100);
        }
        while (held.length > 0) {
          budget.give(held.pop() ?? 0);
          await turn();
        }
        expect([budget.taken, budget.waitingCount]).toEqual([0, 0]);
      }),
      { numRuns: 200 },
    );
  });
});
