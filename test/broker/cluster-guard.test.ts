// Bucket and metadata store must belong together.
import { expect, it } from "vitest";
import { ClusterMismatchError, guardCluster } from "../../src/broker/cluster-guard.ts";
import { ClusterKeys } from "../../src/cluster/keys.ts";
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
