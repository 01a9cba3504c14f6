// GETs behind the tail: slots, rate, hedges and deadlines.
import { describe, expect, it } from "vitest";
import { ByteBudget } from "../../src/host/byte-budget.ts";
import { DeadlineError } from "../../src/host/clock.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { OutageLog } from "../../src/host/outage-log.ts";
import { type ColdReadSettings, ColdReads, objectStoreColdReads } from "../../src/log/cold-reads.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { type GetFate, SlowStore } from "./slow-store.ts";

const signal = new AbortController().signal;
const object = Uint8Array.from({ length: 1_000 }, (_, index) => index);
const all = { start: 0, length: object.length };

async function worldOf(
  settings: Partial<ColdReadSettings>,
  fateOf?: (nth: number) => GetFate,
  producedBytesAt: (ms: number) => number = () => 0,
) {
  const clock = new SimClock({ seed: "cold" });
  const store = new SlowStore(clock, fateOf);
  await store.put("object", [object], { ifAbsent: true, signal });
  const metrics = new UnexportedMetrics();
  const budget = new ByteBudget(100_000);
  const told: string[] = [];
  const log = {
    ...silentLog,
    warn: (line: string) => void told.push(line),
    info: (line: string) => void told.push(line),
  };
  const outages = new OutageLog({ log, clock, began: "began", over: "over" });
  const reads = new ColdReads({
    store,
    clock,
    metrics,
    settings: { ...objectStoreColdReads, bytesPerSecond: 0, ...settings },
    attemptTimeoutMs: 5_000,
    budget,
    outages,
    producedBytes: () => producedBytesAt(clock.monotonicMs()),
  });
  /** `count` GETs, one after another. */
  const warm = async (count: number) => {
    for (let index = 0; index < count; index++) await clock.complete(reads.get("object", all));
  };
  const hedged = () => metrics.counter("kafscale_cold_gets_hedged_total", "").value;
  return { clock, store, metrics, budget, outages, told, reads, warm, hedged };
}

