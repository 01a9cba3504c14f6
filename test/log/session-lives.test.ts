// How the sessions of a broker follow one another: what a new one takes over, and how the last one ends.
import { expect, it } from "vitest";
import { SHARD_COUNT } from "../../src/cluster/placement.ts";
import { Session } from "../../src/cluster/session.ts";
import { claimShards } from "../../src/cluster/shards.ts";
import { silentLog } from "../../src/host/log.ts";
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
  await claimShards(session, { shards, loadCheckpoint: () => Promise.reject(new Error("none")), signal });
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
