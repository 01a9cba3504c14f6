// What a living session removes of its own, and what it keeps however little RAM needs it.
import { expect, it } from "vitest";
import { longLivedController } from "../../src/host/abort.ts";
import { embeddedLogSettings } from "../../src/log/log-settings.ts";
import { defaultReconcile } from "../../src/log/reconcile-plan.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { withCalls } from "./counted-calls.ts";
import { type LogProcess, LogWorld } from "./log-world.ts";

const { signal } = longLivedController();
/** Nothing leaves the WAL objects by itself: neither reconciling nor retention has its turn. */
const settings = {
  reconcile: { ...defaultReconcile, pendingAgeMs: Number.POSITIVE_INFINITY },
  retentionIntervalMs: 1e12,
};
const GRACE_MS = embeddedLogSettings.removal.graceMs;
/** A checkpoint, the look after it, and what follows from both. */
const LOOK_MS = 70_000;

async function keys(world: LogWorld, part: string): Promise<string[]> {
  const { objects } = await world.memoryStore.list("", { limit: 1000, signal });
  return objects.flatMap(({ key }) => (key.includes(part) ? [key.slice(key.lastIndexOf("/") + 1)] : []));
}

async function withRecords(world: LogWorld, count: number): Promise<LogProcess> {
  const process = await world.start(settings);
  await process.createTopic("orders");
  for (let n = 1; n <= count; n++) await process.append("orders", [`v${n}`]);
  return process;
}

function moveLogStart(world: LogWorld, process: LogProcess, offset: number): Promise<number> {
  return world.complete(process.partition("orders").moveLogStart(offset));
}

it("removes flushes below the lowest pending one of the checkpoint in force, a grace after that is known", async () => {
  const world = new LogWorld();
  const process = await withRecords(world, 5);
  await moveLogStart(world, process, 3);
  await world.pass(LOOK_MS);
  expect(await keys(world, "/wal/")).toHaveLength(6);
  await world.pass(GRACE_MS - LOOK_MS);
  expect(await keys(world, "/wal/")).toHaveLength(6);
  await world.pass(2 * LOOK_MS);
  expect((await keys(world, "/wal/")).map(Number)).toEqual([4, 5, 6]);
  expect(await process.values("orders", 3)).toEqual(["3:v4", "4:v5"]);
  await process.crash();
  expect(await (await world.start(settings)).values("orders", 3)).toEqual(["3:v4", "4:v5"]);
});

it("keeps what the checkpoint in force still needs, although RAM needs it no more", async () => {
  const world = new LogWorld();
  const { memoryStore } = world;
  let isRefusing = false;
  world.store = withCalls(memoryStore, async (call, key, run) => {
    if (isRefusing && call === "put" && key.includes("/ckpt/")) throw new ObjectStoreError("unavailable", "no");
    return run();
  });
  const process = await world.start({ ...settings, putTimeoutMs: 10 * GRACE_MS });
  await process.createTopic("orders");
  for (let n = 1; n <= 5; n++) await process.append("orders", [`v${n}`]);
  await world.pass(LOOK_MS);
  isRefusing = true;
  await moveLogStart(world, process, 5);
  await world.pass(GRACE_MS + 2 * LOOK_MS);
  expect(await keys(world, "/wal/")).toHaveLength(6);
  isRefusing = false;
  await world.pass(GRACE_MS + 2 * LOOK_MS);
  expect(await keys(world, "/wal/")).toEqual([]);
});

it("removes superseded checkpoints, but none in which a section or a long list of the one in force lies", async () => {
  const world = new LogWorld();
  const process = await world.start(settings);
  await process.createTopic("quiet");
  await process.append("quiet", ["kept"]);
  await world.pass(6_000);
  await process.createTopic("orders");
  for (let n = 1; n <= 4; n++) {
    await process.append("orders", [`v${n}`]);
    await world.pass(6_000);
  }
  expect((await keys(world, "/ckpt/")).map(Number)).toEqual([1, 2, 3, 4, 5]);
  await world.pass(GRACE_MS + 2 * LOOK_MS);
  expect((await keys(world, "/ckpt/")).map(Number)).toEqual([1, 5]);
  await process.crash();
  const second = await world.start(settings);
  expect(await second.values("quiet")).toEqual(["0:kept"]);
  expect(await second.values("orders")).toHaveLength(4);
});

it("tries again what the store refused to delete, and removes nothing twice", async () => {
  const world = new LogWorld();
  const deleted: string[] = [];
  let refusals = 3;
  world.store = withCalls(world.memoryStore, async (call, key, run) => {
    if (call === "delete" && refusals-- > 0) throw new ObjectStoreError("unavailable", "no");
    if (call === "delete") deleted.push(key);
    return run();
  });
  const process = await withRecords(world, 3);
  await moveLogStart(world, process, 3);
  await world.pass(2 * GRACE_MS);
  expect(await keys(world, "/wal/")).toEqual([]);
  await process.append("orders", ["late"]);
  await moveLogStart(world, process, 4);
  await world.pass(2 * GRACE_MS);
  expect(deleted.filter((key) => key.includes("/wal/")).map((key) => Number(key.slice(-12)))).toEqual([
    1, 2, 3, 4, 5, 6,
  ]);
});

it("asks the stores nothing as long as nothing changes, but for one look at heads an hour", async () => {
  const world = new LogWorld();
  const process = await withRecords(world, 3);
  await world.pass(2 * GRACE_MS);
  const calls: string[] = [];
  world.store = withCalls(world.memoryStore, (call, _key, run) => {
    calls.push(call);
    return run();
  });
  const { memoryKv } = world;
  const rangeBefore = memoryKv.range.bind(memoryKv);
  memoryKv.range = (prefix, options) => {
    calls.push(`range ${prefix}`);
    return rangeBefore(prefix, options);
  };
  await world.pass(12 * 3_600_000);
  expect(new Set(calls)).toEqual(new Set([`range ${world.keys.heads}`]));
  expect(calls.length).toBeLessThanOrEqual(18);
  await process.stop();
});
