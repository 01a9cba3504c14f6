// Where the batches of a segment lie: found by who reads on from its beginning, by the index for everybody else, and never
// believed before it is checked.
import fc from "fast-check";
import { expect, it } from "vitest";
import { ByteBudget } from "../../src/host/byte-budget.ts";
import type { Clock } from "../../src/host/clock.ts";
import type { Held } from "../../src/log/chunk-cache.ts";
import { rangeIndexOf } from "../../src/log/extents.ts";
import { KeptReads } from "../../src/log/kept-reads.ts";
import { RunReads } from "../../src/log/run-reads.ts";
import { SegmentStretches } from "../../src/log/segment-stretches.ts";
import { isStretch } from "../../src/log/stretch.ts";
import { FormatError } from "../../src/objects/format-error.ts";
import { sampleSegment } from "./sample-segments.ts";

interface Options {
  readonly getBytes?: number;
  readonly cacheBytes?: number;
  readonly valueBytes?: readonly number[];
  readonly recordCount?: number;
}

/** Every wait is over at once. */
const clock: Clock = {
  wallMs: () => 0,
  monotonicMs: () => 0,
  setTimer: (_delayMs, fire) => {
    queueMicrotask(fire);
    return () => {};
  },
};

/** A segment of twelve batches of 1,070 bytes from offset 100 on, unless told otherwise. */
function worldOf(options: Options = {}) {
  const { getBytes = 4_000, cacheBytes = 1e6, valueBytes = Array(12).fill(1_000), recordCount } = options;
  const { entry, index, object } = sampleSegment("s.kfs", 100, valueBytes, recordCount);
  const gets: string[] = [];
  const get = (key: string, { start, length }: { start: number; length: number }) => {
    gets.push(key === entry.key ? `${start}` : key);
    return Promise.resolve(key === entry.key ? object.slice(start, start + length) : index);
  };
  const budget = new ByteBudget(1e6);
  const kept = new KeptReads<Held>(cacheBytes);
  const runs = new RunReads({ get, clock, budget, kept, bytesMin: getBytes / 4, accepts: isStretch });
  const stretches = new SegmentStretches({ get, runs, getBytes });
  const lookAt = async (offset: number) => {
    const run = stretches.nextRun(entry, offset);
    if (!run) throw new Error(`no run to look at for ${offset}`);
    return stretches.look(run);
  };
  /** The stretch that holds an offset, however it is found. */
  const find = async (offset: number) => {
    const at = () => {
      const known = stretches.known(entry).stretches;
      return known[rangeIndexOf(known, offset)];
    };
    const run = at() ? undefined : stretches.nextRun(entry, offset);
    if (run) await stretches.look(run);
    if (!at()) await stretches.loadIndex(entry);
    const found = at();
    if (!found) throw new Error(`${offset} is nowhere`);
    return found;
  };
  const bytesOf = ({ position, length }: { position: number; length: number }) =>
    object.subarray(position, position + length);
  return { stretches, runs, entry, gets, object, budget, lookAt, find, bytesOf };
}

it("needs no index for who reads from the beginning: each look brings a run, even in size, and all of it is at hand", async () => {
  const { stretches, runs, entry, gets, lookAt, bytesOf, budget } = worldOf();
  expect(stretches.known(entry).rest.length).toBe(12 * 1_070);
  for (let next = 100; next < 112; ) {
    const { rest } = await lookAt(next);
    expect(rest.offset).toBeGreaterThan(next);
    next = rest.offset;
  }
  const { stretches: found, steps, rest } = stretches.known(entry);
  expect([gets.length, steps.length, rest.length]).toEqual([3, 3, 0]);
  expect(steps.map(({ baseOffset, endOffset }) => [baseOffset, endOffset])).toEqual([
    [100, 104],
    [104, 108],
    [108, 112],
  ]);
  expect(found.every((stretch) => isStretch(stretch, bytesOf(stretch)) && runs.isAtHand(stretch))).toBe(true);
  expect(found.map((stretch) => runs.readKept(stretch)?.buffer.byteLength)).toEqual(found.map(({ length }) => length));
  expect(budget.taken).toBe(0);
});

it("finds any offset of what one GET brings without the index", async () => {
  const { gets, find } = worldOf({ getBytes: 20_000 });
  expect((await find(107)).baseOffset).toBeLessThanOrEqual(107);
  expect(gets).toEqual(["32"]);
});

const object12Bytes = sampleSegment("s.kfs", 100, Array(12).fill(3), 100).object.length;
/** Twelve batches of 100 records, about 1,000 bytes each: the index names every one of them. */
const named = { valueBytes: Array(12).fill(3), recordCount: 100 };

