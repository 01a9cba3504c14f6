// The real clock, as far as it can be shown without waiting.
import { expect, it } from "vitest";
import { SystemClock } from "../../src/host/system-clock.ts";

it("never goes back and knows the year", () => {
  const clock = new SystemClock();
  const readings = Array.from({ length: 1000 }, () => clock.monotonicMs());
  expect(readings).toEqual(readings.toSorted((a, b) => a - b));
  expect(clock.wallMs()).toBeGreaterThan(Date.UTC(2025, 0));
});

it("fires a timer once, not the cancelled one, and takes delays beyond Node's longest", async () => {
  const clock = new SystemClock();
  const fired: string[] = [];
  const cancelFar = clock.setTimer(2 ** 40, () => fired.push("far"));
  clock.setTimer(0, () => fired.push("cancelled"))();
  await new Promise<void>((resolve) => {
    clock.setTimer(5, () => {
      fired.push("near");
      resolve();
    });
  });
  cancelFar();
  expect(fired).toEqual(["near"]);
});

it("fires a timer without delay after the present step and before any timer with one", async () => {
  const clock = new SystemClock();
  const fired: string[] = [];
  await new Promise<void>((resolve) => {
    clock.setTimer(2, () => {
      fired.push("later");
      resolve();
    });
    clock.setTimer(0, () => fired.push("now"));
    fired.push("step");
  });
  expect(fired).toEqual(["step", "now", "later"]);
});
