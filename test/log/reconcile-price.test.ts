// What reconciling costs: PUTs by time and by bytes, never by the number of partitions; and what it keeps in memory.
import { describe, expect, it } from "vitest";
import { sleep } from "../../src/host/clock.ts";
import { embeddedLogSettings, type LogSettings } from "../../src/log/log-settings.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { withCalls } from "./counted-calls.ts";
import { batchOf, type LogProcess, LogWorld } from "./log-world.ts";

const { signal } = new AbortController();
const PARTITIONS = 300;
const indexes = Array.from({ length: PARTITIONS }, (_, index) => index);

function settingsWith(reconcile: Partial<LogSettings["reconcile"]>): Partial<LogSettings> {
  const settings = { ...embeddedLogSettings.reconcile, intervalMs: 1_000, pendingAgeMs: 10_000, ...reconcile };
  return { reconcile: settings, tailBytes: 0, retentionIntervalMs: 1e9 };
}

/** A world that counts the PUTs of segments, their indexes and groups. */
function countingWorld() {
  const world = new LogWorld();
  const { memoryStore } = world;
  const putAtMs: number[] = [];
  world.store = withCalls(memoryStore, (call, key, run) => {
    if (call === "put" && /\.(kfs|index)$|\/grp\//.test(key)) putAtMs.push(world.clock.monotonicMs());
    return run();
  });
  return { world, putAtMs };
}

async function appendToEach(world: LogWorld, process: LogProcess, value: string, count = PARTITIONS): Promise<void> {
  const appendTo = (index: number) => process.partition("orders", index).append(batchOf([value]));
  await world.complete(Promise.all(indexes.slice(0, count).map(appendTo)));
}

function pendingCount(process: LogProcess, count = PARTITIONS): number {
  return indexes.slice(0, count).reduce((sum, index) => sum + process.partition("orders", index).extents.all.length, 0);
}

describe("the price of what is small", () => {
  it.each([
    ["groups, and groups of their parts", { groupBytes: 1e6, mergedCountMin: 3 }],
    ["segments, and merged ones", { groupBytes: 0, mergedCountMin: 3 }],
  ])(
    "is the rate that is set, in %s",
    async (_what, sizes) => {
      const { world, putAtMs } = countingWorld();
      const process = await world.start(settingsWith({ ...sizes, smallPutsPerSecond: 20 }));
      await process.createTopic("orders", PARTITIONS);
      const startedMs = world.clock.monotonicMs();
      for (let second = 0; second < 300; second += 4) {
        await appendToEach(world, process, `v${second}`);
        await world.pass(4_000);
      }
      const seconds = (world.clock.monotonicMs() - startedMs) / 1000;
      // Closed until it is paid for: one lot more than the rate can be there at any moment.
      const lotMax = 4 * PARTITIONS;
      expect(putAtMs.length).toBeLessThanOrEqual(20 * seconds + lotMax);
      expect(putAtMs.length).toBeGreaterThan(10 * seconds);
      expect(process.brokerLog.serving).toBeDefined();
      expect(await process.values("orders", 0, 7)).toHaveLength(75);
      await process.stop();
    },
    120_000,
  );

  it("is no PUT for each partition where parts of groups are merged, but one for each shard", async () => {
    const { world, putAtMs } = countingWorld();
    const process = await world.start(settingsWith({ groupBytes: 1e6, mergedCountMin: 3, smallPutsPerSecond: 0 }));
    await process.createTopic("orders", PARTITIONS);
    for (let lot = 0; lot < 2; lot++) {
      await appendToEach(world, process, `v${lot}`);
      await world.pass(15_000);
    }
    const ofTwoLots = putAtMs.length;
    await appendToEach(world, process, "v2");
    await world.pass(15_000);
    // A third part for each, and then one of three.
    expect(putAtMs).toHaveLength(2 * ofTwoLots);
    expect(putAtMs.length).toBeLessThan(4 * PARTITIONS);
    for (const index of indexes) {
      const [segment, ...others] = process.partition("orders", index).stored.segments.all;
      expect([segment?.form.type, segment?.baseOffset, segment?.endOffset, others]).toEqual(["group", 0, 3, []]);
    }
    expect(await process.values("orders", 0, 5)).toEqual(["0:v0", "1:v1", "2:v2"]);
    await process.crash();
    const next = await world.start(settingsWith({}));
    expect(await next.values("orders", 0, 5)).toEqual(["0:v0", "1:v1", "2:v2"]);
    await next.stop();
  });

  it("makes nothing that is large wait", async () => {
    const { world, putAtMs } = countingWorld();
    const process = await world.start(
      settingsWith({ groupBytes: 0, pendingBytes: 5_000, segmentBytes: 10_000, smallPutsPerSecond: 0.001 }),
    );
    await process.createTopic("orders", PARTITIONS);
    await process.append("orders", ["small"], {}, 0);
    await process.append("orders", ["small"], {}, 1);
    await world.pass(20_000);
    expect(putAtMs).toHaveLength(4);
    await process.append("orders", ["small"], {}, 0);
    await process.append("orders", ["x".repeat(6_000)], {}, 1);
    await world.pass(60_000);
    expect(putAtMs).toHaveLength(6);
    expect(process.partition("orders", 0).extents.all).toHaveLength(1);
    expect(process.partition("orders", 1).extents.all).toEqual([]);
    await process.stop();
  });
});

it("keeps no more extents in memory than are allowed, however little they hold and whatever that costs", async () => {
  const { world } = countingWorld();
  const pendingExtentsMax = 2_000;
  const process = await world.start(settingsWith({ pendingAgeMs: 1e9, smallPutsPerSecond: 0.001, pendingExtentsMax }));
  await process.createTopic("orders", PARTITIONS);
  const counts: number[] = [];
  for (let flush = 0; flush < 20; flush++) {
    await appendToEach(world, process, `v${flush}`);
    await world.pass(2_000);
    counts.push(pendingCount(process));
  }
  expect(Math.max(...counts)).toBeGreaterThan(pendingExtentsMax / 2);
  expect(Math.max(...counts)).toBeLessThanOrEqual(pendingExtentsMax + PARTITIONS);
  expect(await process.values("orders", 0, 9)).toHaveLength(20);
  await process.stop();
});

it("keeps to it while many parts of groups are merged on a slow store", async () => {
  const { world } = countingWorld();
  const { store } = world;
  let isSlow = false;
  world.store = withCalls(store, async (call, key, run) => {
    if (isSlow && call === "get" && key.includes("/grp/")) await sleep(world.clock, 100, signal);
    return await run();
  });
  const [count, pendingExtentsMax] = [60, 200];
  const process = await world.start(
    settingsWith({ groupBytes: 1e6, smallPutsPerSecond: 1_000, pendingExtentsMax, pendingAgeMs: 4_000 }),
  );
  await process.createTopic("orders", count);
  isSlow = true;
  const counts: number[] = [];
  for (let flush = 0; flush < 120; flush++) {
    await appendToEach(world, process, `v${flush}`, count);
    await world.pass(1_000);
    counts.push(pendingCount(process, count));
  }
  // A turn of merging, its last shard, and a look take some seconds more.
  expect(Math.max(...counts)).toBeLessThanOrEqual(pendingExtentsMax + 10 * count);
  await process.stop();
}, 60_000);

it("owes nothing for what was urgent, though the gate was open", async () => {
  const { world, putAtMs } = countingWorld();
  const process = await world.start(settingsWith({ groupBytes: 0, smallPutsPerSecond: 0.1, pendingExtentsMax: 50 }));
  await process.createTopic("orders", 100);
  await appendToEach(world, process, "a", 100);
  await world.pass(3_000);
  expect([pendingCount(process, 100), putAtMs.length]).toEqual([0, 200]);
  await process.append("orders", ["b"], {}, 0);
  await world.pass(60_000);
  expect(pendingCount(process, 100)).toBe(0);
  await process.stop();
});

it("costs no GET for each extent when the store answers one of them with a 503", async () => {
  const getsWith = async (failing: number) => {
    const world = new LogWorld();
    let count = -1;
    world.store = withCalls(world.memoryStore, (call, key, run) => {
      const isCounted = count >= 0 && call === "get" && key.includes("/wal/");
      if (isCounted && count++ === failing) return Promise.reject(new ObjectStoreError("unavailable", "503 SlowDown"));
      return run();
    });
    const process = await world.start(settingsWith({ groupBytes: 1e6, pendingAgeMs: 60_000 }));
    await process.createTopic("orders", 40);
    for (let flush = 0; flush < 20; flush++) {
      await appendToEach(world, process, `v${flush}`, 40);
      await world.pass(1_000);
    }
    count = 0;
    await world.pass(70_000);
    expect(pendingCount(process, 40)).toBe(0);
    await process.stop();
    return count;
  };
  const well = await getsWith(-1);
  expect(await getsWith(7)).toBe(well + 1);
});

it("makes no group larger than a segment, whatever comes while a cycle goes on", async () => {
  const world = new LogWorld();
  let [largest, groupCount] = [0, 0];
  const slow = withCalls(world.memoryStore, async (call, key, run) => {
    if (call === "put" && key.includes("/grp/")) await sleep(world.clock, 1_000, signal);
    return await run();
  });
  world.store = {
    ...slow,
    put: (key, parts, options) => {
      if (key.includes("/grp/")) {
        groupCount++;
        largest = Math.max(
          largest,
          parts.reduce((sum, part) => sum + part.length, 0),
        );
      }
      return slow.put(key, parts, options);
    },
  };
  const segmentBytes = 20_000;
  const sizes = { groupBytes: 5_000, pendingBytes: 10_000, segmentBytes, heldBytes: 500, smallPutsPerSecond: 0 };
  const process = await world.start(settingsWith(sizes));
  await process.createTopic("orders", 30);
  await appendToEach(world, process, "x".repeat(100), 30);
  await world.until(() => groupCount >= 2);
  for (let flush = 0; flush < 20; flush++) await appendToEach(world, process, "y".repeat(10_000), 30);
  await world.pass(120_000);
  expect(largest).toBeGreaterThan(0);
  expect(largest).toBeLessThan(segmentBytes);
  await process.stop();
});
