// Shards between brokers: who owns what, and that nothing acknowledged is lost or moved on the way.
import { expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { ownerFor, SHARD_COUNT, shardOf } from "../../src/cluster/placement.ts";
import { sleep } from "../../src/host/clock.ts";
import { errorCodeOf } from "../../src/kafka-error.ts";
import type { KeyValueStore, Txn } from "../../src/kv/key-value-store.ts";
import { batchOf, type LogProcess, LogWorld } from "./log-world.ts";

const PARTITIONS = 24;

/** How many shards each broker owns, as `process` sees it. */
function owned(process: LogProcess): Record<number, number> {
  const counts: Record<number, number> = {};
  for (let shard = 0; shard < SHARD_COUNT; shard++) {
    const owner = process.feed.current.ownerOf(shard)?.brokerId;
    if (owner !== undefined) counts[owner] = (counts[owner] ?? 0) + 1;
  }
  return counts;
}

/** Whether every shard is where the placement over `brokerIds` wants it. */
function isPlaced(process: LogProcess, brokerIds: readonly number[]): boolean {
  for (let shard = 0; shard < SHARD_COUNT; shard++) {
    if (process.feed.current.ownerOf(shard)?.brokerId !== ownerFor(shard, brokerIds)) return false;
  }
  return true;
}

/** The process that leads a partition, by what the first one sees. */
function leader(processes: readonly LogProcess[], name: string, index: number): LogProcess {
  const [first] = processes;
  const topic = first?.feed.current.topic(name);
  if (!first || !topic) throw new Error(`no topic ${name}`);
  const owner = first.feed.current.ownerOf(shardOf(topic.topicId, index));
  const found = processes.find(({ brokerId }) => brokerId === owner?.brokerId);
  if (!found) throw new Error(`nobody leads ${name}-${index}`);
  return found;
}

/** A store in which each transaction is answered after `applied`. */
function withTxns(kv: KeyValueStore, applied: (txn: Txn) => Promise<void>): KeyValueStore {
  return {
    get: (key, options) => kv.get(key, options),
    range: (prefix, options) => kv.range(prefix, options),
    watch: (prefix, options) => kv.watch(prefix, options),
    grantLease: (ttlMs, options) => kv.grantLease(ttlMs, options),
    keepAlive: (lease, options) => kv.keepAlive(lease, options),
    revokeLease: (lease, options) => kv.revokeLease(lease, options),
    txn: async (txn, options) => {
      const result = await kv.txn(txn, options);
      await applied(txn);
      return result;
    },
  };
}

async function appendToAll(processes: readonly LogProcess[], value: string): Promise<void> {
  for (let index = 0; index < PARTITIONS; index++) {
    await leader(processes, "orders", index).append("orders", [value], {}, index);
  }
}

async function valuesOfAll(processes: readonly LogProcess[]): Promise<Set<string>> {
  const found = new Set<string>();
  for (let index = 0; index < PARTITIONS; index++) {
    found.add((await leader(processes, "orders", index).values("orders", 0, index)).join());
  }
  return found;
}

it("gives a broker that joins exactly the shards placed on it, with every record of them", async () => {
  const world = new LogWorld();
  const first = await world.start({ brokerId: 1 });
  await first.createTopic("orders", PARTITIONS);
  await appendToAll([first], "a");
  const second = await world.start({ brokerId: 2 });
  await world.until(() => isPlaced(first, [1, 2]) && isPlaced(second, [1, 2]));
  await world.until(() => second.brokerLog.isSettled);
  const both = [first, second];
  await appendToAll(both, "b");
  expect(await valuesOfAll(both)).toEqual(new Set(["0:a,1:b"]));
  expect(Object.values(owned(first)).every((count) => count > 400)).toBe(true);
});

it("lets the others take the shards of a crashed broker, and give them back when it returns", async () => {
  const world = new LogWorld();
  const processes = [1, 2, 3].map((brokerId) => world.start({ brokerId }));
  const [first, second, third] = (await world.complete(Promise.all(processes))) as [LogProcess, LogProcess, LogProcess];
  await world.until(() => isPlaced(first, [1, 2, 3]));
  await first.createTopic("orders", PARTITIONS);
  await appendToAll([first, second, third], "a");
  await third.crash();
  await world.until(() => isPlaced(first, [1, 2]));
  await world.until(() => first.brokerLog.isSettled && second.brokerLog.isSettled);
  await appendToAll([first, second], "b");
  expect(await valuesOfAll([first, second])).toEqual(new Set(["0:a,1:b"]));
  const again = await world.start({ brokerId: 3 });
  await world.until(() => isPlaced(first, [1, 2, 3]) && again.brokerLog.isSettled);
  await appendToAll([first, second, again], "c");
  expect(await valuesOfAll([first, second, again])).toEqual(new Set(["0:a,1:b,2:c"]));
});

it("loses nothing when the receiver of a hand-over dies before its first checkpoint", async () => {
  const world = new LogWorld();
  const first = await world.start({ brokerId: 1 });
  await first.createTopic("orders", PARTITIONS);
  await appendToAll([first], "a");
  const second = await world.start({ brokerId: 2, checkpointIntervalMs: 3_600_000 });
  await world.until(() => isPlaced(first, [1, 2]) && second.brokerLog.isSettled);
  await appendToAll([first, second], "b");
  await second.crash();
  await world.until(() => isPlaced(first, [1]));
  await world.until(() => first.brokerLog.isSettled);
  expect(await valuesOfAll([first])).toEqual(new Set(["0:a,1:b"]));
});

it("loses nothing when shards are given while a checkpoint rewrites their claims", async () => {
  const world = new LogWorld();
  const applied: { txn: (txn: Txn) => Promise<void> } = { txn: () => Promise.resolve() };
  world.kv = withTxns(world.memoryKv, (txn) => applied.txn(txn));
  const first = await world.start({ brokerId: 1 });
  await first.createTopic("orders", PARTITIONS);
  await appendToAll([first], "a");
  const second = await world.start({ brokerId: 2 });
  await world.until(() => isPlaced(first, [1, 2]) && second.brokerLog.isSettled);
  await appendToAll([first, second], "b");
  await second.crash();
  // What the first one then claims it rewrites with its next checkpoint, and here the answer takes its time.
  let rewriteCount = 0;
  applied.txn = async ({ compare, then }) => {
    const isRewrite = compare.filter(({ target }) => target === "create").length === 1;
    if (!isRewrite || !then[0]?.key.startsWith(world.keys.claims)) return;
    rewriteCount++;
    await sleep(world.clock, 2_000, new AbortController().signal);
  };
  await world.until(() => rewriteCount > 0);
  const again = await world.start({ brokerId: 2 });
  await world.until(() => isPlaced(first, [1, 2]) && again.brokerLog.isSettled);
  await appendToAll([first, again], "c");
  expect(await valuesOfAll([first, again])).toEqual(new Set(["0:a,1:b,2:c"]));
});

it("drains a broker before its stop: every shard is served elsewhere while it still answers", async () => {
  const world = new LogWorld();
  const first = await world.start({ brokerId: 1 });
  const second = await world.start({ brokerId: 2 });
  await world.until(() => isPlaced(first, [1, 2]));
  await first.createTopic("orders", PARTITIONS);
  await appendToAll([first, second], "a");
  await world.complete(first.brokerLog.drain(new AbortController().signal));
  expect(first.brokerLog.isServing).toBe(true);
  await world.until(() => second.brokerLog.isSettled);
  await appendToAll([second], "b");
  await first.stop();
  expect(owned(second)).toEqual({ 2: SHARD_COUNT });
  expect(await valuesOfAll([second])).toEqual(new Set(["0:a,1:b"]));
});

it("refuses appends with NOT_LEADER_OR_FOLLOWER where a shard has left, and gives no offset twice", async () => {
  const world = new LogWorld();
  const first = await world.start({ brokerId: 1 });
  await first.createTopic("orders", PARTITIONS);
  await appendToAll([first], "a");
  const kept = Array.from({ length: PARTITIONS }, (_, index) => first.partition("orders", index));
  const outcomes = new Map<number, Promise<number | string>[]>();
  const append = (index: number) => {
    const outcome = (kept[index] as (typeof kept)[number]).append(batchOf([`${index}`])).then(
      ({ baseOffset }) => baseOffset,
      (error: unknown) => `code ${errorCodeOf(error)}`,
    );
    outcomes.set(index, [...(outcomes.get(index) ?? []), outcome]);
  };
  let isOver = false;
  const appendToKept = () => {
    for (let index = 0; index < PARTITIONS; index++) append(index);
    if (!isOver) world.clock.setTimer(10, appendToKept);
  };
  appendToKept();
  const second = await world.start({ brokerId: 2 });
  await world.until(() => isPlaced(first, [1, 2]));
  isOver = true;
  await world.until(() => isPlaced(first, [1, 2]) && second.brokerLog.isSettled);
  const refusals = new Set<string>();
  for (let index = 0; index < PARTITIONS; index++) {
    const given = await world.complete(Promise.all(outcomes.get(index) ?? []));
    const offsets = given.filter((outcome) => typeof outcome === "number");
    for (const outcome of given) if (typeof outcome === "string") refusals.add(outcome);
    expect(offsets).toEqual(offsets.map((_, at) => at + 1));
    const { highWatermark } = leader([first, second], "orders", index).partition("orders", index);
    expect(highWatermark).toBe(offsets.length + 1);
  }
  expect(refusals).toEqual(new Set([`code ${ErrorCode.NOT_LEADER_OR_FOLLOWER}`]));
});
