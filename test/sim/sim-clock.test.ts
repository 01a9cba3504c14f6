// Virtual time: order, determinism, and the lives of nodes.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sleep } from "../../src/host/clock.ts";
import { SimClock } from "./sim-clock.ts";

const forever = new AbortController().signal;

describe("SimClock", () => {
  it("fires timers in the order of their time, whatever the order they were set in", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 40 }), async (delays) => {
        const clock = new SimClock({ seed: 1 });
        const fired: number[] = [];
        for (const delay of delays) clock.setTimer(delay, () => fired.push(clock.monotonicMs()));
        await clock.run();
        expect(fired).toEqual(delays.toSorted((a, b) => a - b));
        expect(clock.pendingCount).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  it("orders timers of one instant by the seed, the same way each time", async () => {
    const orderOf = async (seed: number) => {
      const clock = new SimClock({ seed });
      const fired: number[] = [];
      for (let index = 0; index < 8; index++) clock.setTimer(5, () => fired.push(index));
      await clock.run();
      return fired.join();
    };
    expect(await orderOf(7)).toBe(await orderOf(7));
    expect(new Set(await Promise.all([1, 2, 3, 4, 5].map(orderOf))).size).toBeGreaterThan(1);
  });

  it("runs every promise job that a timer woke before the next timer fires", async () => {
    const clock = new SimClock();
    const trace: string[] = [];
    clock.setTimer(1, () => {
      void (async () => {
        for (let index = 0; index < 20; index++) await Promise.resolve();
        trace.push("jobs of the first");
      })();
    });
    clock.setTimer(2, () => trace.push("second"));
    await clock.run();
    expect(trace).toEqual(["jobs of the first", "second"]);
  });

  it("does not fire a cancelled timer", async () => {
    const clock = new SimClock();
    let isFired = false;
    clock.setTimer(1, () => {
      isFired = true;
    })();
    await clock.run();
    expect(isFired).toBe(false);
    expect(clock.monotonicMs()).toBe(0);
  });

  it("stands at the end of the time it was to advance", async () => {
    const clock = new SimClock();
    clock.setTimer(100, () => {});
    await clock.advance(40);
    expect(clock.monotonicMs()).toBe(40);
    expect(clock.pendingCount).toBe(1);
  });

  it("shows a skew on the wall clock only", async () => {
    const clock = new SimClock({ startWallMs: 1000 });
    clock.skewMs = -600;
    await clock.advance(5);
    expect(clock.wallMs()).toBe(405);
    expect(clock.monotonicMs()).toBe(5);
  });

  it("says so when a promise can never settle", async () => {
    const clock = new SimClock();
    await expect(clock.complete(new Promise(() => {}))).rejects.toThrow("still pending");
    await expect(clock.complete(sleep(clock, 10, forever))).resolves.toBeUndefined();
  });

  it("fails a run that does not end", async () => {
    const clock = new SimClock();
    const again = () => void clock.setTimer(1, again);
    again();
    await expect(clock.run({ eventsMax: 50 })).rejects.toThrow("still busy");
  });
});

describe("SimNodeClock", () => {
  it("fires nothing for a node that was killed", async () => {
    const clock = new SimClock();
    const node = clock.node();
    let fired = 0;
    node.setTimer(5, () => fired++);
    node.kill();
    node.setTimer(5, () => fired++);
    await clock.run();
    expect(fired).toBe(0);
  });

  it("delivers at resume what became due during a pause, except what was cancelled meanwhile", async () => {
    const clock = new SimClock();
    const node = clock.node();
    const fired: string[] = [];
    node.setTimer(5, () => fired.push("due"));
    const cancel = node.setTimer(6, () => fired.push("cancelled"));
    node.pause();
    await clock.advance(20);
    expect(fired).toEqual([]);
    cancel();
    node.resume();
    await clock.run();
    expect(fired).toEqual(["due"]);
    expect(clock.monotonicMs()).toBe(20);
  });
});
