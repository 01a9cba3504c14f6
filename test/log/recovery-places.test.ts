// Places of recovery: what is slow gives its place away.
import { expect, it } from "vitest";
import { inPlaces } from "../../src/log/recovery-places.ts";
import { SimClock } from "../sim/sim-clock.ts";

it("lets all others pass while more items than there are places wait for ever", async () => {
  const clock = new SimClock({ seed: "places" });
  const done: number[] = [];
  const items = Array.from({ length: 100 }, (_, item) => item);
  const isStuck = (item: number) => item >= 60;
  const release: (() => void)[] = [];
  const work = inPlaces(clock, items, async (item) => {
    if (isStuck(item)) await new Promise<void>((resolve) => release.push(resolve));
    done.push(item);
  });
  await clock.advance(2_000);
  expect(done.toSorted((a, b) => a - b)).toEqual(items.slice(0, 60));
  for (const resolve of release) resolve();
  await clock.complete(work);
  expect(done).toHaveLength(100);
});

it("begins no more than eight at a time where each is quick, and rejects with the failure of one", async () => {
  const clock = new SimClock({ seed: "places" });
  let running = 0;
  let most = 0;
  const work = inPlaces(
    clock,
    Array.from({ length: 40 }, (_, item) => item),
    async (item) => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => void clock.setTimer(10, resolve));
      running--;
      if (item === 0) throw new Error("the last one fails");
    },
  );
  await expect(clock.complete(work)).rejects.toThrow("the last one fails");
  expect(most).toBe(8);
});
