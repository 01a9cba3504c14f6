// How the sessions of a broker follow one another: what a new one takes over, and how the last one ends.
import { expect, it } from "vitest";
import { SHARD_COUNT } from "../../src/cluster/placement.ts";
import { Session } from "../../src/cluster/session.ts";
import { claimShards, readClaims } from "../../src/cluster/shards.ts";
import { silentLog } from "../../src/host/log.ts";
import { KvError } from "../../src/kv/key-value-store.ts";
import { type ObjectStore, ObjectStoreError } from "../../src/object-store/object-store.ts";
import { batchOf, type LogProcess, LogWorld } from "./log-world.ts";

const signal = new AbortController().signal;

/** Another process with the same broker id: it takes every shard, and is gone at once. */
async function brieflyOwnEverything(world: LogWorld): Promise<void> {
  const life = new AbortController();
  const { memoryKv, clock, random, keys } = world;
  const cluster = { kv: memoryKv, clock, random, log: silentLog, keys };
  const address = { host: "elsewhere", port: 9092, controlHost: "", controlPort: 0, rack: "" };
  const registration = { brokerId: 1, process: "99", ...address, version: "test" };
  const session = await Session.register(cluster, registration, { signal, life: life.signal, onBug: () => {} });
  const shards = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);
  const { claims } = await readClaims(cluster, { signal });
  await claimShards(session, { shards, claims, loadCheckpoint: () => Promise.reject(new Error("none")), signal });
  life.abort(new Error("crash"));
}

it("serves every shard although another process took them between its look around and its registration", async () => {
  const world = new LogWorld();
  const { memoryKv } = world;
  let isFirst = true;
  world.kv = {
    get: (key, options) => memoryKv.get(key, options),
    range: (prefix, options) => memoryKv.range(prefix, options),
    watch: (prefix, options) => memoryKv.watch(prefix, options),
    grantLease: (ttlMs, options) => memoryKv.grantLease(ttlMs, options),
    keepAlive: (lease, options) => memoryKv.keepAlive(lease, options),
    revokeLease: (lease, options) => memoryKv.revokeLease(lease, options),
    txn: async (txn, options) => {
      if (isFirst && txn.then.some(({ key }) => key.startsWith(world.keys.sessions))) {
        isFirst = false;
        await brieflyOwnEverything(world);
      }
      return memoryKv.txn(txn, options);
    },
  };
  const process = await world.start();
  expect(isFirst).toBe(false);
  await process.createTopic("orders");
  expect(await process.append("orders", ["a"])).toBe(0);
  expect(process.partition("orders").leaderEpoch).toBe(2);
});

it("tells of a broken invariant that a flush meets in the moment after its session has died", async () => {
  const world = new LogWorld();
  const { memoryStore } = world;
  let process: LogProcess | undefined;
  world.store = {
    put: (key, parts, options) => memoryStore.put(key, parts, options),
    get: (key, options) => {
      const reading = memoryStore.get(key, options);
      // The session dies when the foreign bytes have arrived, before anybody has looked at them.
      if (process) void reading.then(() => {}).then(() => process?.brokerLog.abandon());
      return reading;
    },
    head: (key, options) => memoryStore.head(key, options),
    list: (prefix, options) => memoryStore.list(prefix, options),
    delete: (keys, options) => memoryStore.delete(keys, options),
  };
  const started = await world.start();
  await started.createTopic("orders");
  const sessionId = [...started.feed.current.claims()][0]?.claim.sessionId ?? "";
  await memoryStore.put(world.objectKeys.wal(sessionId, 1), [new Uint8Array([1])], { ifAbsent: false, signal });
  process = started;
  const partition = started.partition("orders");
  await expect(world.complete(partition.append(batchOf(["a"])))).rejects.toThrow("NOT_LEADER_OR_FOLLOWER");
  expect(started.bugs.map(String)).toEqual([expect.stringContaining("could not be put")]);
  await started.crash();
});

/** A memory store that is out of reach from the first time on that somebody wants a WAL object back, until it is not. */
class Reach {
  isLost = false;
  #isArmed = true;
  readonly store: ObjectStore;

  constructor(inner: ObjectStore) {
    this.store = {
      put: (key, parts, options) => this.#reached(() => inner.put(key, parts, options)),
      get: (key, options) => this.#reached(() => inner.get(key, options), key),
      head: (key, options) => this.#reached(() => inner.head(key, options), key),
      list: (prefix, options) => this.#reached(() => inner.list(prefix, options)),
      delete: (keys, options) => this.#reached(() => inner.delete(keys, options)),
    };
  }

