// Deadlines that share a timer.
import { beforeEach, describe, expect, it } from "vitest";
import { Deadlines } from "../../src/kafka/deadlines.ts";
import { ManualClock } from "./manual-clock.ts";

let clock: ManualClock;
let deadlines: Deadlines;
let fired: string[];

beforeEach(() => {
  clock = new ManualClock();
  deadlines = new Deadlines(clock);
  fired = [];
});

function set(name: string, delayMs: number): () => void {
  return deadlines.set(delayMs, () => fired.push(name));
}

describe("deadlines", () => {
  it("fire not before their time and at most 50 ms after it, from one timer", async () => {
    set("a", 1_000);
    set("b", 1_020);
    set("now", -5);
    expect(clock.timerCount).toBe(1);
    await clock.advance(50);
    expect(fired).toEqual(["now"]);
    await clock.advance(949);
    expect(fired).toEqual(["now"]);
    await clock.advance(71);
    expect(fired).toEqual(["now", "a", "b"]);
    expect(clock.timerCount).toBe(0);
  });

  it("do not fire once cancelled, and leave no timer behind", async () => {
    const cancelA = set("a", 1_000);
    const cancelB = set("b", 1_000);
    cancelA();
    cancelB();
    expect(clock.timerCount).toBe(0);
    set("c", 100);
    await clock.advance(5_000);
    expect(fired).toEqual(["c"]);
  });
});
