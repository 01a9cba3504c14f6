// The cache of chunks: the same bytes whatever its settings, one GET for many readers, bounds, and what is not accepted.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { longLivedController } from "../../src/host/abort.ts";
import { ByteBudget } from "../../src/host/byte-budget.ts";
import { ChunkCache } from "../../src/log/chunk-cache.ts";
import { FormatError } from "../../src/objects/format-error.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { type GetFate, SlowStore } from "./slow-store.ts";

const signal = longLivedController().signal;

function contentOf(key: string, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 31 + key.length * 7 + key.charCodeAt(0)) & 0xff);
}

interface Options {
  readonly chunkBytes?: number;
  readonly cacheBytes?: number;
  readonly budgetBytes?: number;
  readonly objectBytes?: number;
  readonly keys?: readonly string[];
  readonly fateOf?: (nth: number, key: string) => GetFate;
}

async function worldOf(options: Options = {}) {
  const { chunkBytes = 100, cacheBytes = 10_000, budgetBytes = 1_000, objectBytes = 1_000, keys = ["a"] } = options;
  const clock = new SimClock({ seed: "chunks" });
  const store = new SlowStore(clock, options.fateOf);
  const contents = new Map(keys.map((key) => [key, contentOf(key, objectBytes)]));
  for (const [key, bytes] of contents) await store.put(key, [bytes], { ifAbsent: true, signal });
  const budget = new ByteBudget(budgetBytes);
  const get = (key: string, range: { start: number; length: number }) => store.get(key, { range, signal });
  const cache = new ChunkCache({ get, budget, cacheBytes, chunkBytes });
  const accepted: string[] = [];
  const rangeOf = (key: string, start: number, length: number) => ({
    key,
    start,
    length,
    accepts: (bytes: Uint8Array) => {
      accepted.push(`${key}@${start}`);
      return Buffer.from(contents.get(key) ?? [])
        .subarray(start, start + length)
        .equals(bytes);
    },
  });
  const read = (key: string, start: number, length: number) => cache.read(rangeOf(key, start, length));
  return { clock, store, budget, cache, accepted, read, rangeOf };
}

const rangeArbitrary = fc.record({
  key: fc.constantFrom("a", "b"),
  start: fc.nat(299),
  length: fc.integer({ min: 1, max: 130 }),
});

