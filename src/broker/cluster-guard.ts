// Bucket and metadata store must belong together: the `cluster-id` object names the cluster whose heads name its objects.
// A start that would serve one cluster's metadata over another's objects is refused, with what to do.
import { untilAnswered } from "../cluster/attempts.ts";
import type { ClusterComponents } from "../cluster/cluster-components.ts";
import { ensureClusterIdentity, type StoredClusterIdentity } from "../cluster/cluster-identity.ts";
import { DeadlineError, sleep, withDeadline } from "../host/clock.ts";
import type { Revision } from "../kv/key-value-store.ts";
import { type ObjectStore, ObjectStoreError } from "../object-store/object-store.ts";
import { type ClusterIdObject, decodeClusterIdObject, encodeClusterIdObject } from "../objects/cluster-id-object.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";

/** A start that is refused. The message is one line for the operator. */
export class ClusterMismatchError extends Error {
  override readonly name = "ClusterMismatchError";
}

/** What is compared, and what is waited with. */
export interface ClusterGuardParts {
  readonly cluster: ClusterComponents;
  readonly store: ObjectStore;
  readonly objectKeys: ObjectKeys;
  readonly signal: AbortSignal;
}

/** One call of the store. */
const STORE_TIMEOUT_MS = 10_000;
/** A store that cannot be reached for this long, in milliseconds, ends a start or a command: a restart of its own is shorter. */
export const START_PATIENCE_MS = 30_000;
const RETRY_PAUSE_MS = 500;
const NOTE_INTERVAL_MS = 3_600_000;

/**
 * Reads or creates the cluster's identity on both sides, and lifts the revision noted in the store.
 * @throws ClusterMismatchError when they do not belong together; the store's error when it stays out of reach
 */
export async function guardCluster(parts: ClusterGuardParts): Promise<StoredClusterIdentity> {
  const { cluster, store, objectKeys, signal } = parts;
  const key = objectKeys.clusterId;
  const known = await readClusterIdObject(parts);
  const what = "read of the identity of the cluster";
  const stored = await untilAnswered(cluster, { what, signal }, (call) =>
    cluster.kv.get(cluster.keys.cluster, { signal: call }),
  );
  if (known && !stored.entry) {
    throw new ClusterMismatchError(
      `${key} names cluster ${known.clusterId}, but the metadata store knows no cluster: it is another one, or it lost its content`,
    );
  }
  if (!known && stored.entry) await requireUnused(parts);
  const identity = await ensureClusterIdentity(cluster, { signal });
  if (known) requireSame(key, known, identity);
  const { clusterId, generation, revision } = identity;
  const bytes = encodeClusterIdObject({ clusterId, generation, revision: Math.max(revision, known?.revision ?? 0) });
  await patiently(parts, `put of ${key}`, (attempt) => store.put(key, [bytes], { ifAbsent: false, signal: attempt }));
  return identity;
}

/**
 * Notes the revision of a metadata store that moves on, once an hour, so that a backup restored later is seen to be one.
 * Rejects with ClusterMismatchError when one was restored under the running broker, else only when the signal aborts.
 * @param noted revision that the object has
 */
export async function noteRevisions(parts: ClusterGuardParts, noted: Revision): Promise<never> {
  const { cluster, signal } = parts;
  for (let last = noted; ; ) {
    await sleep(cluster.clock, NOTE_INTERVAL_MS, signal);
    try {
      const what = "read of the revision";
      const { revision } = await untilAnswered(cluster, { what, signal }, (call) =>
        cluster.kv.get(cluster.keys.cluster, { signal: call }),
      );
      // An idle cluster puts nothing.
      if (revision !== last) last = (await guardCluster(parts)).revision;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ClusterMismatchError) throw error;
      cluster.log.warn("the revision of the metadata store was not noted in the bucket", { error });
    }
  }
}

/** Repeats a call whose failure may pass, for as long as a start may wait. */
export async function patiently<T>(
  { cluster, signal }: ClusterGuardParts,
  what: string,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, log } = cluster;
  const startedMs = clock.monotonicMs();
  for (;;) {
    try {
      return await withDeadline(clock, STORE_TIMEOUT_MS, what, signal, call);
    } catch (error) {
      signal.throwIfAborted();
      const mayPass =
        error instanceof DeadlineError || (error instanceof ObjectStoreError && mayPassKinds.has(error.kind));
      if (!mayPass || clock.monotonicMs() - startedMs > START_PATIENCE_MS) throw error;
      log.warn("the object store does not answer, trying again", { what, error });
      await sleep(clock, RETRY_PAUSE_MS, signal);
    }
  }
}

/** Repeats a call of the metadata store, for as long as a command may wait. Rejects with a DeadlineError after that. */
export function patientlyAnswered<T>(
  { cluster, signal }: ClusterGuardParts,
  what: string,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return withDeadline(cluster.clock, START_PATIENCE_MS, `the metadata store: ${what}`, signal, call);
}

const mayPassKinds: ReadonlySet<string> = new Set(["unavailable", "unknown"]);

function requireSame(key: string, known: ClusterIdObject, identity: StoredClusterIdentity): void {
  const { clusterId, generation, revision } = identity;
  if (known.clusterId !== clusterId) {
    throw new ClusterMismatchError(`${key} names cluster ${known.clusterId}, the metadata store ${clusterId}`);
  }
  if (known.generation !== generation || revision < known.revision) {
    throw new ClusterMismatchError(
      `the metadata store is at generation ${generation}, revision ${revision}, ${key} at ${known.generation}, ${known.revision}: it was restored from a backup. \`kafscale recover\` says what it lacks`,
    );
  }
}

/** Between the two writes of a first start there is no object yet; later there is one, or it is another bucket. */
async function requireUnused({ cluster, objectKeys, signal }: ClusterGuardParts): Promise<void> {
  const { entries } = await untilAnswered(cluster, { what: "range of heads", signal }, (call) =>
    cluster.kv.range(cluster.keys.heads, { signal: call }),
  );
  if (entries.length === 0) return;
  throw new ClusterMismatchError(
    `the metadata store knows ${entries.length} sessions that wrote objects, and there is no ${objectKeys.clusterId}: the bucket or its namespace is another one, or it was emptied`,
  );
}

/** What the bucket says of the cluster; null where it says nothing. */
export async function readClusterIdObject(parts: ClusterGuardParts): Promise<ClusterIdObject | null> {
  const { store, objectKeys } = parts;
  const key = objectKeys.clusterId;
  try {
    return decodeClusterIdObject(await patiently(parts, `get of ${key}`, (signal) => store.get(key, { signal })));
  } catch (error) {
    if (error instanceof ObjectStoreError && error.kind === "not-found") return null;
    throw error;
  }
}
