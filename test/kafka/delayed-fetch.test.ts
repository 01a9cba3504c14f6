// The wait of a Fetch by itself.
import { beforeEach, describe, expect, it } from "vitest";
import { waitForNews } from "../../src/kafka/delayed-fetch.ts";
import { ManualClock, quiet } from "./manual-clock.ts";

class Source {
  readonly wakers = new Set<() => void>();
  subscribe(wake: () => void): () => void {
    this.wakers.add(wake);
    return () => this.wakers.delete(wake);
  }
  wake(): void {
    for (const wake of [...this.wakers]) wake();
  }
}

let clock: ManualClock;
let sources: Source[];
let looks: number;
let isReady: boolean;
let stop: AbortController;
let outcome: string;

beforeEach(() => {
  clock = new ManualClock();
  sources = [new Source(), new Source()];
  looks = 0;
  isReady = false;
  stop = new AbortController();
  outcome = "waits";
  const look = () => {
    looks++;
    return isReady;
  };
  waitForNews({ clock, sources, isReady: look, waitMs: 500, signal: stop.signal }).then(
    () => (outcome = "resolved"),
    (error: unknown) => (outcome = String(error)),
  );
});

function expectNothingLeft(): void {
  expect(clock.timerCount).toBe(0);
  expect(sources.map(({ wakers }) => wakers.size)).toEqual([0, 0]);
}

describe("a delayed fetch", () => {
  it("ends with its time, leaving no timer and no subscription", async () => {
    await clock.advance(499);
    expect(outcome).toBe("waits");
    await clock.advance(1);
    expect(outcome).toBe("resolved");
    expectNothingLeft();
  });

  it("looks once for many wakes of one step, and ends when there is enough", async () => {
    for (const source of sources) source.wake();
    sources[0]?.wake();
    await quiet();
    expect([looks, outcome]).toEqual([1, "waits"]);
    isReady = true;
    sources[1]?.wake();
    await quiet();
    expect([looks, outcome]).toEqual([2, "resolved"]);
    expectNothingLeft();
  });

  it("ends with the reason when its connection does", async () => {
    stop.abort(new Error("gone"));
    await quiet();
    expect(outcome).toBe("Error: gone");
    expectNothingLeft();
  });
});
