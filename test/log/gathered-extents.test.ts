// The bytes of many partitions' extents: each object is asked for once, nobody gets another's bytes, and other work goes on.
import fc from "fast-check";
import { expect, it } from "vitest";
import { longLivedController } from "../../src/host/abort.ts";
import { BackgroundReads } from "../../src/log/background-reads.ts";
import type { Extent } from "../../src/log/extents.ts";
import { gatherExtents, type WantedExtents } from "../../src/log/gathered-extents.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { extentsOf, logOf } from "./sample-extents.ts";
import { type GetFate, SlowStore } from "./slow-store.ts";

const { signal } = longLivedController();

interface Written {
  /** Records of each partition in the flush, 0 for none. */
  readonly counts: readonly number[];
  readonly fate: "stored" | "in the tail" | "gone" | "damaged";
}

/** A store with an object for each flush, and what is then pending of each partition. */
async function worldOf(flushes: readonly Written[], fateOf?: (nth: number) => GetFate) {
  const clock = new SimClock({ seed: "gather" });
  const store = new SlowStore(clock, fateOf);
  const lists: Extent[][] = (flushes[0]?.counts ?? []).map(() => []);
  for (const [flush, { counts, fate }] of flushes.entries()) {
    const object = Uint8Array.from({ length: counts.reduce((sum, count) => sum + count, 0) * 10 }, () => flush + 1);
    let position = 0;
    for (const [partition, count] of counts.entries()) {
      const list = lists[partition];
      const [sample] = extentsOf([count]);
      if (!list || !sample || count === 0) continue;
      const bytes = object.subarray(position, position + sample.length).fill(flush * 16 + partition);
      const baseOffset = list.at(-1)?.endOffset ?? 0;
      const place = { flush, position, baseOffset, endOffset: baseOffset + count, crc32c: crc32c(bytes) };
      list.push({ ...sample, ...place, tailBytes: fate === "in the tail" ? bytes : null });
      position += sample.length;
    }
    if (fate === "damaged") object.fill(0xff);
    if (fate !== "gone") await store.put(`${flush}`, [object.slice()], { ifAbsent: true, signal });
  }
  const reads = new BackgroundReads({ store, clock, attemptTimeoutMs: 10_000, bytesPerSecond: 0 });
  const stretchOf = ({ flush, ...extent }: Extent) => ({ ...extent, key: `${flush}` });
  const wanted = lists
    .map((list, partition): WantedExtents => {
      const log = logOf(list, { partition });
      return { partition: log, extents: log.extents.all.slice(), restSinceMs: 7 };
    })
    .filter(({ extents }) => extents.length > 0);
  const gather = () => gatherExtents({ clock, reads, stretchOf }, wanted, signal);
  return { clock, store, wanted, gather, asked: () => store.ranges.map(({ key }) => key) };
}

const written = (partitions: number) =>
  fc.record({
    counts: fc.array(fc.nat(3), { minLength: partitions, maxLength: partitions }),
    fate: fc.constantFrom("stored", "stored", "stored", "in the tail", "gone", "damaged"),
  }) as fc.Arbitrary<Written>;

it("gives each partition its own bytes up to what cannot be read, and names the rest", async () => {
  const flushLists = fc
    .integer({ min: 1, max: 6 })
    .chain((count) => fc.array(written(count), { minLength: 1, maxLength: 12 }));
  await fc.assert(
    fc.asyncProperty(flushLists, async (flushes) => {
      const { clock, wanted, gather, asked } = await worldOf(flushes);
      const gathered = await clock.complete(gather());
      for (const { partition, extents } of wanted) {
        const pending = gathered.get(partition)?.stillPending();
        const isBad = ({ flush }: Extent) => ["gone", "damaged"].includes(flushes[flush]?.fate ?? "");
        const end = extents.findIndex(isBad);
        const read = end < 0 ? extents : extents.slice(0, end);
        const expected = read.flatMap((extent) =>
          Array.from({ length: extent.length }, () => extent.flush * 16 + partition.partition),
        );
        expect([...(pending?.bytes ?? [])]).toEqual(expected);
        expect(pending?.unread).toEqual(extents.slice(read.length));
        expect(pending?.extents).toEqual(extents);
      }
      expect(new Set(asked()).size).toBe(asked().length);
    }),
  );
});

it("leaves out what the log start has passed since", async () => {
  const flushes = Array.from({ length: 4 }, (): Written => ({ counts: [1, 2], fate: "stored" }));
  const { clock, wanted, gather } = await worldOf(flushes);
  const gathered = await clock.complete(gather());
  const [first, second] = wanted;
  if (!first || !second) throw new Error("two partitions were made");
  first.partition.extents.dropBelow(3);
  second.partition.extents.dropBelow(8);
  expect(gathered.get(first.partition)?.stillPending()).toMatchObject({ extents: first.extents.slice(3), unread: [] });
  expect(gathered.get(first.partition)?.stillPending().bytes).toHaveLength(10);
  expect(gathered.get(second.partition)?.stillPending().extents).toEqual([]);
  expect(gathered.get(second.partition)?.stillPending().bytes).toHaveLength(0);
});

it("asks a store that does not answer for the same object again, and for nothing else meanwhile", async () => {
  const flushes = Array.from({ length: 4 }, (): Written => ({ counts: [1, 1], fate: "stored" }));
  const { clock, wanted, gather, asked } = await worldOf(flushes, (nth) => ({ ms: 10, fails: nth === 2 || nth === 3 }));
  const gathered = await clock.complete(gather());
  expect(asked()).toEqual(["0", "1", "2", "2", "2", "3"]);
  for (const { partition } of wanted) expect(gathered.get(partition)?.stillPending().unread).toEqual([]);
});

it("gives up with the store's own error when that does not help", async () => {
  const flushes = Array.from({ length: 4 }, (): Written => ({ counts: [1, 1], fate: "stored" }));
  const { clock, gather, asked } = await worldOf(flushes, (nth) => ({ ms: 10, fails: nth >= 2 }));
  await expect(clock.complete(gather())).rejects.toThrow(ObjectStoreError);
  expect(asked()).toEqual(["0", "1", "2", "2", "2", "2", "2", "2"]);
});

it("lets other work go on between two objects, also where nothing has to be waited for", async () => {
  const flushes = Array.from({ length: 50 }, (): Written => ({ counts: [1], fate: "in the tail" }));
  const { clock, gather } = await worldOf(flushes);
  let turns = 0;
  let isDone = false;
  const others = () => {
    if (isDone) return;
    turns++;
    clock.setTimer(0, others);
  };
  others();
  await clock.complete(gather().finally(() => (isDone = true)));
  // Timers of one moment fire in any order.
  expect(turns).toBeGreaterThan(25);
});
