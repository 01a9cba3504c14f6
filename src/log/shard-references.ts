// What the shards of a cluster refer to in the object store: each is recovered in memory as its next owner would do it, by
// the one recovery function, and its lists are read off. Changes nothing. A shard that cannot be recovered says why, and
// what it refers to is then known in part only.

import type { MetadataSnapshot } from "../cluster/metadata-snapshot.ts";
import type { CheckpointFacts, ShardClaim, StoredClaim } from "../cluster/shard-claim.ts";
import { claimAfter } from "../cluster/shards.ts";
import { type Clock, DeadlineError } from "../host/clock.ts";
import { invariant } from "../invariant.ts";
import { ObjectStoreError } from "../object-store/object-store.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";
import type { Offset } from "../topic-partition.ts";
import { loadCheckpoint } from "./checkpoint-facts.ts";
import type { PartitionLog, PartitionTerm } from "./partition-log.ts";
import { Recovery } from "./recovery.ts";
import { inPlaces } from "./recovery-places.ts";
import type { ObjectPart, Reference } from "./reference-check.ts";
import { ShardLog } from "./shard-log.ts";
import type { WalReader } from "./wal-reader.ts";

/** What one shard refers to, from one claim and one checkpoint in force: as long as these stand, so does all of it. */
export interface ShardReferences {
  readonly shard: number;
  /** Which claim and which pointer these are of. */
  readonly stamp: string;
  readonly references: readonly Reference[];
  /** Keys that its section lists as dropped: there for a while yet. */
  readonly dropped: ReadonlySet<string>;
  /** Where the last segment of each partition ends, by {@link partitionKey}. */
  readonly segmentsEnd: ReadonlyMap<string, Offset>;
  /** Why it cannot be recovered. */
  readonly failure: unknown;
}

/** Parts of a {@link ShardReferenceReader}. */
export interface ShardReferenceComponents {
  readonly wal: WalReader;
  readonly objectKeys: ObjectKeys;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Stands for the session of a next owner. It is nobody's: ids are drawn at random. */
const NEXT_OWNER = "0".repeat(24);

/** Reads what shards refer to. */
export class ShardReferenceReader {
  readonly #parts: ShardReferenceComponents;

  constructor(components: ShardReferenceComponents) {
    this.#parts = components;
  }

  /** What `claims`, which are of `snapshot`, refer to. Rejects only when the signal aborts. */
  async read(
    snapshot: MetadataSnapshot,
    claims: readonly StoredClaim[],
    onRead: () => void,
  ): Promise<ReadonlyMap<number, ShardReferences>> {
    const { clock, wal, objectKeys, signal } = this.#parts;
    const alive = new Map(snapshot.topics.map((topic) => [topic.topicId, topic]));
    const topics = {
      isAlive: (topicId: string) => alive.has(topicId),
      isInternal: (topicId: string) => alive.get(topicId)?.isInternal ?? false,
    };
    const recovery = new Recovery({ wal, objectKeys, clock, topics, signal });
    const nameOf = ({ topicId, partition }: PartitionLog) => `${alive.get(topicId)?.name ?? topicId}-${partition}`;
    const owners = new Map<string, Promise<Owner>>();
    const found = new Map<number, ShardReferences>();
    await inPlaces(clock, claims, async (stored) => {
      const { sessionId } = stored.claim;
      const owner = owners.get(sessionId) ?? this.#ownerOf(snapshot, sessionId);
      owners.set(sessionId, owner);
      const references = await this.#readShard(stored, { owner, recovery, nameOf });
      signal.throwIfAborted();
      found.set(stored.shard, { ...references, stamp: stampOf(snapshot, stored) });
      onRead();
    });
    return found;
  }

  async #ownerOf({ heads, pointers }: MetadataSnapshot, sessionId: string): Promise<Owner> {
    const { wal, objectKeys, signal } = this.#parts;
    const n = heads.get(sessionId);
    if (n === undefined)
      throw new Error(`session ${sessionId} owns shards and has no head: the metadata store lost it`);
    const objectKey = pointers.get(sessionId);
    const checkpoint =
      objectKey === undefined ? undefined : await loadCheckpoint(wal, objectKeys, { sessionId, objectKey, signal });
    return { sessionId, head: { n }, checkpoint };
  }