it("asks the index for who begins inside, once, and makes runs of what it tells", async () => {
  const { stretches, entry, gets, object, bytesOf } = worldOf({ ...named, getBytes: object12Bytes / 3 });
  expect(stretches.nextRun(entry, 505)).toBeUndefined();
  const [known] = await Promise.all([stretches.loadIndex(entry), stretches.loadIndex(entry)]);
  expect(gets).toEqual(["s.kfs.index"]);
  expect(stretches.known(entry)).toBe(known);
  expect([known.stretches.length, known.steps.length]).toEqual([12, 3]);
  expect(known.stretches.map(({ run }) => run && known.steps.indexOf(run))).toEqual([
    0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2,
  ]);
  expect(known.stretches.every((stretch) => isStretch(stretch, bytesOf(stretch)))).toBe(true);
  expect(known.steps.reduce((sum, { length }) => sum + length, 0)).toBe(object.length - 48);
});

it("reads a segment of many GETs by its index, which then counts as one of them", async () => {
  const getBytes = object12Bytes / 5;
  const { stretches, entry, object } = worldOf({ ...named, getBytes });
  expect(stretches.nextRun(entry, 100)).toBeUndefined();
  const { steps } = await stretches.loadIndex(entry);
  expect(steps.length + 1).toBeLessThanOrEqual(Math.floor(object.length / getBytes));
});

it("fetches each stretch by itself, and by the index, where a GET has no size", async () => {
  const { stretches, entry, gets } = worldOf({ getBytes: 0 });
  expect(stretches.nextRun(entry, 100)).toBeUndefined();
  const { stretches: found, steps } = await stretches.loadIndex(entry);
  expect(steps).toBe(found);
  expect(found.every(({ run }) => run === undefined)).toBe(true);
  expect(gets).toEqual(["s.kfs.index"]);
});

it("looks once for many who wait, and not again for who comes late", async () => {
  const { stretches, entry, gets } = worldOf();
  const run = stretches.nextRun(entry, 100);
  if (!run) throw new Error("there is a run");
  const [first, second] = await Promise.all([stretches.look(run), stretches.look(run)]);
  expect(second).toBe(first);
  expect(await stretches.look(run)).toBe(first);
  expect(gets).toEqual(["32"]);
});

it("goes on until a batch ends, however much larger than a GET it is", async () => {
  const { gets, lookAt } = worldOf({ getBytes: 2_500, valueBytes: [7_000, 10] });
  const { stretches } = await lookAt(100);
  expect(stretches[0]).toMatchObject({ baseOffset: 100, endOffset: 101, position: 32, length: 7_070 });
  expect(gets.length).toBeGreaterThan(1);
});

it("knows what lies before damage, fails there, and leaves what lies behind to the index", async () => {
  const { stretches, entry, object, lookAt, find, bytesOf } = worldOf({ ...named, getBytes: 20_000 });
  const at = Math.floor(object.length / 2);
  object[at] = (object[at] ?? 0) ^ 1;
  const { rest } = await lookAt(100);
  expect(rest.offset).toBe(500);
  await expect(lookAt(rest.offset)).rejects.toThrow(FormatError);
  expect(stretches.known(entry).rest.offset).toBe(500);
  await stretches.loadIndex(entry);
  for (const offset of [150, 700, 1_299]) {
    const found = await find(offset);
    expect(isStretch(found, bytesOf(found))).toBe(true);
  }
});

it("fails where a batch does not begin, says another offset, or the object ends too soon", async () => {
  for (const at of [32, 32 + 16, 32 + 11]) {
    const { object, lookAt } = worldOf();
    object[at] = (object[at] ?? 0) ^ 0x81;
    await expect(lookAt(100)).rejects.toThrow(FormatError);
  }
  const short = worldOf();
  const { entry } = short;
  const run = short.stretches.nextRun({ ...entry, bytes: entry.bytes + 500, baseOffset: 99 }, 99);
  if (!run) throw new Error("there is a run");
  await expect(short.stretches.look(run)).rejects.toThrow(FormatError);
});

it("gives every reader the same batches, wherever he begins and however little room there is", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(0, 50, 900, 5_000), { minLength: 1, maxLength: 40 }),
      fc.constantFrom(0, 500, 3_000, 100_000),
      fc.constantFrom(1, 2_000, 1e6),
      fc.array(fc.nat(39), { minLength: 1, maxLength: 4 }),
      async (valueBytes, getBytes, cacheBytes, starts) => {
        const { entry, find, bytesOf, budget } = worldOf({ valueBytes, getBytes, cacheBytes });
        const read = async (start: number) => {
          for (let next = 100 + Math.min(start, valueBytes.length - 1); next < entry.endOffset; ) {
            const stretch = await find(next);
            expect(stretch.baseOffset).toBeLessThanOrEqual(next);
            expect(stretch.endOffset).toBeGreaterThan(next);
            expect(isStretch(stretch, bytesOf(stretch))).toBe(true);
            const own = valueBytes.slice(stretch.baseOffset - 100, stretch.endOffset - 100);
            expect(stretch.length).toBeGreaterThan(own.reduce<number>((sum, bytes) => sum + bytes, 0));
            next = stretch.endOffset;
          }
        };
        await Promise.all(starts.map(read));
        expect(budget.taken).toBe(0);
      },
    ),
    { numRuns: 200 },
  ));
