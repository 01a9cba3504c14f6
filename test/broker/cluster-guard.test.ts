// Bucket and metadata store must belong together.
import { describe, expect, it } from "vitest";
import { ClusterMismatchError, guardCluster, noteRevisions } from "../../src/broker/cluster-guard.ts";
import { ClusterKeys, encodeHead } from "../../src/cluster/keys.ts";
import { silentLog } from "../../src/host/log.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { decodeClusterIdObject, encodeClusterIdObject } from "../../src/objects/cluster-id-object.ts";
import { ObjectKeys } from "../../src/objects/object-keys.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";

const objectKeys = new ObjectKeys("test");
const clock = new SimClock();
const random = new SimRandom("guard");
const { signal } = new AbortController();

function partsOf(store: MemoryObjectStore, kv = new MemoryKeyValueStore({ clock })) {
  const cluster = { kv, clock, random, log: silentLog, keys: new ClusterKeys("test") };
  return { cluster, store, objectKeys, signal };
}

it("gives a new cluster one identity on both sides, which later starts find", async () => {
  const parts = partsOf(new MemoryObjectStore());
  const first = await clock.complete(guardCluster(parts));
  const second = await clock.complete(guardCluster(parts));
  expect(second.clusterId).toBe(first.clusterId);
  const object = decodeClusterIdObject(await parts.store.get(objectKeys.clusterId, { signal }));
  expect(object).toEqual({ clusterId: first.clusterId, generation: 1, revision: second.revision });
});

it("refuses a bucket of another cluster, and a metadata store that lost its content", async () => {
  const store = new MemoryObjectStore();
  const parts = partsOf(store);
  await clock.complete(guardCluster(parts));
  await expect(clock.complete(guardCluster(partsOf(store)))).rejects.toThrow(ClusterMismatchError);
  const other = partsOf(new MemoryObjectStore());
  await clock.complete(guardCluster(other));
  await expect(clock.complete(guardCluster({ ...parts, cluster: other.cluster }))).rejects.toThrow("names cluster");
});

it("refuses a metadata store below the revision that the bucket has seen", async () => {
  const parts = partsOf(new MemoryObjectStore());
  const { clusterId, generation, revision } = await clock.complete(guardCluster(parts));
  const seen = encodeClusterIdObject({ clusterId, generation, revision: revision + 100 });
  await parts.store.put(objectKeys.clusterId, [seen], { ifAbsent: false, signal });
  await expect(clock.complete(guardCluster(parts))).rejects.toThrow("restored from a backup");
});

it("refuses an empty bucket beside sessions that wrote objects, and finishes a first start cut short", async () => {
  const parts = partsOf(new MemoryObjectStore());
  const { clusterId } = await clock.complete(guardCluster(parts));
  const emptied = { ...parts, store: new MemoryObjectStore() };
  expect(await clock.complete(guardCluster(emptied))).toMatchObject({ clusterId });
  const key = parts.cluster.keys.head("0123456789abcdef01234567");
  const value = encodeHead({ n: 1, committedAtMs: 0 });
  await parts.cluster.kv.txn({ compare: [], then: [{ type: "put", key, value }] }, { signal });
  const other = { ...parts, store: new MemoryObjectStore() };
  await expect(clock.complete(guardCluster(other))).rejects.toThrow("it was emptied");
});

describe("the revision in the bucket", () => {
  const hourMs = 3_600_000;
  const life = new AbortController();
  const change = (parts: ReturnType<typeof partsOf>) =>
    parts.cluster.kv.txn({ compare: [], then: [{ type: "put", key: "other", value: new Uint8Array(1) }] }, { signal });
  const noted = async (parts: ReturnType<typeof partsOf>) =>
    decodeClusterIdObject(await parts.store.get(objectKeys.clusterId, { signal })).revision;

  it("follows a metadata store that moves on, and an idle one costs no put", async () => {
    const parts = { ...partsOf(new MemoryObjectStore()), signal: life.signal };
    const { revision } = await clock.complete(guardCluster(parts));
    const noting = noteRevisions(parts, revision);
    noting.catch(() => {});
    await clock.advance(hourMs + 1);
    expect(await noted(parts)).toBe(revision);
    await change(parts);
    await clock.advance(hourMs + 1);
    expect(await noted(parts)).toBe(revision + 1);
    await parts.store.delete([objectKeys.clusterId], { signal });
    await clock.advance(hourMs + 1);
    await expect(noted(parts)).rejects.toThrow("no object");
    life.abort(new Error("done"));
    await expect(noting).rejects.toThrow("done");
  });

  it("shows a backup that was restored under a running broker", async () => {
    const parts = partsOf(new MemoryObjectStore());
    const { clusterId, generation, revision } = await clock.complete(guardCluster(parts));
    const noting = noteRevisions(parts, revision);
    noting.catch(() => {});
    const seen = encodeClusterIdObject({ clusterId, generation, revision: revision + 100 });
    await parts.store.put(objectKeys.clusterId, [seen], { ifAbsent: false, signal });
    await change(parts);
    await clock.advance(hourMs + 1);
    await expect(noting).rejects.toThrow(ClusterMismatchError);
  });
});
