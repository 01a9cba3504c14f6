// After a restore of the metadata store from a backup, an operator's word is needed, and suffices.
import { beforeEach, expect, it } from "vitest";
import { ClusterMismatchError, guardCluster } from "../../src/broker/cluster-guard.ts";
import { acceptMetadata, inspectCluster } from "../../src/broker/cluster-recovery.ts";
import { ClusterKeys, encodeHead, encodeSession } from "../../src/cluster/keys.ts";
import { silentLog } from "../../src/host/log.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { encodeClusterIdObject } from "../../src/objects/cluster-id-object.ts";
import { ObjectKeys } from "../../src/objects/object-keys.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";

const objectKeys = new ObjectKeys("test");
const keys = new ClusterKeys("test");
const { signal } = new AbortController();
const known = "0123456789abcdef01234567";
const lost = "76543210fedcba9876543210";
const session = {
  brokerId: 4,
  process: "0011223344556677",
  host: "b4",
  port: 9092,
  controlHost: "b4",
  controlPort: 9093,
};

let clock: SimClock;
let parts: ReturnType<typeof newParts>;

function newParts(store = new MemoryObjectStore()) {
  const kv = new MemoryKeyValueStore({ clock });
  const cluster = { kv, clock, random: new SimRandom("recovery"), log: silentLog, keys };
  return { cluster, store, objectKeys, signal };
}

const put = (key: string, bytes: Uint8Array = new Uint8Array(10)) =>
  parts.store.put(key, [bytes], { ifAbsent: false, signal });
const store = (key: string, value: Uint8Array) =>
  parts.cluster.kv.txn({ compare: [], then: [{ type: "put", key, value }] }, { signal });

/** The bucket has seen a revision that the metadata store has not reached. */
async function restoreBackup(): Promise<void> {
  const { clusterId, generation, revision } = await clock.complete(guardCluster(parts));
  await put(objectKeys.clusterId, encodeClusterIdObject({ clusterId, generation, revision: revision + 100 }));
}

beforeEach(() => {
  clock = new SimClock();
  parts = newParts();
});

it("finds nothing to recover where both sides belong together", async () => {
  await clock.complete(guardCluster(parts));
  const found = await clock.complete(inspectCluster(parts));
  expect(found).toMatchObject({ isRestored: false, brokers: [], uncovered: { sessions: 0, flushes: 0, bytes: 0 } });
});

it("counts the flushes past the heads, and those of sessions that the backup does not know", async () => {
  await restoreBackup();
  await store(keys.head(known), encodeHead({ n: 2, committedAtMs: 0 }));
  for (const n of [1, 2, 3]) await put(objectKeys.wal(known, n));
  for (let n = 1; n <= 1_500; n++) await put(objectKeys.wal(lost, n));
  await put(`${objectKeys.flushes}stray`);
  const found = await clock.complete(inspectCluster(parts));
  expect(found).toMatchObject({ isRestored: true, uncovered: { sessions: 2, flushes: 1_501, bytes: 15_010 } });
});

it("lets brokers start on the restored store after it was accepted, and refuses them before", async () => {
  await restoreBackup();
  await expect(clock.complete(guardCluster(parts))).rejects.toThrow("kafscale recover");
  const found = await clock.complete(inspectCluster(parts));
  expect(await clock.complete(acceptMetadata(parts, found))).toBe(2);
  expect(await clock.complete(guardCluster(parts))).toMatchObject({ clusterId: found.clusterId, generation: 2 });
  expect(await clock.complete(inspectCluster(parts))).toMatchObject({ isRestored: false });
});

it("refuses the state that was given up, should its store come back", async () => {
  await clock.complete(guardCluster(parts));
  const abandoned = parts.cluster;
  const entry = (await abandoned.kv.get(keys.cluster, { signal })).entry;
  parts = newParts(parts.store);
  await store(keys.cluster, entry?.value ?? new Uint8Array());
  await put(objectKeys.clusterId, await bytesAtRevision(1_000));
  await clock.complete(acceptMetadata(parts, await clock.complete(inspectCluster(parts))));
  await expect(clock.complete(guardCluster({ ...parts, cluster: abandoned }))).rejects.toThrow("generation 1");
});

async function bytesAtRevision(revision: number): Promise<Uint8Array> {
  const { clusterId } = await clock.complete(inspectCluster(parts));
  return encodeClusterIdObject({ clusterId, generation: 1, revision });
}

it("finishes a recovery that ended between its two writes", async () => {
  await restoreBackup();
  const before = await parts.store.get(objectKeys.clusterId, { signal });
  await clock.complete(acceptMetadata(parts, await clock.complete(inspectCluster(parts))));
  await put(objectKeys.clusterId, before);
  const found = await clock.complete(inspectCluster(parts));
  expect(found).toMatchObject({ isRestored: true, metadata: { generation: 2 } });
  expect(await clock.complete(acceptMetadata(parts, found))).toBe(3);
  expect(await clock.complete(guardCluster(parts))).toMatchObject({ generation: 3 });
});

it("refuses while a broker has a session, and names it", async () => {
  await restoreBackup();
  await store(keys.session(known), encodeSession({ ...session, rack: "", version: "1", isDraining: false }));
  const found = await clock.complete(inspectCluster(parts));
  await expect(acceptMetadata(parts, found)).rejects.toThrow("4 at b4:9092");
});

it("refuses when the cluster has changed since it was looked at", async () => {
  await restoreBackup();
  const found = await clock.complete(inspectCluster(parts));
  await clock.complete(acceptMetadata(parts, await clock.complete(inspectCluster(parts))));
  await store(keys.cluster, found.entry.value);
  await expect(clock.complete(acceptMetadata(parts, found))).rejects.toThrow("look again");
});

it("refuses an empty metadata store, and a bucket without a cluster", async () => {
  await expect(clock.complete(inspectCluster(parts))).rejects.toThrow(ClusterMismatchError);
  await clock.complete(guardCluster(parts));
  await expect(clock.complete(inspectCluster(newParts(parts.store)))).rejects.toThrow("restore a backup");
});

it("gives up on a metadata store that stays silent", async () => {
  await clock.complete(guardCluster(parts));
  parts.cluster.kv.get = () => new Promise(() => {});
  await expect(clock.complete(inspectCluster(parts))).rejects.toThrow(
    "the metadata store: read of the cluster's identity",
  );
});
