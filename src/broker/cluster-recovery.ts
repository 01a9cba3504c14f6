// What an operator decides when the metadata store was restored from a backup, so that the bucket knows a later state
// than the store does: first a report of what the store lacks, then, by a call of its own, the store's word counts from
// here on. Refuses while a broker has a session, and where the two sides are not one cluster. Deletes nothing.
import { txnUntilAnswered, untilAnswered } from "../cluster/attempts.ts";
import { decodeClusterIdentity, decodeHead, decodeSession, encodeClusterIdentity } from "../cluster/keys.ts";
import type { KeyValue, Txn } from "../kv/key-value-store.ts";
import { type ClusterIdObject, encodeClusterIdObject } from "../objects/cluster-id-object.ts";
import {
  type ClusterGuardParts,
  ClusterMismatchError,
  patiently,
  patientlyAnswered,
  readClusterIdObject,
} from "./cluster-guard.ts";

/** Objects of flushes that no head covers. */
export interface UncoveredFlushes {
  /** Sessions that wrote them. */
  readonly sessions: number;
  readonly flushes: number;
  readonly bytes: number;
}

/** How bucket and metadata store stand to each other. */
export interface ClusterStanding {
  readonly clusterId: string;
  readonly object: Pick<ClusterIdObject, "generation" | "revision">;
  readonly metadata: Pick<ClusterIdObject, "generation" | "revision">;
  /** Whether the bucket has seen a later state of the metadata store: brokers refuse to start. */
  readonly isRestored: boolean;
  /** The identity as it was read, which an acceptance compares. */
  readonly entry: KeyValue;
}

/** The same, and what goes with it. */
export interface ClusterRecovery extends ClusterStanding {
  /** Brokers that have a session, as `id at host:port`. */
  readonly brokers: readonly string[];
  /** Flushes past the heads: acknowledged after the backup was made, or never acknowledged; nothing tells which. */
  readonly uncovered: UncoveredFlushes;
}

/** Objects of one LIST. */
const LIST_OBJECTS_MAX = 1_000;

/**
 * Compares both sides, and lists the flushes of the bucket. Changes nothing.
 * @throws ClusterMismatchError where one side knows no cluster, or another one; the error of a store that stays silent
 */
export async function inspectCluster(parts: ClusterGuardParts): Promise<ClusterRecovery> {
  const { keys, kv } = parts.cluster;
  const standing = await compareCluster(parts);
  const what = "range of sessions";
  const sessions = await patientlyAnswered(parts, what, (signal) =>
    untilAnswered(parts.cluster, { what, signal }, (call) => kv.range(keys.sessions, { signal: call })),
  );
  const brokers = sessions.entries
    .map(decodeSession)
    .map(({ brokerId, host, port }) => `${brokerId} at ${host}:${port}`);
  return { ...standing, brokers, uncovered: await listUncovered(parts) };
}

/**
 * Compares both sides by what each says of the cluster. Changes nothing.
 * @throws ClusterMismatchError where one side knows no cluster, or another one; the error of a store that stays silent
 */
export async function compareCluster(parts: ClusterGuardParts): Promise<ClusterStanding> {
  const { cluster, objectKeys } = parts;
  const { kv, keys } = cluster;
  const object = await readClusterIdObject(parts);
  const what = "read of the cluster's identity";
  const { entry, revision } = await patientlyAnswered(parts, what, (signal) =>
    untilAnswered(cluster, { what, signal }, (call) => kv.get(keys.cluster, { signal: call })),
  );
  if (!object || !entry) {
    throw new ClusterMismatchError(
      object
        ? `${objectKeys.clusterId} names cluster ${object.clusterId}, and the metadata store knows no cluster: restore a backup of it first`
        : `there is no ${objectKeys.clusterId}: the bucket or its namespace is another one, or no broker has ever started here`,
    );
  }
  const { clusterId, generation } = decodeClusterIdentity(entry);
  if (clusterId !== object.clusterId) {
    throw new ClusterMismatchError(
      `${objectKeys.clusterId} names cluster ${object.clusterId}, the metadata store ${clusterId}: they never belonged together`,
    );
  }
  const isRestored = generation !== object.generation || revision < object.revision;
  return { clusterId, object, metadata: { generation, revision }, isRestored, entry };
}

/** Flushes in the bucket past the head of their session, or of a session that the metadata store does not know. */
async function listUncovered(parts: ClusterGuardParts): Promise<UncoveredFlushes> {
  const { cluster, store, objectKeys } = parts;
  const what = "range of heads";
  const { entries } = await patientlyAnswered(parts, what, (signal) =>
    untilAnswered(cluster, { what, signal }, (call) => cluster.kv.range(cluster.keys.heads, { signal: call })),
  );
  const heads = new Map(entries.map((entry) => [cluster.keys.sessionOfHead(entry.key), decodeHead(entry).n]));
  const sessions = new Set<string>();
  let [flushes, bytes] = [0, 0];
  let startAfter: string | undefined;
  for (;;) {
    const after = startAfter === undefined ? {} : { startAfter };
    const listed = await patiently(parts, "list of the flushes", (attempt) =>
      store.list(objectKeys.flushes, { ...after, limit: LIST_OBJECTS_MAX, signal: attempt }),
    );
    for (const object of listed.objects) {
      const flush = objectKeys.parse(object.key);
      if (flush?.type !== "wal" || flush.n <= (heads.get(flush.sessionId) ?? 0)) continue;
      sessions.add(flush.sessionId);
      flushes++;
      bytes += object.bytes;
    }
    startAfter = listed.objects.at(-1)?.key;
    if (!listed.isTruncated || startAfter === undefined) return { sessions: sessions.size, flushes, bytes };
  }
}

/**
 * Takes the metadata store as it is: raises the generation on both sides, so that brokers start on it and whoever still
 * holds the lost state is refused. What the store lacks is lost to clients from here on; its objects stay.
 * @returns the new generation
 * @throws ClusterMismatchError while a broker has a session, or when the identity has changed since `found`
 */
export async function acceptMetadata(parts: ClusterGuardParts, found: ClusterRecovery): Promise<number> {
  const { cluster, store, objectKeys } = parts;
  if (found.brokers.length > 0) {
    throw new ClusterMismatchError(
      `brokers have sessions: ${found.brokers.join(", ")}. Stop them; a killed one's session ends after 10 s`,
    );
  }
  const { clusterId } = found;
  const generation = Math.max(found.metadata.generation, found.object.generation) + 1;
  const value = encodeClusterIdentity({ clusterId, generation });
  const key = cluster.keys.cluster;
  const txn: Txn = {
    compare: [{ key, target: "mod", equals: found.entry.modRevision }],
    then: [{ type: "put", key, value }],
    otherwise: [{ type: "get", key }],
  };
  const { succeeded, revision, results } = await patientlyAnswered(parts, "new generation", (signal) =>
    txnUntilAnswered(cluster, { what: "new generation", signal }, txn),
  );
  const stands = results[0]?.value;
  if (!succeeded && !(stands && Buffer.from(stands).equals(value))) {
    throw new ClusterMismatchError("another recovery changed the cluster meanwhile: look again");
  }
  const bytes = encodeClusterIdObject({ clusterId, generation, revision });
  const what = `put of ${objectKeys.clusterId}`;
  // Last: until it is there brokers refuse to start, and a repeated recovery finishes what this one began.
  await patiently(parts, what, (attempt) =>
    store.put(objectKeys.clusterId, [bytes], { ifAbsent: false, signal: attempt }),
  );
  return generation;
}
