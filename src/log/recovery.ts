// The one recovery function: the state of a shard from what etcd and the store say, and from nothing else (I10). It loads
// the section that `base` names, then replays the footers of the terms in `prev`. No LIST, no clock, no guess: what it
// cannot read or does not add up is an error of that shard, and the claim stays as it was.

import { LRUCache } from "lru-cache";
import type { ClusterComponents } from "../cluster/cluster-components.ts";
import type { ImageFeed } from "../cluster/image-feed.ts";
import type { SectionBase } from "../cluster/shard-claim.ts";
import { readTopics } from "../cluster/topics.ts";
import type { Clock } from "../host/clock.ts";
import type { BlockRef } from "../objects/block.ts";
import {
  applyFold,
  applyPending,
  applyProducers,
  applySegments,
  decodeListBlock,
  foldList,
  type ListChanges,
  type ListCodec,
  type PendingExtent,
  pendingList,
  producerList,
  type SegmentEntry,
  segmentList,
} from "../objects/checkpoint-lists.ts";
import { decodeSection, type SectionPartition } from "../objects/checkpoint-section.ts";
import { decodeObject } from "../objects/format-error.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";
import { verifyExtent, type WalExtent } from "../objects/wal-object.ts";
import type { TopicId } from "../topic-partition.ts";
import type { Extent, OffsetRange } from "./extents.ts";
import { FooterIndex, type ShardFooter } from "./footer-index.ts";
import type { PartitionLog, PartitionTerm } from "./partition-log.ts";
import type { ShardLog } from "./shard-log.ts";
import type { WalReader } from "./wal-reader.ts";

/** A shard whose committed objects do not add up. */
export class RecoveryError extends Error {
  override readonly name = "RecoveryError";
}

/** What recovery needs to know about topics: taken after the claim, by a linearizable read. */
export interface TopicFacts {
  /** Whether the topic exists; false is proof that it was deleted. */
  isAlive(topicId: TopicId): boolean;
  isInternal(topicId: TopicId): boolean;
}

/** Parts of a {@link Recovery}. */
export interface RecoveryComponents {
  readonly wal: WalReader;
  readonly objectKeys: ObjectKeys;
  readonly clock: Clock;
  readonly topics: TopicFacts;
  readonly signal: AbortSignal;
}

/** Checkpoint objects up to this size are read whole, once for all shards. */
const WHOLE_OBJECT_BYTES_MAX = 4 * 1024 * 1024;

/** Recovers shards of one session. */
export class Recovery {
  readonly #parts: RecoveryComponents;
  /** By session id. */
  readonly #footers = new Map<string, FooterIndex>();
  readonly #checkpoints = new LRUCache<string, Promise<Uint8Array | null>>({ max: 8 });

  constructor(components: RecoveryComponents) {
    this.#parts = components;
  }

  /**
   * Fills `shardLog`, which must be empty, with everything committed under the terms of its claim.
   * @throws RecoveryError, FormatError or ObjectStoreError `not-found` when the shard is failed; the signal's reason
   */
  async recover(shardLog: ShardLog, term: PartitionTerm): Promise<void> {
    const { claim } = shardLog.claim;
    if (claim.base) await this.#restoreSection(shardLog, claim.base, term);
    for (const prev of claim.prev.toSorted((a, b) => a.epoch - b.epoch)) {
      const covered = shardLog.covers.get(prev.sessionId) ?? 0;
      const from = Math.max(prev.from, covered + 1);
      const { sessionId, epoch } = prev;
      for (const footer of await this.#footersOf(sessionId).of(shardLog.shard, from, prev.to)) {
        await this.#replay(shardLog, { ...footer, sessionId, epoch }, term);
      }
      shardLog.covers.set(prev.sessionId, Math.max(covered, prev.to));
    }
  }