describe("a read through the cache", () => {
  it("gives the bytes of the store, whatever the sizes, the order and the failures; every byte of the budget comes back", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(rangeArbitrary, { minLength: 1, maxLength: 30 }),
        fc.constantFrom(0, 1, 7, 64, 100, 1_000),
        fc.constantFrom(1, 150, 10_000),
        fc.constantFrom(1, 90, 1_000),
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.boolean(), { maxLength: 20 }),
        async (ranges, chunkBytes, cacheBytes, budgetBytes, together, fails) => {
          const fateOf = (nth: number) => ({ ms: (nth * 7) % 20, fails: fails[nth] ?? false });
          const world = await worldOf({
            chunkBytes,
            cacheBytes,
            budgetBytes,
            objectBytes: 430,
            keys: ["a", "b"],
            fateOf,
          });
          let right = 0;
          let failed = 0;
          for (let at = 0; at < ranges.length; at += together) {
            const batch = ranges.slice(at, at + together).map(async ({ key, start, length }) => {
              try {
                const bytes = await world.read(key, start, length);
                expect(
                  Buffer.from(contentOf(key, 430))
                    .subarray(start, start + length)
                    .equals(bytes),
                ).toBe(true);
                right++;
              } catch (error) {
                expect(String(error)).toMatch(/fails/);
                failed++;
              }
            });
            await world.clock.complete(Promise.all(batch));
            expect(world.cache.kept.bytes).toBeLessThanOrEqual(cacheBytes);
          }
          expect(right + failed).toBe(ranges.length);
          if (!fails.includes(true)) expect(failed).toBe(0);
          expect([world.budget.taken, world.budget.waitingCount]).toEqual([0, 0]);
          // A range may be larger than the whole budget; then it is alone.
          const largest = Math.max(budgetBytes, ...ranges.map(({ length }) => length + 2 * chunkBytes));
          expect(world.store.peak.bytes).toBeLessThanOrEqual(largest);
        },
      ),
      { numRuns: 150 },
    ));

  it("costs one GET per chunk however many ask for however many parts of it, and one check per part", async () => {
    const { clock, store, accepted, read } = await worldOf();
    const reads = [0, 10, 40, 40, 90].map((start) => read("a", start, 10));
    await clock.complete(Promise.all(reads));
    for (const start of [0, 10, 40, 40, 90]) await clock.complete(read("a", start, 10));
    expect(store.ranges).toEqual([{ key: "a", start: 0, length: 100 }]);
    expect(accepted).toHaveLength(4);
  });

  it("fetches exactly what is asked for where chunks have no size", async () => {
    const { clock, store, read } = await worldOf({ chunkBytes: 0 });
    for (const start of [5, 7, 5]) await clock.complete(read("a", start, 300));
    expect(store.ranges.map(({ start, length }) => [start, length])).toEqual([
      [5, 300],
      [7, 300],
    ]);
  });

  it("joins a range that crosses chunks once, and keeps it", async () => {
    const { clock, store, accepted, read } = await worldOf();
    await clock.complete(read("a", 150, 200));
    await clock.complete(read("a", 150, 200));
    await clock.complete(read("a", 210, 60));
    expect(store.ranges.map(({ start }) => start)).toEqual([100, 200, 300]);
    expect(accepted).toHaveLength(2);
  });

  it("fetches a tiny range alone first, and its chunk when another part of it is wanted", async () => {
    const { clock, store, read } = await worldOf({ chunkBytes: 500 });
    for (const start of [10, 10, 20, 30]) await clock.complete(read("a", start, 5));
    expect(store.ranges.map(({ start, length }) => [start, length])).toEqual([
      [10, 5],
      [0, 500],
    ]);
  });

  it("learns that nobody shares the chunks of a lonely reader, and that somebody does again", async () => {
    const keys = Array.from({ length: 60 }, (_, index) => `${String.fromCharCode(97 + (index % 26))}${index}`);
    const { clock, store, read } = await worldOf({ cacheBytes: 300, keys });
    for (const key of keys.slice(0, 40)) await clock.complete(read(key, 10, 20));
    const lengths = store.ranges.map(({ length }) => length);
    expect(lengths.slice(0, 7)).toEqual([100, 100, 100, 100, 100, 100, 100]);
    expect(new Set(lengths.slice(-25))).toEqual(new Set([20]));
    for (const key of keys.slice(40)) {
      for (const start of [10, 40]) await clock.complete(read(key, start, 20));
    }
    expect(store.ranges.slice(-3).map(({ length }) => length)).toEqual([100, 100, 100]);
  });

  it("gives a small part as a copy, so that an answer under way does not pin a chunk", async () => {
    const { clock, read } = await worldOf();
    expect((await clock.complete(read("a", 10, 10))).buffer.byteLength).toBe(10);
    expect((await clock.complete(read("a", 10, 60))).buffer.byteLength).toBe(100);
  });

  it("says what is at hand: kept, or on its way", async () => {
    const { clock, cache, read, rangeOf } = await worldOf();
    expect(cache.isAtHand({ key: "a", start: 0, length: 150 })).toBe(false);
    const reading = read("a", 0, 150);
    expect(cache.isAtHand({ key: "a", start: 0, length: 150 })).toBe(true);
    expect(cache.readKept(rangeOf("a", 0, 50))).toBeUndefined();
    await clock.complete(reading);
    expect(cache.isAtHand({ key: "a", start: 20, length: 30 })).toBe(true);
    expect(cache.readKept(rangeOf("a", 0, 50))).toHaveLength(50);
  });
});

