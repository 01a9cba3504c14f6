// Shards that cannot be loaded: they hold nobody up, they move as they are, and they are tried again where they are.
import { expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { encodeClaim } from "../../src/cluster/keys.ts";
import { ownerFor, SHARD_COUNT, shardOf } from "../../src/cluster/placement.ts";
import { errorCodeOf } from "../../src/kafka-error.ts";
import { type ObjectStore, ObjectStoreError } from "../../src/object-store/object-store.ts";
import { emptyList, encodeSection, type SectionPartition } from "../../src/objects/checkpoint-section.ts";
import { type LogProcess, LogWorld } from "./log-world.ts";

const signal = new AbortController().signal;

/** A store in which the objects under some prefixes answer nothing but refusals. */
function sickStore(world: LogWorld): { readonly store: ObjectStore; readonly sick: Set<string> } {
  const sick = new Set<string>();
  const { memoryStore } = world;
  const requireWell = (key: string) => {
    if ([...sick].some((prefix) => key.startsWith(prefix))) {
      throw new ObjectStoreError("unavailable", `${key}: slow down (503)`);
    }
  };
  const store: ObjectStore = {
    put: (key, parts, options) => memoryStore.put(key, parts, options),
    get: async (key, options) => {
      requireWell(key);
      return memoryStore.get(key, options);
    },
    head: async (key, options) => {
      requireWell(key);
      return memoryStore.head(key, options);
    },
    list: (prefix, options) => memoryStore.list(prefix, options),
    delete: (keys, options) => memoryStore.delete(keys, options),
  };
  return { store, sick };
}

function sessionOf(process: LogProcess, shard: number): string {
  return process.feed.current.claim(shard)?.claim.sessionId ?? "nobody";
}

function codeFor(process: LogProcess, name: string, index = 0): number {
  try {
    process.partition(name, index);
    return 0;
  } catch (error) {
    return errorCodeOf(error);
  }
}

/** Two brokers that have crashed, each with records in a partition of its own; what the first is for the second is not. */
async function twoDeadBrokers(checkpointIntervalMs: number) {
  const world = new LogWorld();
  const { store, sick } = sickStore(world);
  world.store = store;
  const first = await world.start({ brokerId: 1, checkpointIntervalMs });
  const second = await world.start({ brokerId: 2, checkpointIntervalMs });
  await world.until(() => first.brokerLog.isSettled && second.brokerLog.isSettled);
  const { topicId } = await first.createTopic("orders", 8);
  const partitionOf = (brokerId: number) =>
    Array.from({ length: 8 }, (_, index) => index).find(
      (index) => ownerFor(shardOf(topicId, index), [1, 2]) === brokerId,
    ) as number;
  const [mine, theirs] = [partitionOf(1), partitionOf(2)];
  await first.append("orders", ["a"], {}, mine);
  await second.append("orders", ["b"], {}, theirs);
  await world.pass(3_000);
  const sessionId = sessionOf(first, shardOf(topicId, theirs));
  await second.crash();
  await first.crash();
  return { world, sick, sessionId, mine, theirs };
}

it("serves at once what is loaded, while what one object answers with 503 for ever is loading, then failed", async () => {
  const { world, sick, sessionId, mine, theirs } = await twoDeadBrokers(3_600_000);
  sick.add(`test/wal/${sessionId}/`);
  const again = await world.start({ brokerId: 1 });
  expect(await again.append("orders", ["c"], {}, mine)).toBe(1);
  await world.until(() => again.feed.current.ownerOf(0)?.brokerId === 1 && sessionOf(again, 0) !== sessionId);
  await world.pass(15_000);
  expect([codeFor(again, "orders", theirs), again.brokerLog.isSettled]).toEqual([
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    false,
  ]);
  expect(await again.append("orders", ["d"], {}, mine)).toBe(2);
  await world.pass(60_000);
  expect([codeFor(again, "orders", theirs), again.brokerLog.isSettled]).toEqual([ErrorCode.KAFKA_STORAGE_ERROR, true]);
  sick.clear();
  await world.pass(61_000);
  expect(await again.values("orders", 0, theirs)).toEqual(["0:b"]);
  expect(await again.values("orders", 0, mine)).toEqual(["0:a", "1:c", "2:d"]);
});

it("claims what other dead sessions left, while the checkpoint of one answers with 503", async () => {
  const { world, sick, sessionId, mine, theirs } = await twoDeadBrokers(1_000);
  sick.add(`test/ckpt/${sessionId}/`);
  const again = await world.start({ brokerId: 1 });
  expect(await again.values("orders", 0, mine)).toEqual(["0:a"]);
  await world.pass(20_000);
  expect([codeFor(again, "orders", theirs), again.brokerLog.isSettled]).toEqual([
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    false,
  ]);
  await world.until(() => again.brokerLog.isSettled);
  expect(await again.append("orders", ["c"], {}, mine)).toBe(1);
  sick.clear();
  await world.pass(61_000);
  expect(await again.values("orders", 0, theirs)).toEqual(["0:b"]);
});

it("gives failed shards to the broker they are placed on as they are, which is ready and recovers them itself", async () => {
  const world = new LogWorld();
  const { store, sick } = sickStore(world);
  world.store = store;
  const impatient = { readPatienceMs: 2_000, failedShardRetryMs: 5_000 };
  const dead = await world.start({ brokerId: 1 });
  const { topicId } = await dead.createTopic("orders", 8);
  const indexes = Array.from({ length: 8 }, (_, index) => index);
  for (const index of indexes) await dead.append("orders", [`v${index}`], {}, index);
  sick.add(`test/wal/${sessionOf(dead, 0)}/`);
  await dead.crash();
  const first = await world.start({ brokerId: 1, ...impatient });
  await world.until(() => first.brokerLog.isSettled);
  const shards = indexes.map((index) => shardOf(topicId, index));
  const before = shards.map((shard) => first.feed.current.claim(shard)?.claim);
  expect(indexes.map((index) => codeFor(first, "orders", index))).toEqual(
    indexes.map(() => ErrorCode.KAFKA_STORAGE_ERROR),
  );
  const second = await world.start({ brokerId: 2, ...impatient });
  const isPlaced = () =>
    Array.from({ length: SHARD_COUNT }, (_, shard) => shard).every(
      (shard) => second.feed.current.ownerOf(shard)?.brokerId === ownerFor(shard, [1, 2]),
    );
  await world.until(() => isPlaced() && second.brokerLog.isSettled);
  expect(first.brokerLog.isSettled).toBe(true);
  for (const [at, shard] of shards.entries()) {
    const claim = before[at];
    const isMoved = ownerFor(shard, [1, 2]) === 2;
    expect(second.feed.current.claim(shard)?.claim).toMatchObject({
      epoch: (claim?.epoch ?? 0) + (isMoved ? 1 : 0),
      prev: claim?.prev,
    });
  }
  sick.clear();
  await world.pass(15_000);
  for (const index of indexes) {
    const owner = ownerFor(shardOf(topicId, index), [1, 2]) === 1 ? first : second;
    expect(await owner.append("orders", ["w"], {}, index)).toBe(1);
    expect(await owner.values("orders", 0, index)).toEqual([`0:v${index}`, "1:w"]);
  }
});

it("fails one shard, and not the process, where stored bytes break an invariant of its recovery", async () => {
  const world = new LogWorld();
  const first = await world.start();
  const { topicId } = await first.createTopic("orders", 8);
  for (const index of [0, 1]) await first.append("orders", ["a"], {}, index);
  const [bad, good] = [shardOf(topicId, 0), shardOf(topicId, 1)];
  const sessionId = sessionOf(first, bad);
  await first.crash();
  const partition: SectionPartition = {
    topicId,
    partition: 0,
    logStart: 0,
    logEnd: 7,
    pendingFrom: 0,
    leaderEpochs: [],
    pending: emptyList,
    producers: emptyList,
    fold: emptyList,
    segments: emptyList,
    openTransactions: [],
  };
  // Sound as bytes, and no writer ever made it: a partition that stands in it twice.
  const bytes = encodeSection({ shard: bad, epoch: 1, covers: [], partitions: [partition, partition], dropped: [] });
  const objectKey = world.objectKeys.checkpoint(sessionId, 9);
  await world.memoryStore.put(objectKey, [bytes], { ifAbsent: false, signal });
  const base = { objectKey, position: 0, length: bytes.length, sessionId, n: 9 };
  const value = encodeClaim({ sessionId, epoch: 1, base, prev: [] });
  await world.memoryKv.txn({ compare: [], then: [{ type: "put", key: world.keys.claim(bad), value }] }, { signal });
  const second = await world.start();
  expect(codeFor(second, "orders", 0)).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
  expect(good).not.toBe(bad);
  expect(await second.values("orders", 0, 1)).toEqual(["0:a"]);
  expect([second.bugs, second.brokerLog.isSettled]).toEqual([[], true]);
});