  async #restoreSection(shardLog: ShardLog, base: SectionBase, term: PartitionTerm): Promise<void> {
    const block = await this.#block(base.objectKey, base);
    const section = decodeObject(base.objectKey, () => decodeSection(block));
    if (section.shard !== shardLog.shard) {
      throw new RecoveryError(`the section at ${base.position} of ${base.objectKey} is of shard ${section.shard}`);
    }
    for (const { sessionId, n } of section.covers) shardLog.covers.set(sessionId, n);
    shardLog.covers.set(base.sessionId, base.n);
    shardLog.dropped.restore(section.dropped);
    const dead: SegmentEntry[] = [];
    for (const partition of section.partitions) {
      const from = { section: partition, sessionId: base.sessionId };
      if (this.#parts.topics.isAlive(partition.topicId)) await this.#restorePartition(shardLog, from, term);
      else dead.push(...(await this.#segments(from)));
    }
    // Of a group that others have parts of, only those of the dead topics go.
    for (const segment of dead) shardLog.places.addSegment(segment);
    shardLog.places.removeSegments(dead);
  }

  async #restorePartition(
    shardLog: ShardLog,
    from: { section: SectionPartition; sessionId: string },
    term: PartitionTerm,
  ): Promise<void> {
    const { section } = from;
    const partition = this.#partition(shardLog, section, term);
    const { pending, producers, fold } = section;
    const extents = applyPending(await this.#stored(pendingList, pending, from), pending, section.pendingFrom).map(
      extentOf,
    );
    const segments = await this.#segments(from);
    requireDense(section, [...segments, ...extents]);
    partition.restore(section.logStart, { segments, extents }, section.logEnd);
    for (const start of section.leaderEpochs) partition.leaderEpochs.note(start.leaderEpoch, start.startOffset);
    const states = applyProducers(await this.#stored(producerList, producers, from), producers);
    partition.producers.load(states.values(), this.#parts.clock.monotonicMs());
    if (!partition.isInternal) return;
    for (const entry of applyFold(await this.#stored(foldList, fold, from), fold).values())
      partition.foldState.apply(entry);
  }

  async #segments(from: { section: SectionPartition; sessionId: string }): Promise<SegmentEntry[]> {
    const { segments } = from.section;
    return applySegments(await this.#stored(segmentList, segments, from), segments);
  }

  /** The entries of a list's last sub-block; none when it has no block. */
  async #stored<Entry>(
    codec: ListCodec<Entry, never> | ListCodec<Entry, number> | ListCodec<Entry, Uint8Array>,
    changes: ListChanges<Entry, unknown>,
    from: { section: SectionPartition; sessionId: string },
  ): Promise<Entry[]> {
    const { stored } = changes;
    if (!stored) return [];
    const key = this.#parts.objectKeys.checkpoint(from.sessionId, stored.k);
    const bytes = await this.#block(key, stored);
    return decodeObject(key, () => decodeListBlock(codec, bytes, from.section));
  }

  async #replay(shardLog: ShardLog, footer: ReplayedFooter, term: PartitionTerm): Promise<void> {
    for (const { extent: walExtent, producerBatches } of footer.extents) {
      if (walExtent.shardEpoch !== footer.epoch || !this.#parts.topics.isAlive(walExtent.topicId)) continue;
      const partition = this.#partition(shardLog, walExtent, term);
      const { sessionId, flush } = footer;
      const extent = extentOf({ ...walExtent, sessionId, n: flush });
      if (extent.baseOffset !== partition.highWatermark) {
        const where = `${walExtent.topicId}-${walExtent.partition} in flush ${flush} of session ${sessionId}`;
        throw new RecoveryError(
          `${where} begins at ${extent.baseOffset}, but the log ends at ${partition.highWatermark}`,
        );
      }
      partition.commitExtent(extent, producerBatches);
      if (partition.isInternal) partition.foldState.applyBatches(await this.#extentBytes(sessionId, flush, walExtent));
    }
    for (const change of footer.logStarts) {
      if (change.shardEpoch !== footer.epoch || !this.#parts.topics.isAlive(change.topicId)) continue;
      this.#partition(shardLog, change, term).commitLogStart(change.logStart);
    }
  }

  #partition(shardLog: ShardLog, at: { topicId: TopicId; partition: number }, term: PartitionTerm): PartitionLog {
    const { topicId, partition } = at;
    return shardLog.ensurePartition({ topicId, partition, isInternal: this.#parts.topics.isInternal(topicId) }, term);
  }

  async #extentBytes(sessionId: string, flush: number, extent: WalExtent): Promise<Uint8Array> {
    const key = this.#parts.objectKeys.wal(sessionId, flush);
    const range = { start: extent.position, length: extent.length };
    const bytes = await this.#parts.wal.readRange(key, range, this.#parts.signal);
    decodeObject(key, () => verifyExtent(extent, bytes));
    return bytes;
  }

  #footersOf(sessionId: string): FooterIndex {
    let footers = this.#footers.get(sessionId);
    if (!footers) {
      footers = new FooterIndex((flush) => this.#parts.wal.readFooter(sessionId, flush, this.#parts.signal));
      this.#footers.set(sessionId, footers);
    }
    return footers;
  }

  /** Part of a checkpoint object. */
  async #block(key: string, at: Pick<BlockRef, "position" | "length">): Promise<Uint8Array> {
    let reading = this.#checkpoints.get(key);
    if (!reading) {
      reading = this.#readWhole(key);
      this.#checkpoints.set(key, reading);
    }
    const whole = await reading;
    if (whole) return whole.subarray(at.position, at.position + at.length);
    return this.#parts.wal.readRange(key, { start: at.position, length: at.length }, this.#parts.signal);
  }

  /** A whole object; null when it is too large to be held. */
  async #readWhole(key: string): Promise<Uint8Array | null> {
    const { wal, signal } = this.#parts;
    const end = await wal.readEnd(key, signal);
    if (end.objectBytes > WHOLE_OBJECT_BYTES_MAX) return null;
    return wal.within(key, end, { position: 0, length: end.objectBytes }, signal);
  }
}

/** One flush of one term, as a shard sees it. */
interface ReplayedFooter extends ShardFooter {
  readonly sessionId: string;
  readonly epoch: number;
}

/** @throws RecoveryError unless every offset of the log lies in exactly one of `ranges`, which ascend */
function requireDense(
  { topicId, partition, logStart, logEnd }: SectionPartition,
  ranges: readonly OffsetRange[],
): void {
  let end = Math.min(logStart, ranges[0]?.baseOffset ?? logStart);
  for (const { baseOffset, endOffset } of ranges) {
    if (baseOffset !== end) {
      throw new RecoveryError(`${topicId}-${partition} has records from ${baseOffset} on where ${end} was to come`);
    }
    end = endOffset;
  }
  if (end !== logEnd)
    throw new RecoveryError(`${topicId}-${partition} has records up to ${end}, and ends at ${logEnd}`);
}

/** A stored description of an extent as the index keeps it. */
function extentOf(stored: PendingExtent): Extent {
  return {
    sessionId: stored.sessionId,
    flush: stored.n,
    position: stored.position,
    length: stored.length,
    crc32c: stored.crc32c,
    baseOffset: stored.baseOffset,
    endOffset: stored.baseOffset + stored.offsetCount,
    leaderEpoch: stored.shardEpoch,
    firstTimestampMs: stored.firstTimestampMs,
    lastTimestampMs: stored.lastTimestampMs,
    maxTimestampMs: stored.maxTimestampMs,
    tailBytes: null,
  };
}

/** After the claims: whether a topic is gone is asked of the store itself, never of a view that may lag. */
export async function readTopicFacts(
  cluster: ClusterComponents,
  feed: ImageFeed,
  signal: AbortSignal,
): Promise<TopicFacts> {
  const { topics, revision } = await readTopics(cluster, { signal });
  // Who was told of a change of topics must not hear the opposite from an owner that has just begun.
  await feed.waitFor("topics", revision, { signal });
  const byId = new Map(topics.map((topic) => [topic.topicId, topic]));
  return {
    isAlive: (topicId) => byId.has(topicId),
    isInternal: (topicId) => byId.get(topicId)?.isInternal ?? false,
  };
}