it("lets go of a chunk first when readers have had nearly all of it, however often one of them had the same part", async () => {
  const { clock, cache, read, rangeOf } = await worldOf({ cacheBytes: 300 });
  const kept = () => [0, 1, 2, 3, 4].filter((chunk) => cache.kept.has(`a#${chunk}`));
  for (const start of [0, 100, 200]) await clock.complete(read("a", start, 60));
  for (let times = 0; times < 3; times++) cache.noteDone(rangeOf("a", 100, 60));
  await clock.complete(read("a", 300, 60));
  expect(kept()).toEqual([1, 2, 3]);
  // The end of the second chunk and the beginning of the third.
  cache.noteDone(rangeOf("a", 270, 50));
  cache.noteDone(rangeOf("a", 200, 60));
  await clock.complete(read("a", 400, 60));
  expect(kept()).toEqual([1, 3, 4]);
});

it("fetches an object in chunks of the size that suits it", async () => {
  const { clock, store, cache, rangeOf } = await worldOf({ keys: ["a", "b"] });
  const read = async (key: string, start: number, chunkBytes?: number) => {
    const range = { ...rangeOf(key, start, 20), chunkBytes };
    expect(cache.isAtHand(range)).toBe(cache.readKept(range) !== undefined);
    return await clock.complete(cache.read(range));
  };
  const content = contentOf("a", 1_000);
  for (const start of [10, 150, 370, 390]) {
    expect(await read("a", start, 400)).toEqual(content.subarray(start, start + 20));
  }
  for (const start of [10, 150, 10]) await read("b", start);
  expect(store.ranges.map(({ key, start, length }) => [key, start, length])).toEqual([
    ["a", 10, 20],
    ["a", 0, 400],
    ["a", 400, 400],
    ["b", 0, 100],
    ["b", 100, 100],
  ]);
});

describe("bytes that are not accepted", () => {
  it.each([0, 100])(
    "fail their reader, are forgotten, and are fetched anew by the next (chunks of %i)",
    async (chunkBytes) => {
      const { clock, store, cache, read } = await worldOf({ chunkBytes });
      const good = contentOf("a", 1_000);
      const bad = good.slice();
      bad[55] = (bad[55] ?? 0) ^ 1;
      await store.put("a", [bad], { ifAbsent: false, signal });
      await expect(clock.complete(read("a", 50, 60))).rejects.toThrow(FormatError);
      await expect(clock.complete(read("a", 50, 10))).rejects.toThrow(/a: 10 bytes at 50/);
      expect(cache.kept.bytes).toBe(0);
      await store.put("a", [good], { ifAbsent: false, signal });
      expect(await clock.complete(read("a", 50, 60))).toEqual(good.subarray(50, 110));
    },
  );

  it("fail only who needs them: other parts of the same chunk are served", async () => {
    const { clock, store, read } = await worldOf();
    const bad = contentOf("a", 1_000);
    bad[5] = (bad[5] ?? 0) ^ 1;
    await store.put("a", [bad], { ifAbsent: false, signal });
    const [damaged, sound] = await clock.complete(Promise.allSettled([read("a", 0, 10), read("a", 50, 10)]));
    expect([damaged?.status, sound?.status]).toEqual(["rejected", "fulfilled"]);
  });

  it("are those of an object that ends before the range does", async () => {
    const { clock, store, read } = await worldOf();
    for (const bytes of [120, 100, 60]) {
      await store.put("a", [contentOf("a", bytes)], { ifAbsent: false, signal });
      await expect(clock.complete(read("a", 50, 100))).rejects.toThrow(/a|not-found|past/);
    }
  });
});

it("waits in line for its bytes, and gives them back when a GET fails", async () => {
  const { clock, store, budget, read } = await worldOf({
    budgetBytes: 250,
    chunkBytes: 100,
    fateOf: (nth) => ({ ms: 10, fails: nth === 0 }),
  });
  const reads = [0, 200, 400, 600].map((start) => read("a", start, 100));
  const ended = await clock.complete(Promise.allSettled(reads));
  expect(ended.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled", "fulfilled"]);
  expect(store.peak.bytes).toBe(200);
  expect(budget.taken).toBe(0);
});