  async #readShard(
    stored: StoredClaim,
    { owner, recovery, nameOf }: ShardReading,
  ): Promise<Omit<ShardReferences, "stamp">> {
    const { shard } = stored;
    let shardLog = new ShardLog(stored, () => {});
    let failure: unknown;
    let unread: Reference[] = [];
    try {
      const claim = claimAfter(NEXT_OWNER, stored, await owner);
      shardLog = new ShardLog({ ...stored, claim }, () => {});
      try {
        await recovery.recover(shardLog, this.#termOf(shardLog));
      } catch (error) {
        unread = this.#unreadFlushes(claim, shardLog);
        throw error;
      }
    } catch (error) {
      failure = error;
    }
    const partitions = [...shardLog.partitions.values()];
    const references = [
      ...partitions.flatMap((partition) => this.#referencesOf(partition, nameOf(partition))),
      ...unread,
    ];
    const segmentsEnd = new Map<string, Offset>();
    for (const [
      key,
      {
        stored: { segments },
      },
    ] of shardLog.partitions)
      segmentsEnd.set(key, segments.all.at(-1)?.endOffset ?? 0);
    return { shard, references, dropped: new Set(shardLog.dropped), segmentsEnd, failure };
  }

  /** Nobody writes to these logs, and nobody is served from them. */
  #termOf(shardLog: ShardLog): PartitionTerm {
    const { wal, clock } = this.#parts;
    return {
      leaderEpoch: shardLog.claim.claim.epoch,
      requireWritable: () => {},
      requireReadable: () => {},
      enqueue: () => invariant(false, "nothing is appended to what is only looked at"),
      reads: wal,
      places: shardLog.places,
      monotonicMs: () => clock.monotonicMs(),
    };
  }

  /** Flushes that a recovery came to nothing before it had read; none where not even its section was read. */
  #unreadFlushes({ base, prev }: ShardClaim, { shard, covers }: ShardLog): Reference[] {
    if (base && covers.size === 0) return [];
    return prev.flatMap(({ sessionId, from, to }) => {
      const first = Math.max(from, (covers.get(sessionId) ?? 0) + 1);
      return Array.from({ length: Math.max(0, to - first + 1) }, (_, index): Reference => {
        const key = this.#parts.objectKeys.wal(sessionId, first + index);
        return { type: "parts", key, parts: [], of: `the next owner of shard ${shard}` };
      });
    });
  }

  #referencesOf({ stored: { segments, extents } }: PartitionLog, name: string): Reference[] {
    const references: Reference[] = segments.all.flatMap((segment) => segmentReferences(segment, name));
    const flushes = new Map<string, ObjectPart[]>();
    for (const { sessionId, flush, position, length, crc32c } of extents.all) {
      const key = this.#parts.objectKeys.wal(sessionId, flush);
      flushes.set(key, [...(flushes.get(key) ?? []), { position, length, crc32c }]);
    }
    for (const [key, parts] of flushes) references.push({ type: "parts", key, parts, of: name });
    return references;
  }
}

/** The owner of shards, as if it had just ended. */
interface Owner {
  readonly sessionId: string;
  readonly head: { readonly n: number };
  readonly checkpoint: CheckpointFacts | undefined;
}

interface ShardReading {
  readonly owner: Promise<Owner>;
  readonly recovery: Recovery;
  readonly nameOf: (partition: PartitionLog) => string;
}

/** What the references of a shard hang on: another stamp, and they may be others. */
export function stampOf({ pointers }: MetadataSnapshot, { claim, modRevision }: StoredClaim): string {
  return `${modRevision} ${pointers.get(claim.sessionId) ?? ""}`;
}

/** Whether a failure says nothing of the objects: the store did not answer, or not yet. */
export function isUnanswered(failure: unknown): boolean {
  if (failure instanceof ObjectStoreError) return failure.kind !== "not-found";
  return failure instanceof DeadlineError;
}

function segmentReferences(segment: SegmentEntry, of: string): Reference[] {
  const { key, form, bytes } = segment;
  if (form.type === "group") {
    return [{ type: "parts", key, parts: [{ position: form.position, length: bytes, crc32c: form.crc32c }], of }];
  }
  return [
    { type: "segment", key, segment, of },
    { type: "index", key: form.indexKey, segment, of },
  ];
}
