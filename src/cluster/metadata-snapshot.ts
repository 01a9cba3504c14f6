// Everything the metadata store holds of a cluster, as of one revision: what a reader compares who changes nothing and
// must not mix two moments. Refuses a value that is not what its key says.
import type { KeyValue, Revision } from "../kv/key-value-store.ts";
import { untilAnswered } from "./attempts.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import { topicFromEntry } from "./image-feed.ts";
import { type ClusterKeys, decodeCheckpointPointer, decodeClaim, decodeHead } from "./keys.ts";
import type { SessionId } from "./session-id.ts";
import type { StoredClaim } from "./shard-claim.ts";
import type { Topic } from "./topic.ts";

/** The facts of one moment. */
export interface MetadataSnapshot {
  readonly revision: Revision;
  /** Sessions that live. */
  readonly sessions: ReadonlySet<SessionId>;
  /** The last committed flush of every session that has a head, alive or dead. */
  readonly heads: ReadonlyMap<SessionId, number>;
  /** Keys of the checkpoints in force. */
  readonly pointers: ReadonlyMap<SessionId, string>;
  /** By shard. */
  readonly claims: ReadonlyMap<number, StoredClaim>;
  readonly topics: readonly Topic[];
}

/**
 * One linearizable range over the whole cluster.
 * @throws MetadataFormatError naming the key
 */
export async function readSnapshot(
  components: ClusterComponents,
  { signal }: { readonly signal: AbortSignal },
): Promise<MetadataSnapshot> {
  const { kv, keys } = components;
  const what = "range of the cluster's metadata";
  const { revision, entries } = await untilAnswered(components, { what, signal }, (call) =>
    kv.range(keys.prefix, { signal: call }),
  );
  return snapshotOf(keys, revision, entries);
}

function snapshotOf(keys: ClusterKeys, revision: Revision, entries: readonly KeyValue[]): MetadataSnapshot {
  const sessions = new Set<SessionId>();
  const heads = new Map<SessionId, number>();
  const pointers = new Map<SessionId, string>();
  const claims = new Map<number, StoredClaim>();
  const topics: Topic[] = [];
  for (const entry of entries) {
    const { key, modRevision } = entry;
    if (key.startsWith(keys.sessions)) sessions.add(keys.sessionOf(key));
    else if (key.startsWith(keys.heads)) heads.set(keys.sessionOfHead(key), decodeHead(entry).n);
    else if (key.startsWith(keys.checkpoints))
      pointers.set(keys.sessionOfCheckpoint(key), decodeCheckpointPointer(entry));
    else if (key.startsWith(keys.topics)) topics.push(topicFromEntry(keys.topicOf(key), entry));
    else if (key.startsWith(keys.claims)) {
      const shard = keys.shardOf(key);
      claims.set(shard, { shard, claim: decodeClaim(entry), modRevision });
    }
  }
  return { revision, sessions, heads, pointers, claims, topics };
}