describe("cold reads", () => {
  it("never have more GETs under way than there are slots", async () => {
    const { clock, store, reads } = await worldOf({ getsInFlightMax: 3 });
    const gets = Array.from({ length: 20 }, (_, start) => reads.get("object", { start, length: 10 }));
    const parts = await clock.complete(Promise.all(gets));
    expect(parts.map((part) => part[0])).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(store.peak.gets).toBe(3);
  });

  it("leave slots to small ones however many large ones wait", async () => {
    const { clock, store, reads } = await worldOf({ getsInFlightMax: 16, largeGetsInFlightMax: 2 }, () => ({
      ms: 100,
    }));
    const large = { start: 0, length: 1024 * 1024 };
    const waiting = Promise.all(Array.from({ length: 8 }, () => reads.get("object", large)));
    await clock.complete(reads.get("object", { start: 0, length: 10 }));
    // The large ones take turns of 100 ms each.
    expect(clock.monotonicMs()).toBe(100);
    expect(store.peak.gets).toBe(3);
    await clock.complete(waiting);
    expect(clock.monotonicMs()).toBe(400);
  });

  it("keep to their rate, which counts the bytes that came", async () => {
    const { clock, reads } = await worldOf({ bytesPerSecond: 10_000 }, () => ({ ms: 0 }));
    for (let index = 0; index < 11; index++) await clock.complete(reads.get("object", all));
    expect(clock.monotonicMs()).toBeCloseTo(1_000, -1);
    // Ten times the object is asked for; there is only one.
    for (let index = 0; index < 10; index++) await clock.complete(reads.get("object", { start: 0, length: 10_000 }));
    expect(clock.monotonicMs()).toBeCloseTo(2_000, -1);
  });

  it("of small objects that are asked for whole do not wait for bytes that the ranges have and the objects have not", async () => {
    const { bytesPerSecond, walChunkBytes } = objectStoreColdReads;
    const settings = { bytesPerSecond, bytesPerSecondBesideProducers: bytesPerSecond / 10 };
    const { clock, reads } = await worldOf(
      settings,
      () => ({ ms: 50 }),
      (ms) => Math.floor(ms),
    );
    const four = () =>
      clock.complete(Promise.all([1, 2, 3, 4].map(() => reads.get("object", { start: 0, length: walChunkBytes }))));
    await four();
    await clock.advance(1_000);
    const startMs = clock.monotonicMs();
    await four();
    expect(clock.monotonicMs() - startMs).toBeLessThan(60);
  });

  it("keep to their rate where small and large objects are asked for alike", async () => {
    const { clock, store, reads } = await worldOf({ bytesPerSecond: 10_000 }, () => ({ ms: 0 }));
    await store.put("small", [object.subarray(0, 10)], { ifAbsent: true, signal });
    for (let index = 0; index < 20; index++) {
      for (const key of ["small", "object"]) await clock.complete(reads.get(key, { start: 0, length: 5_000 }));
    }
    // The last one is not waited for.
    expect(clock.monotonicMs()).toBeGreaterThan(1_900);
    expect(clock.monotonicMs()).toBeLessThan(2_100);
  });

  it("send a GET a second time when it takes longer than nearly all before, and take the answer that comes first", async () => {
    const { clock, store, reads, warm, hedged } = await worldOf({ hedgeMsMin: 50 }, (nth) => ({
      ms: nth === 30 ? 4_000 : 10,
    }));
    await warm(30);
    const startMs = clock.monotonicMs();
    expect(await clock.complete(reads.get("object", all))).toEqual(object);
    expect(clock.monotonicMs() - startMs).toBeCloseTo(60, 0);
    expect([store.ranges.length, hedged()]).toEqual([32, 1]);
    await clock.advance(1);
    expect([store.abortedCount, clock.pendingCount]).toEqual([1, 0]);
  });

  it("take the second answer when the first GET fails after all, and fail only when both do", async () => {
    const fates: Record<number, GetFate> = {
      30: { ms: 55, fails: true },
      32: { ms: 55, fails: true },
      33: { ms: 10, fails: true },
    };
    const { clock, reads, warm, hedged, budget } = await worldOf({ hedgeMsMin: 50 }, (nth) => fates[nth] ?? { ms: 10 });
    await warm(30);
    expect(await clock.complete(reads.get("object", all))).toEqual(object);
    await expect(clock.complete(reads.get("object", all))).rejects.toThrow(/fails/);
    expect([hedged(), budget.taken]).toEqual([2, 0]);
  });

  it("do not hedge a GET that failed before, nor while too little is known, nor where that is switched off", async () => {
    const failing = await worldOf({ hedgeMsMin: 50 }, (nth) => ({ ms: 10, fails: nth === 30 }));
    await failing.warm(30);
    await expect(failing.clock.complete(failing.reads.get("object", all))).rejects.toThrow(/fails/);
    expect([failing.hedged(), failing.clock.pendingCount]).toEqual([0, 0]);
    const young = await worldOf({ hedgeMsMin: 50 }, (nth) => ({ ms: nth === 10 ? 4_000 : 10 }));
    await young.warm(11);
    expect(young.hedged()).toBe(0);
    const off = await worldOf({ hedgeMsMin: Number.POSITIVE_INFINITY }, (nth) => ({ ms: nth === 30 ? 4_000 : 10 }));
    await off.warm(31);
    expect(off.hedged()).toBe(0);
  });

  it("hedge one GET in ten at most, so that a slow store is not asked twice as much", async () => {
    const { clock, store, reads, warm, hedged } = await worldOf({ hedgeMsMin: 20 }, (nth) => ({
      ms: nth < 40 ? 10 : 300,
    }));
    await warm(40);
    const gets = Array.from({ length: 100 }, () => reads.get("object", all));
    await clock.complete(Promise.all(gets));
    expect(hedged()).toBeGreaterThan(0);
    expect(hedged()).toBeLessThanOrEqual(4 + 10);
    expect(store.peak.gets).toBeLessThanOrEqual(16);
  });

  it("send no second GET that the budget has no room for", async () => {
    const { clock, reads, warm, hedged, budget } = await worldOf({ hedgeMsMin: 50 }, (nth) => ({
      ms: nth === 30 ? 400 : 10,
    }));
    await warm(30);
    expect(budget.tryTake(99_500)).toBe(true);
    expect(await clock.complete(reads.get("object", all))).toEqual(object);
    expect([hedged(), budget.taken]).toEqual([0, 99_500]);
  });

  it("fail at their deadline and give their slot back", async () => {
    const { clock, reads } = await worldOf({ getsInFlightMax: 1 }, (nth) => ({ ms: nth === 0 ? 60_000 : 10 }));
    const first = clock.complete(reads.get("object", all));
    await expect(first).rejects.toThrow(DeadlineError);
    expect(await clock.complete(reads.get("object", all))).toEqual(object);
  });

  it("tell an outage at its beginning and at its end, a deadline being a failure", async () => {
    const { clock, reads, outages, told } = await worldOf({}, (nth) =>
      nth === 0 ? { ms: 60_000 } : { ms: 1_000, fails: nth < 3 },
    );
    await expect(clock.complete(reads.get("object", all))).rejects.toThrow(DeadlineError);
    for (let nth = 1; nth < 3; nth++) await expect(clock.complete(reads.get("object", all))).rejects.toThrow(/fails/);
    expect(outages.failingForMs).toBeCloseTo(2_000, 0);
    expect(told).toEqual(["began"]);
    await clock.complete(reads.get("object", all));
    expect(outages.failingForMs).toBe(0);
    expect(told).toEqual(["began", "over"]);
  });

  it("take the word that an object is gone for an answer", async () => {
    const { clock, reads, outages, told } = await worldOf({});
    outages.failed(new ObjectStoreError("unavailable", "get of something else"));
    await expect(clock.complete(reads.get("nothing", all))).rejects.toMatchObject({ kind: "not-found" });
    expect(told).toEqual(["began", "over"]);
  });

  it("tell of no outage when a GET is given up because its second was faster", async () => {
    const { clock, store, warm, told } = await worldOf({ hedgeMsMin: 50 }, (nth) => ({ ms: nth === 30 ? 4_000 : 10 }));
    await warm(31);
    await clock.advance(5_000);
    expect(store.abortedCount).toBe(1);
    expect(told).toEqual([]);
  });
});
