// What an object that nothing is known to refer to is: somebody's who may yet name it, or nobody's for ever. Decides from
// facts of one revision that was read after the object had been seen, and never by age. Whatever it cannot prove is
// undecided. Refuses nothing, deletes nothing.
import { sessionsNamedBy } from "../cluster/dead-sessions.ts";
import type { MetadataSnapshot } from "../cluster/metadata-snapshot.ts";
import { shardOf } from "../cluster/placement.ts";
import type { ObjectName, SegmentName } from "../objects/object-keys.ts";
import { partitionKey } from "../topic-partition.ts";
import type { ShardReferences } from "./shard-references.ts";

/**
 * What an object is.
 * - `known`: it belongs to the cluster as such, is referred to, or is dropped and on its way out.
 * - `kept`: of a session that lives or that a claim names; or of one that brokers are still to sweep.
 * - `undecided`: the owner of its partition may yet list or drop it, or what its shard refers to is not known.
 * - `stray`: nobody refers to it, and nobody ever will. Removable: provably so by the claims and lists of one revision.
 * - `foreign`: no key of this cluster.
 */
export type Verdict =
  | { readonly type: "known" | "kept" | "undecided" | "foreign" }
  | { readonly type: "stray"; readonly isRemovable: boolean; readonly why: string };

/** A moment of the cluster: the metadata, and what the shards refer to by it. */
export interface ReferenceView {
  readonly snapshot: MetadataSnapshot;
  /** Sessions that a claim names. */
  readonly named: ReadonlySet<string>;
  readonly liveTopicIds: ReadonlySet<string>;
  readonly shards: ReadonlyMap<number, ShardReferences>;
  /** Keys that are referred to or dropped, by any shard. */
  readonly keys: ReadonlySet<string>;
}

/** Puts together what was read of one revision. */
export function referenceView(snapshot: MetadataSnapshot, shards: ReadonlyMap<number, ShardReferences>): ReferenceView {
  const keys = new Set<string>();
  for (const { references, dropped } of shards.values()) {
    for (const { key } of references) keys.add(key);
    for (const key of dropped) keys.add(key);
  }
  const named = sessionsNamedBy(snapshot.claims.values());
  return { snapshot, named, liveTopicIds: new Set(snapshot.topics.map(({ topicId }) => topicId)), shards, keys };
}

const known: Verdict = { type: "known" };
const kept: Verdict = { type: "kept" };
const undecided: Verdict = { type: "undecided" };

/** Judges an object that was seen before `view` was read. */
export function judgeObject(key: string, name: ObjectName | undefined, view: ReferenceView): Verdict {
  if (!name) return { type: "foreign" };
  if (view.keys.has(key)) return known;
  if (name.type === "group") return judgeWritten(name.sessionId, name.shard, view);
  if (!("name" in name)) return "sessionId" in name ? judgeOwn(name.sessionId, view) : known;
  const { topicId, partition, writer } = name.name;
  const shard = shardOf(topicId, partition);
  return writer ? judgeWritten(writer.sessionId, shard, view) : judgePlain(name.name, shard, view);
}

/** Whether nothing of a session can be referred to any more, nor ever will be. */
function isFree(sessionId: string, { snapshot, named }: ReferenceView): boolean {
  return !snapshot.sessions.has(sessionId) && !named.has(sessionId);
}

/** A session's own objects: brokers remove them as long as it has a head. */
function judgeOwn(sessionId: string, view: ReferenceView): Verdict {
  if (!isFree(sessionId, view) || view.snapshot.heads.has(sessionId)) return kept;
  return { type: "stray", isRemovable: true, why: `session ${sessionId} has ended, and everything else of it is gone` };
}

/**
 * A segment or group that only its writer could ever list. A dead writer changes no list, and every list that it wrote is
 * reached from a claim: what none of them names now none will ever name.
 */
function judgeWritten(sessionId: string, shard: number, view: ReferenceView): Verdict {
  if (!isFree(sessionId, view)) return kept;
  if (!isReadable(shard, view)) return undecided;
  return {
    type: "stray",
    isRemovable: true,
    why: `session ${sessionId}, which wrote it, has ended without listing it`,
  };
}

/**
 * A segment that every owner of the partition may write again and list. Not below its other segments: what is pending
 * begins above them.
 */
function judgePlain(name: SegmentName, shard: number, view: ReferenceView): Verdict {
  const { topicId, partition, baseOffset } = name;
  if (!isReadable(shard, view)) return undecided;
  const owner = view.snapshot.claims.get(shard)?.claim.sessionId;
  if (!view.liveTopicIds.has(topicId)) {
    // A job of its owner may have begun when the topic was there: then he drops it.
    if (owner !== undefined && view.snapshot.sessions.has(owner)) return undecided;
    return { type: "stray", isRemovable: false, why: "its topic was deleted" };
  }
  const segmentsEnd = view.shards.get(shard)?.segmentsEnd.get(partitionKey(topicId, partition)) ?? 0;
  if (baseOffset >= segmentsEnd) return undecided;
  return {
    type: "stray",
    isRemovable: false,
    why: `the segments of its partition are others, up to offset ${segmentsEnd}`,
  };
}

/** Whether it is known what a shard refers to. One that was never claimed refers to nothing. */
function isReadable(shard: number, { shards, snapshot }: ReferenceView): boolean {
  const references = shards.get(shard);
  return references ? references.failure === undefined : !snapshot.claims.has(shard);
}
