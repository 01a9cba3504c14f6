// How long a broker with many shards takes to give them away, with a store and an etcd that take their time.
import { expect, it } from "vitest";
import { SHARD_COUNT } from "../../src/cluster/placement.ts";
import { longLivedController } from "../../src/host/abort.ts";
import { sleep } from "../../src/host/clock.ts";
import type { KeyValueStore } from "../../src/kv/key-value-store.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { batchOf, type LogProcess, LogWorld } from "./log-world.ts";

const PUT_MS = 100;
const GET_MS = 40;
const TXN_MS = 4;
const PARTITIONS = 1_000;
const { signal } = longLivedController();

function slowStore({ memoryStore, clock }: LogWorld): ObjectStore {
  const slow = async <T>(ms: number, call: () => Promise<T>): Promise<T> => {
    await sleep(clock, ms, signal);
    return call();
  };
  return {
    put: (key, parts, options) => slow(PUT_MS, () => memoryStore.put(key, parts, options)),
    get: (key, options) => slow(GET_MS, () => memoryStore.get(key, options)),
    head: (key, options) => slow(GET_MS, () => memoryStore.head(key, options)),
    list: (prefix, options) => memoryStore.list(prefix, options),
    delete: (keys, options) => memoryStore.delete(keys, options),
  };
}

function slowKv({ memoryKv, clock }: LogWorld): KeyValueStore {
  return {
    get: (key, options) => memoryKv.get(key, options),
    range: (prefix, options) => memoryKv.range(prefix, options),
    watch: (prefix, options) => memoryKv.watch(prefix, options),
    grantLease: (ttlMs, options) => memoryKv.grantLease(ttlMs, options),
    keepAlive: (lease, options) => memoryKv.keepAlive(lease, options),
    revokeLease: (lease, options) => memoryKv.revokeLease(lease, options),
    txn: async (txn, options) => {
      await sleep(clock, TXN_MS, signal);
      return memoryKv.txn(txn, options);
    },
  };
}

it("drains a thousand shards with records well within its time, and no producer waits for a second", async () => {
  const world = new LogWorld();
  world.store = slowStore(world);
  world.kv = slowKv(world);
  const giver = await world.start({ brokerId: 1 });
  const topicIds: string[] = [];
  for (const name of ["a", "b", "c"]) topicIds.push((await giver.createTopic(name, PARTITIONS)).topicId);
  const places = topicIds.flatMap((topicId) => Array.from({ length: PARTITIONS }, (_, index) => ({ topicId, index })));
  const append = ({ brokerLog }: LogProcess, { topicId, index }: (typeof places)[number]) =>
    brokerLog.partition(topicId, index).append(batchOf(["x"]));
  await world.complete(Promise.all(places.map((place) => append(giver, place))));
  const receiver = await world.start({ brokerId: 2 });
  const gapsMs: number[] = [];
  let isOver = false;
  const produce = async (place: (typeof places)[number]) => {
    let ackedMs = world.clock.monotonicMs();
    for (let leader = giver; !isOver; ) {
      try {
        await append(leader, place);
        gapsMs.push(world.clock.monotonicMs() - ackedMs);
        ackedMs = world.clock.monotonicMs();
      } catch {
        leader = leader === giver ? receiver : giver;
      }
      await sleep(world.clock, 10, signal);
    }
  };
  const producers = places.filter((_, at) => at % 60 === 0).map((place) => produce(place));
  const startedMs = world.clock.monotonicMs();
  expect(await world.complete(giver.brokerLog.drain(signal))).toBe(true);
  const tookMs = world.clock.monotonicMs() - startedMs;
  await world.pass(1_500);
  isOver = true;
  await world.complete(Promise.all(producers));
  expect(tookMs).toBeLessThan(4_000);
  expect(Math.max(...gapsMs)).toBeLessThan(1_000);
  for (let shard = 0; shard < SHARD_COUNT; shard++) expect(receiver.feed.current.ownerOf(shard)?.brokerId).toBe(2);
});
