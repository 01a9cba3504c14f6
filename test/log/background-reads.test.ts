// Reads that no client waits for: how few GETs bring many stretches, and what is not given out.
import fc from "fast-check";
import { expect, it } from "vitest";
import { longLivedController } from "../../src/host/abort.ts";
import { BackgroundReads } from "../../src/log/background-reads.ts";
import type { Stretch } from "../../src/log/stretch.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { type GetFate, SlowStore } from "./slow-store.ts";

const { signal } = longLivedController();
const KIB = 1024;
const OBJECT_BYTES = 12 * 1024 * KIB;
const content = Uint8Array.from({ length: OBJECT_BYTES }, (_, index) => (index * 31 + (index >> 9)) & 0xff);

async function worldOf(keys: readonly string[], fateOf?: (nth: number, key: string) => GetFate) {
  const clock = new SimClock({ seed: "background" });
  const store = new SlowStore(clock, fateOf);
  for (const key of keys) await store.put(key, [content], { ifAbsent: true, signal });
  const reads = new BackgroundReads({ store, clock, attemptTimeoutMs: 10_000, bytesPerSecond: 0 });
  const gather = async (stretches: readonly Stretch[]) => (await clock.complete(reads.gather(stretches, signal))).found;
  const asked = () => store.ranges.map(({ key, start, length }) => [key, start / KIB, length / KIB]);
  return { store, gather, asked };
}

/** So many KiB at a place, in KiB. */
function stretchOf(key: string, position: number, length: number): Stretch {
  const place = { key, position: position * KIB, length: length * KIB, baseOffset: 0, endOffset: 1 };
  return { ...place, crc32c: crc32c(content.subarray(place.position, place.position + place.length)) };
}

it("brings stretches that lie side by side with one GET, 8 MiB at most, and those far apart alone", async () => {
  const { gather, asked } = await worldOf(["a", "b"]);
  const near = [stretchOf("a", 0, 64), stretchOf("a", 64, 64), stretchOf("a", 384, 10)];
  const far = stretchOf("a", 651, 5);
  const large = [stretchOf("b", 0, 4_096), stretchOf("b", 4_096, 4_096), stretchOf("b", 8_192, 1)];
  const given = await gather([...large, far, ...near]);
  expect(given.size).toBe(7);
  expect(asked()).toEqual([
    ["a", 0, 394],
    ["a", 651, 5],
    ["b", 0, 8_192],
    ["b", 8_192, 1],
  ]);
});

it("gives each stretch its own bytes, whatever else is read", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ key: fc.constantFrom("a", "b"), at: fc.nat(3_000), length: fc.integer({ min: 1, max: 300 }) }),
        {
          maxLength: 30,
        },
      ),
      async (list) => {
        const { gather, store } = await worldOf(["a", "b"]);
        const stretches = list.map(({ key, at, length }) => stretchOf(key, at, length));
        const given = await gather(stretches);
        for (const stretch of stretches) {
          const own = content.subarray(stretch.position, stretch.position + stretch.length);
          expect(Buffer.compare(given.get(stretch) ?? new Uint8Array(), own)).toBe(0);
        }
        expect(store.peak.gets).toBeLessThanOrEqual(1);
      },
    ),
    { numRuns: 10 },
  ));

it("keeps in memory no byte that lay between what was wanted", async () => {
  const { gather } = await worldOf(["a"]);
  const given = await gather([stretchOf("a", 0, 1), stretchOf("a", 200, 1)]);
  expect([...given.values()].map(({ buffer }) => buffer.byteLength)).toEqual([KIB, KIB]);
});

it("leaves out what is damaged and what is gone, and reads the rest", async () => {
  const { gather } = await worldOf(["a", "c"]);
  const damaged = { ...stretchOf("a", 0, 64), crc32c: 1 };
  const [gone, whole, other] = [stretchOf("b", 0, 64), stretchOf("a", 64, 64), stretchOf("c", 0, 64)];
  expect([...(await gather([damaged, gone, whole, other])).keys()]).toEqual([whole, other]);
});

it("asks a store that does not answer for nothing more", async () => {
  const { gather, asked } = await worldOf(["a", "b", "c"], (nth) => ({ ms: 10, fails: nth === 1 }));
  const stretches = ["a", "b", "c"].map((key) => stretchOf(key, 0, 64));
  expect([...(await gather(stretches)).keys()]).toEqual(stretches.slice(0, 1));
  expect(asked()).toHaveLength(2);
});