  async #reached<T>(call: () => Promise<T>, readKey = ""): Promise<T> {
    if (this.#isArmed && readKey.includes("/wal/")) {
      this.#isArmed = false;
      this.isLost = true;
    }
    if (this.isLost) throw new ObjectStoreError("unavailable", "out of reach");
    return call();
  }
}

it("gives up shards that it cannot load for half a minute because the store is out of reach, and comes back", async () => {
  const world = new LogWorld();
  const first = await world.start();
  await first.createTopic("orders");
  await first.append("orders", ["kept"]);
  await first.crash();
  const reach = new Reach(world.memoryStore);
  world.store = reach.store;
  const second = world.begin();
  await world.clock.run({ until: () => reach.isLost });
  const sessionCount = async () => (await world.memoryKv.range(world.keys.sessions, { signal })).entries.length;
  await world.clock.advance(28_000);
  expect(await sessionCount()).toBe(1);
  await world.clock.advance(8_000);
  expect([await sessionCount(), second.brokerLog.isServing]).toEqual([0, false]);
  reach.isLost = false;
  await world.clock.run({ until: () => second.brokerLog.isServing });
  expect(await second.values("orders")).toEqual(["0:kept"]);
});

it("tells coordinators of a shard that came late, and brings back no topic that was deleted meanwhile", async () => {
  const world = new LogWorld();
  const { memoryStore } = world;
  const first = await world.start();
  const [gone, kept] = [await first.createTopic("gone"), await first.createTopic("kept")];
  await first.append("gone", ["a"]);
  await first.append("kept", ["b"]);
  const sessionId = [...first.feed.current.claims()][0]?.claim.sessionId ?? "";
  await first.crash();
  const keys = [1, 2].map((flush) => world.objectKeys.wal(sessionId, flush));
  const whole = await Promise.all(keys.map((key) => memoryStore.get(key, { signal })));
  const put = (key: string, bytes: Uint8Array) => memoryStore.put(key, [bytes], { ifAbsent: false, signal });
  for (const key of keys) await put(key, new Uint8Array(100));
  const second = await world.start();
  let servingCount = 0;
  second.brokerLog.onServing(() => servingCount++);
  await world.complete(second.topics.delete({ name: "gone" }, { signal }));
  for (const [index, key] of keys.entries()) await put(key, whole[index] ?? new Uint8Array());
  await world.clock.advance(61_000);
  expect(servingCount).toBe(1);
  expect(await second.values("kept")).toEqual(["0:b"]);
  await second.stop();
  const { objects } = await memoryStore.list("test/ckpt/", { limit: 100, signal });
  const checkpoints = await Promise.all(objects.map(({ key }) => memoryStore.get(key, { signal })));
  const names = (topicId: string) => Buffer.concat(checkpoints).includes(Buffer.from(topicId, "base64url"));
  expect([names(kept.topicId), names(gone.topicId)]).toEqual([true, false]);
});

it("spreads the registrations of ten brokers whose sessions all ended while the metadata store was away", async () => {
  const world = new LogWorld();
  const { memoryKv, clock, keys } = world;
  let isAway = false;
  const registeredMs: number[] = [];
  const reached = <T>(call: () => Promise<T>): Promise<T> =>
    isAway ? Promise.reject(new KvError("unavailable", "no leader")) : call();
  world.kv = {
    get: (key, options) => reached(() => memoryKv.get(key, options)),
    range: (prefix, options) => reached(() => memoryKv.range(prefix, options)),
    watch: (prefix, options) => memoryKv.watch(prefix, options),
    grantLease: (ttlMs, options) => reached(() => memoryKv.grantLease(ttlMs, options)),
    keepAlive: (lease, options) => reached(() => memoryKv.keepAlive(lease, options)),
    revokeLease: (lease, options) => reached(() => memoryKv.revokeLease(lease, options)),
    txn: (txn, options) =>
      reached(() => {
        const isRegistration = txn.then.some(
          (operation) => operation.type === "put" && operation.key.startsWith(keys.sessions),
        );
        if (isRegistration) registeredMs.push(clock.monotonicMs());
        return memoryKv.txn(txn, options);
      }),
  };
  const brokerIds = Array.from({ length: 10 }, (_, index) => index + 1);
  const processes = await world.complete(Promise.all(brokerIds.map((brokerId) => world.start({ brokerId }))));
  await world.until(() => processes.every(({ brokerLog }) => brokerLog.isSettled));
  isAway = true;
  await world.pass(15_000);
  isAway = false;
  registeredMs.length = 0;
  await world.until(() => registeredMs.length === 10);
  const times = registeredMs.toSorted((a, b) => a - b);
  const busiest = Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 100).length));
  expect(busiest).toBeLessThanOrEqual(5);
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(400);
  await world.until(() => processes.every(({ brokerLog }) => brokerLog.isSettled));
});
