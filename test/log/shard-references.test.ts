// What shards refer to is what their next owner would read, no more and no less, from the stores alone.
import { expect, it } from "vitest";
import { readSnapshot } from "../../src/cluster/metadata-snapshot.ts";
import { shardOf } from "../../src/cluster/placement.ts";
import { longLivedController } from "../../src/host/abort.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { embeddedLogSettings } from "../../src/log/log-settings.ts";
import { isUnanswered, ShardReferenceReader, stampOf } from "../../src/log/shard-references.ts";
import { WalReader } from "../../src/log/wal-reader.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { partitionKey } from "../../src/topic-partition.ts";

import { type LogProcess, LogWorld } from "./log-world.ts";

const { signal } = longLivedController();
const reconcile = { ...embeddedLogSettings.reconcile, intervalMs: 500, pendingAgeMs: 4_000, groupBytes: 0 };
const settings = { reconcile, retentionIntervalMs: 1e9 };

async function started(more = {}): Promise<{ world: LogWorld; process: LogProcess; topicId: string; shard: number }> {
  const world = new LogWorld();
  const process = await world.start({ ...settings, ...more });
  const { topicId } = await process.createTopic("orders");
  return { world, process, topicId, shard: shardOf(topicId, 0) };
}

/** What the shard of the one partition refers to. */
async function referencesOf(world: LogWorld, shard: number) {
  const { clock, memoryStore: store, log, objectKeys } = world;
  const wal = new WalReader({
    store,
    clock,
    log,
    metrics: new UnexportedMetrics(),
    objectKeys,
    settings: { ...embeddedLogSettings, readPatienceMs: 1_000 },
    producedBytes: () => 0,
  });
  const reader = new ShardReferenceReader({ wal, objectKeys, clock, signal });
  const cluster = { kv: world.memoryKv, clock, random: world.random, log, keys: world.keys };
  const snapshot = await world.complete(readSnapshot(cluster, { signal }));
  let count = 0;
  const shards = await world.complete(reader.read(snapshot, [...snapshot.claims.values()], () => count++));
  expect(count).toBe(snapshot.claims.size);
  const found = shards.get(shard);
  const stored = snapshot.claims.get(shard);
  if (!found || !stored) throw new Error(`shard ${shard} was not read`);
  expect(found.stamp).toBe(stampOf(snapshot, stored));
  return found;
}

it("are flushes while records are pending, then segments, and what was replaced is dropped", async () => {
  const { world, process, topicId, shard } = await started();
  await process.append("orders", ["one"]);
  const pending = await referencesOf(world, shard);
  expect(pending.references).toMatchObject([{ type: "parts", of: "orders-0", parts: [{ position: 0 }] }]);
  expect(pending.references[0]?.key).toContain("/wal/");
  await world.pass(20_000);
  const listed = await referencesOf(world, shard);
  expect(listed.references.map(({ type }) => type)).toEqual(["segment", "index"]);
  expect(listed.segmentsEnd.get(partitionKey(topicId, 0))).toBe(1);
  await world.complete(process.partition("orders").moveLogStart(1));
  await world.pass(6_000);
  const dropped = await referencesOf(world, shard);
  expect(dropped.references).toEqual([]);
  expect([...dropped.dropped].sort()).toEqual(listed.references.map(({ key }) => key).sort());
  expect(new Set([pending.stamp, listed.stamp, dropped.stamp]).size).toBe(3);
});

it("of an owner that crashed are those that a claim will name", async () => {
  const { world, process, shard } = await started({ checkpointIntervalMs: 1e6 });
  await process.append("orders", ["one"]);
  await process.append("orders", ["two"]);
  await process.crash();
  const found = await referencesOf(world, shard);
  expect(found).toMatchObject({ failure: undefined, references: [{ type: "parts" }, { type: "parts" }] });
});

it("are known in part, with the reason, where a flush to be replayed is gone", async () => {
  const { world, process, shard } = await started({ checkpointIntervalMs: 1e6 });
  for (const value of ["one", "two", "three"]) await process.append("orders", [value]);
  const before = await referencesOf(world, shard);
  const second = before.references[1]?.key ?? "";
  await world.memoryStore.delete([second], { signal });
  const found = await referencesOf(world, shard);
  expect(String(found.failure)).toContain(second);
  expect(isUnanswered(found.failure)).toBe(false);
  expect(found.references.map(({ key }) => key)).toEqual(
    expect.arrayContaining(before.references.map(({ key }) => key)),
  );
});

it("are not taken for lost where the store does not answer", async () => {
  const { world, process, shard } = await started({ checkpointIntervalMs: 1e6 });
  await process.append("orders", ["one"]);
  const refuse = () => Promise.reject(new ObjectStoreError("unavailable", "503"));
  Object.assign(world.memoryStore, { head: refuse, get: refuse });
  const { failure } = await referencesOf(world, shard);
  expect(isUnanswered(failure)).toBe(true);
});
