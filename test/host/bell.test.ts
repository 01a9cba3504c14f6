// A wake-up that loses no ring.
import { expect, it } from "vitest";
import { Bell } from "../../src/host/bell.ts";
import { SimClock } from "../sim/sim-clock.ts";

const { signal } = new AbortController();

it("ends the present wait, and a later one at once when it rang before", async () => {
  const bell = new Bell(new SimClock({ seed: "bell" }));
  const waiting = bell.wait(signal);
  bell.ring();
  await expect(waiting).resolves.toBeUndefined();
  bell.ring();
  bell.ring();
  await expect(bell.wait(signal)).resolves.toBeUndefined();
});

it("ends after its time, and forgets a ring that was waited for", async () => {
  const clock = new SimClock({ seed: "bell" });
  const bell = new Bell(clock);
  bell.ring();
  await bell.wait(signal);
  const before = clock.monotonicMs();
  await clock.complete(bell.wait(signal, 250));
  expect(clock.monotonicMs() - before).toBe(250);
  expect(clock.pendingCount).toBe(0);
});

it("rejects with the signal's reason and leaves no timer", async () => {
  const clock = new SimClock({ seed: "bell" });
  const bell = new Bell(clock);
  const stop = new AbortController();
  const waiting = bell.wait(stop.signal, 250);
  stop.abort(new Error("over"));
  await expect(waiting).rejects.toThrow("over");
  await expect(bell.wait(stop.signal)).rejects.toThrow("over");
});
