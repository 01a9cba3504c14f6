// A dropped object goes once a checkpoint in force lists it and a grace has passed, and only then leaves the list.
import { expect, it } from "vitest";
import { shardOf } from "../../src/cluster/placement.ts";
import { longLivedController } from "../../src/host/abort.ts";
import { embeddedLogSettings } from "../../src/log/log-settings.ts";
import { defaultReconcile } from "../../src/log/reconcile-plan.ts";
import type { ShardLog } from "../../src/log/shard-log.ts";
import { type LogProcess, LogWorld } from "./log-world.ts";

const { signal } = longLivedController();
/** Nothing is dropped but by the test: neither reconciling nor retention has its turn. */
const settings = {
  reconcile: { ...defaultReconcile, pendingAgeMs: Number.POSITIVE_INFINITY },
  retentionIntervalMs: 1e12,
};
const GRACE_MS = embeddedLogSettings.removal.graceMs;

function shardOfOrders(process: LogProcess): ShardLog {
  const topicId = process.feed.current.topic("orders")?.topicId ?? "";
  const shardLog = process.brokerLog.serving?.shard(shardOf(topicId, 0));
  if (!shardLog) throw new Error("the shard is not owned");
  return shardLog;
}

async function started(): Promise<{ world: LogWorld; process: LogProcess; isThere: () => Promise<boolean> }> {
  const world = new LogWorld();
  const process = await world.start(settings);
  await process.createTopic("orders");
  await process.append("orders", ["a"]);
  await world.memoryStore.put("test/old", [new Uint8Array([1])], { ifAbsent: true, signal });
  const isThere = () =>
    world.memoryStore.head("test/old", { signal }).then(
      () => true,
      () => false,
    );
  return { world, process, isThere };
}

it("deletes a dropped object a grace after the checkpoint that lists it, and then forgets it for good", async () => {
  const { world, process, isThere } = await started();
  shardOfOrders(process).dropped.add("test/old");
  await world.pass(GRACE_MS);
  expect([await isThere(), shardOfOrders(process).dropped.size]).toEqual([true, 1]);
  await world.pass(30_000);
  expect([await isThere(), shardOfOrders(process).dropped.size]).toEqual([false, 0]);
  await process.crash();
  const second = await world.start(settings);
  expect(shardOfOrders(second).dropped.size).toBe(0);
});

it("leaves the list of a shard on its way out as it is", async () => {
  const { world, process, isThere } = await started();
  const shardLog = shardOfOrders(process);
  shardLog.dropped.add("test/old");
  await world.pass(10_000);
  shardLog.status = "offered";
  await world.pass(2 * GRACE_MS);
  expect([await isThere(), shardLog.dropped.size]).toEqual([true, 1]);
  shardLog.status = "ready";
  await world.complete(process.partition("orders").moveLogStart(1));
  await world.pass(30_000);
  expect([await isThere(), shardLog.dropped.size]).toEqual([false, 0]);
});

it("begins the grace anew after a crash, and deletes then", async () => {
  const { world, process, isThere } = await started();
  shardOfOrders(process).dropped.add("test/old");
  await world.pass(GRACE_MS / 2);
  await process.crash();
  const second = await world.start(settings);
  await world.pass(GRACE_MS);
  expect(await isThere()).toBe(true);
  await world.pass(30_000);
  expect([await isThere(), shardOfOrders(second).dropped.size]).toEqual([false, 0]);
});
