// Bucket and metadata store must belong together: the `cluster-id` object names the cluster whose heads name its objects.
// A start that would serve one cluster's metadata over another's objects is refused, with what to do.
import { type ClusterComponents } from "../cluster/cluster-components.ts";
import { ensureClusterIdentity, type StoredClusterIdentity } from "../cluster/cluster-identity.ts";
import { withDeadline } from "../host/clock.ts";
import { type ObjectStore, ObjectStoreError } from "../object-store/object-store.ts";
import { type ClusterIdObject, decodeClusterIdObject, encodeClusterIdObject } from "../objects/cluster-id-object.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";

/** A start that is refused. The message is one line for the operator. */
export class ClusterMismatchError extends Error {
  override readonly name = "ClusterMismatchError";
}

/** What is compared. */
export interface ClusterGuardParts {
  readonly cluster: ClusterComponents;
  readonly store: ObjectStore;
  readonly objectKeys: ObjectKeys;
  readonly signal: AbortSignal;
}

const STORE_TIMEOUT_MS = 10_000;

/**
 * Reads or creates the cluster's identity on both sides, and lifts the revision noted in the store.
 * @throws ClusterMismatchError when they do not belong together
 */
export async function guardCluster(parts: ClusterGuardParts): Promise<StoredClusterIdentity> {
  const { cluster, store, objectKeys, signal } = parts;
  const key = objectKeys.clusterId;
  const known = await readObject(parts);
  const stored = await cluster.kv.get(cluster.keys.cluster, { signal });
  if (known && !stored.entry) {
    throw new ClusterMismatchError(
      `${key} names cluster ${known.clusterId}, but the metadata store knows no cluster: it is another one, or it lost its content`,
    );
  }
  const identity = await ensureClusterIdentity(cluster, { signal });
  if (known) requireSame(key, known, identity);
  const { clusterId, generation, revision } = identity;
  const bytes = encodeClusterIdObject({ clusterId, generation, revision: Math.max(revision, known?.revision ?? 0) });
  await withDeadline(cluster.clock, STORE_TIMEOUT_MS, `put of ${key}`, signal, (attempt) =>
    store.put(key, [bytes], { ifAbsent: false, signal: attempt }),
  );
  return identity;
}

function requireSame(key: string, known: ClusterIdObject, identity: StoredClusterIdentity): void {
  const { clusterId, generation, revision } = identity;
  if (known.clusterId !== clusterId) {
    throw new ClusterMismatchError(`${key} names cluster ${known.clusterId}, the metadata store ${clusterId}`);
  }
  if (known.generation !== generation || revision < known.revision) {
    throw new ClusterMismatchError(
      `the metadata store is at generation ${generation}, revision ${revision}, ${key} at ${known.generation}, ${known.revision}: it was restored from a backup`,
    );
  }
}

async function readObject({ cluster, store, objectKeys, signal }: ClusterGuardParts): Promise<ClusterIdObject | null> {
  const key = objectKeys.clusterId;
  try {
    const bytes = await withDeadline(cluster.clock, STORE_TIMEOUT_MS, `get of ${key}`, signal, (attempt) =>
      store.get(key, { signal: attempt }),
    );
    return decodeClusterIdObject(bytes);
  } catch (error) {
    if (error instanceof ObjectStoreError && error.kind === "not-found") return null;
    throw error;
  }
}
