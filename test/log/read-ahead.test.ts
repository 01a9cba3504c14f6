// Reading ahead: who is helped, how far, and what bounds it.
import { expect, it } from "vitest";
import { ReadAhead, type ReadAheadLimits } from "../../src/log/read-ahead.ts";

interface Load {
  readonly step: number;
  readonly settle: (error?: Error) => void;
}

/** Steps are numbers; each has 10 bytes. */
function worldOf(limits: Partial<ReadAheadLimits> = {}) {
  const world = { nowMs: 0, roomBytes: 1_000, loads: [] as Load[], atHand: new Set<number>() };
  const source = {
    nameOf: (step: number) => `step ${step}`,
    bytesOf: () => 10,
    roomBytes: () => world.roomBytes,
    isAtHand: (step: number) => world.atHand.has(step),
    load: (step: number) =>
      new Promise<void>((resolve, reject) => {
        const settle = (error?: Error) => {
          if (error) reject(error);
          else resolve();
        };
        world.loads.push({ step, settle });
      }),
    monotonicMs: () => world.nowMs,
  };
  const ahead = new ReadAhead<number>(source, { windowBytes: 40, bytesMax: 1_000, loadsMax: 100, ...limits });
  const read = (step: number) => ahead.note(step, from(step + 1));
  const loaded = () => world.loads.map(({ step }) => step);
  return { world, ahead, read, loaded };
}

/** Lets promises that have settled tell so. */
async function promiseJobs(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await Promise.resolve();
}

function* from(step: number): Generator<number> {
  for (let next = step; next < 100; next++) yield next;
}

it("helps who takes two steps in a row half a window ahead, then a whole one, each step once", () => {
  const { ahead, read, loaded } = worldOf();
  read(1);
  expect(loaded()).toEqual([]);
  read(2);
  expect(loaded()).toEqual([3, 4]);
  read(3);
  expect(loaded()).toEqual([3, 4, 5, 6, 7]);
  read(4);
  expect(loaded()).toEqual([3, 4, 5, 6, 7, 8]);
  expect(ahead.aheadBytes).toBe(40);
});

it("takes the same step again, and steps here and there, for no sequence", () => {
  const { read, loaded } = worldOf();
  for (const step of [1, 1, 1, 50, 20, 70]) read(step);
  expect(loaded()).toEqual([]);
  read(2);
  read(2);
  expect(loaded()).toEqual([3, 4]);
});

it("helps several readers at their own places, and loads for two at the same place once", () => {
  const { read, loaded } = worldOf();
  for (const step of [1, 50, 2, 51]) read(step);
  expect(loaded()).toEqual([3, 4, 52, 53]);
  for (const step of [1, 2]) read(step);
  expect(loaded()).toEqual([3, 4, 52, 53]);
});

it("passes over what is at hand and what nothing follows", () => {
  const { world, ahead, read, loaded } = worldOf();
  world.atHand.add(3);
  read(1);
  read(2);
  expect(loaded()).toEqual([4]);
  ahead.note(99, []);
  expect(loaded()).toEqual([4]);
});

it("loads one step at least, however large it is for its window", () => {
  const { read, loaded } = worldOf({ windowBytes: 4 });
  read(1);
  read(2);
  expect(loaded()).toEqual([3]);
});

it("does nothing with a window of 0 bytes", () => {
  const { read, loaded } = worldOf({ windowBytes: 0 });
  for (const step of [1, 2, 3]) read(step);
  expect(loaded()).toEqual([]);
});

it("keeps to its bytes; what lost its reader counts for ten seconds", () => {
  const { world, ahead, read, loaded } = worldOf({ bytesMax: 30 });
  for (const step of [1, 2, 3]) read(step);
  expect(loaded()).toEqual([3, 4, 5, 6]);
  expect(ahead.aheadBytes).toBe(30);
  for (const step of [50, 51]) read(step);
  expect(loaded()).toEqual([3, 4, 5, 6]);
  world.nowMs = 10_000;
  read(52);
  expect(loaded()).toEqual([3, 4, 5, 6, 53, 54, 55]);
  expect(ahead.aheadBytes).toBe(30);
});

it("brings nothing that there is no room for", () => {
  const { world, read, loaded } = worldOf();
  world.roomBytes = 9;
  for (const step of [1, 2]) read(step);
  expect(loaded()).toEqual([]);
  world.roomBytes = 10;
  read(3);
  expect(loaded()).toEqual([4, 5, 6, 7]);
});

it("keeps to its loads, and goes on when they have settled", async () => {
  const { world, read, loaded } = worldOf({ loadsMax: 1 });
  read(1);
  read(2);
  expect(loaded()).toEqual([3]);
  world.loads[0]?.settle();
  await promiseJobs();
  read(3);
  expect(loaded()).toEqual([3, 4]);
});

it("tries again what could not be loaded", async () => {
  const { world, ahead, read, loaded } = worldOf();
  read(1);
  read(2);
  for (const load of world.loads) load.settle(new Error("gone"));
  await promiseJobs();
  expect(ahead.aheadBytes).toBe(0);
  read(3);
  expect(loaded()).toEqual([3, 4, 4, 5, 6, 7]);
});
