// How the sessions of a broker follow one another: what a new one takes over, and how the last one ends.
import { expect, it } from "vitest";
import { SHARD_COUNT } from "../../src/cluster/placement.ts";
import { Session } from "../../src/cluster/session.ts";
import { claimShards } from "../../src/cluster/shards.ts";
import { silentLog } from "../../src/host/log.ts";
import { LogWorld } from "./log-world.ts";

const signal = new AbortController().signal;

/** Another process with the same broker id: it takes every shard, and is gone at once. */
async function brieflyOwnEverything(world: LogWorld): Promise<void> {
  const life = new AbortController();
  const { memoryKv, clock, random, keys } = world;
  const cluster = { kv: memoryKv, clock, random, log: silentLog, keys };
  const address = { host: "elsewhere", port: 9092, controlHost: "", controlPort: 0, rack: "" };
  const registration = { brokerId: 1, process: "99", ...address, version: "test" };
  const session = await Session.register(cluster, registration, { signal, life: life.signal });
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
