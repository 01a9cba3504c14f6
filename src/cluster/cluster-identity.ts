// Who the cluster is: created by the first start, read by all others. Guards, together with the object of the same name
// in the store of objects, against a bucket or a metadata store that belongs to another cluster.
import type { Revision } from "../kv/key-value-store.ts";
import { txnUntilAnswered } from "./attempts.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import { type ClusterIdentity, decodeClusterIdentity, encodeClusterIdentity } from "./keys.ts";
import { newUuid } from "./new-uuid.ts";

/** The identity as stored. */
export interface StoredClusterIdentity extends ClusterIdentity {
  /** Revision of the store when it was read: what a restored backup falls below. */
  readonly revision: Revision;
  /** Whether this call created it. */
  readonly isNew: boolean;
}

/** Reads the identity, creating it if the cluster has none. */
export async function ensureClusterIdentity(
  components: ClusterComponents,
  { signal }: { readonly signal: AbortSignal },
): Promise<StoredClusterIdentity> {
  const key = components.keys.cluster;
  const identity: ClusterIdentity = { clusterId: newUuid(components.random), generation: 1 };
  const { succeeded, revision, results } = await txnUntilAnswered(
    components,
    { what: "identity of the cluster", signal },
    {
      compare: [{ key, target: "create", equals: 0 }],
      then: [{ type: "put", key, value: encodeClusterIdentity(identity) }],
      otherwise: [{ type: "get", key }],
    },
  );
  const entry = results[0];
  if (succeeded || !entry) return { ...identity, revision, isNew: true };
  const stored = decodeClusterIdentity(entry);
  return { ...stored, revision, isNew: stored.clusterId === identity.clusterId };
}
