// The log of one partition under one leadership: what Kafka promises of records. Numbers are given at seal, everything a
// client can see moves only at the commit. It lives as long as its owner's session; afterwards every call is refused.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { invariant } from "../invariant.ts";
import { KafkaError } from "../kafka-error.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import type { RecordBatchView } from "../records/record-batch.ts";
import type { LeaderEpoch, Offset, TimestampMs, TopicId } from "../topic-partition.ts";
import {
  type AppendOutcome,
  type AppendResult,
  type AppendWaiter,
  PendingAppend,
  type PendingItem,
  PendingLogStart,
} from "./append.ts";
import type { Extent, Extents } from "./extents.ts";
import { Fold, type FoldEntry } from "./fold.ts";
import { type EpochEnd, LeaderEpochs } from "./leader-epochs.ts";
import { ProducerStates } from "./producer-states.ts";
import type { ShardPlaces } from "./shard-places.ts";
import { type ReadOptions, StoredLog } from "./stored-log.ts";
import type { StoredReads } from "./stretch.ts";
import { findMaxTimestamp, findTimestamp, type TimestampHit, type TimestampSource } from "./timestamp-search.ts";

/** What a partition needs of the leadership it stands under. */
export interface PartitionTerm {
  readonly leaderEpoch: LeaderEpoch;
  /** @throws KafkaError NOT_LEADER_OR_FOLLOWER when the session has ended or gives the shard away */
  requireWritable(): void;
  /** @throws KafkaError NOT_LEADER_OR_FOLLOWER when the session has ended or its liveness is unproven for too long */
  requireReadable(): void;
  /** Puts an item into the open flush. */
  enqueue(item: PendingItem): void;
  readonly reads: StoredReads;
  /** Told of what enters and leaves the lists of places. */
  readonly places: ShardPlaces;
  monotonicMs(): number;
}

/** Which partition a log is, and whether its records are state of a coordinator. */
export interface PartitionIdentity {
  readonly topicId: TopicId;
  readonly partition: number;
  /** Internal partitions keep a {@link Fold}. */
  readonly isInternal: boolean;
}

/** What a checkpoint lists of a partition. */
export interface RestoredPlaces {
  readonly segments?: readonly SegmentEntry[];
  readonly extents: readonly Extent[];
}

/** A batch that was committed with a producer id, as the footer of its flush tells it. */
export interface CommittedProducerBatch {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: Offset;
  readonly timestampMs: TimestampMs;
}

/** One partition's log. Invariant I14: logStart <= lastStableOffset <= highWatermark <= sealed end. */
export class PartitionLog {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly isInternal: boolean;
  /** What is committed, and where it lies. */
  readonly stored: StoredLog;
  readonly leaderEpochs = new LeaderEpochs();
  readonly producers = new ProducerStates<PendingAppend>();
  readonly #term: PartitionTerm;
  readonly #fold: Fold | null;
  readonly #wakers = new Set<() => void>();
  /** First offset a client may read. Only a committed footer moves it, only up. */
  #logStart: Offset = 0;
  /** First offset not yet committed: everything below is in the store and named by a head. Only a commit moves it, only up. */
  #highWatermark: Offset = 0;
  /** First offset not yet given to a sealed flush. */
  #sealedEnd: Offset = 0;
  /** The latest append time given; a batch of before this session is known by its extent. */
  #lastAppendTimeMs: TimestampMs = -1;
  /** Appends of this partition in the open flush or in sealed ones. */
  #uncommittedCount = 0;
  /** Whether its objects were let go of. */
  #isReleased = false;
  /** Grows with each change that a checkpoint has to write. */
  #version = 0;
  /** Since when something has been pending without a pause, or what is pending now has been, at most. Monotonic. */
  #pendingSinceMs = 0;

  constructor(identity: PartitionIdentity, term: PartitionTerm) {
    this.topicId = identity.topicId;
    this.partition = identity.partition;
    this.isInternal = identity.isInternal;
    this.#fold = identity.isInternal ? new Fold() : null;
    this.#term = term;
    this.stored = new StoredLog(term.reads, () => this.#requireKept());
  }

  /** Committed bytes that still lie in WAL objects. */
  get extents(): Extents {
    return this.stored.extents;
  }

  /** A moment, on the monotonic clock, at or before which the oldest pending extent was committed or recovered. */
  get pendingSinceMs(): number {
    return this.#pendingSinceMs;
  }

  get leaderEpoch(): LeaderEpoch {
    return this.#term.leaderEpoch;
  }

  get logStart(): Offset {
    return this.#logStart;
  }

  get highWatermark(): Offset {
    return this.#highWatermark;
  }

  /** The end for read_committed readers: the high watermark, as long as there are no transactions. */
  get lastStableOffset(): Offset {
    return this.#highWatermark;
  }

  /** @throws KafkaError NOT_LEADER_OR_FOLLOWER when the session has ended or its liveness is unproven for too long */
  requireReadable(): void {
    this.#term.requireReadable();
  }

  /** Whether something of this partition is sealed or waits to be. */
  get hasUncommitted(): boolean {
    return this.#uncommittedCount > 0;
  }

  /** Changes whenever the state that checkpoints carry does. */
  get version(): number {
    return this.#version;
  }

  /**
   * Appends one validated v2 batch, whose bytes must stay untouched until the promise settles. Resolves after the commit;
   * a copy of a committed batch of its producer resolves with the old offset, a copy of one under way with that one.
   * Rejects with KafkaError: NOT_LEADER_OR_FOLLOWER (definitely not written), REQUEST_TIMED_OUT (unknown),
   * OUT_OF_ORDER_SEQUENCE_NUMBER or INVALID_PRODUCER_EPOCH.
   */
  append(batch: RecordBatchView, options: { logAppendTimeMs?: TimestampMs } = {}): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      const ended = (outcome: AppendOutcome) => {
        if (outcome instanceof KafkaError) reject(outcome);
        else resolve(outcome);
      };
      this.appendFor({ ended }, batch, options.logAppendTimeMs);
    });
  }

  /**
   * As {@link append}, without a promise: `waiter` is told the outcome, before this returns for a copy of a committed
   * batch. What is refused at once is thrown, and `waiter` is told nothing.
   */
  appendFor(waiter: AppendWaiter, batch: RecordBatchView, wallMs?: TimestampMs): void {
    this.#requireWritable();
    const identity = batch.producerId >= 0 ? identityOf(batch) : undefined;
    if (identity) {
      const verdict = this.producers.judge(identity);
      if (verdict.type === "tentative") {
        verdict.outcome.tell(waiter);
        return;
      }
      if (verdict.type === "committed") {
        const { baseOffset } = verdict.batch;
        waiter.ended({ baseOffset, logAppendTimeMs: -1, logStartOffset: this.#logStart });
        return;
      }
    }
    const append = new PendingAppend(this, batch, { logAppendTimeMs: this.#appendTime(wallMs), waiter });
    if (identity) this.producers.addTentative(identity, append);
    this.#uncommittedCount++;
    this.#term.enqueue(append);
  }

  /** Append times never go back within a partition, whatever the wall clock does. -1: the producer's times stay. */
  #appendTime(wallMs = -1): TimestampMs {
    if (wallMs < 0) return -1;
    this.#lastAppendTimeMs = Math.max(this.#lastAppendTimeMs, wallMs, this.stored.lastMaxTimestampMs);
    return this.#lastAppendTimeMs;
  }

  /**
   * Moves the log start up to `offset`, at most the high watermark; resolves with the log start after the commit.
   * @throws KafkaError OFFSET_OUT_OF_RANGE above the high watermark, NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT
   */
  async moveLogStart(offset: Offset): Promise<Offset> {
    this.#requireWritable();
    if (offset > this.#highWatermark) {
      const text = `log start ${offset} lies above the high watermark ${this.#highWatermark}`;
      throw new KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, text);
    }
    if (offset <= this.#logStart) return this.#logStart;
    const item = new PendingLogStart(this, offset);
    this.#uncommittedCount++;
    this.#term.enqueue(item);
    return item.committed;
  }

  /** About how many bytes a read from `fromOffset` may return, at most `limit`. Synchronous. */
  availableBytes(fromOffset: Offset, limit: number): number {
    return this.stored.availableBytes(fromOffset, limit);
  }

  /**
   * Whole v2 batches below the high watermark, contiguous; the first one contains `fromOffset`. Empty when `fromOffset`
   * is the end or below the log start, or nothing fits. The views stay valid.
   * @throws KafkaError KAFKA_STORAGE_ERROR when committed bytes cannot be read, NOT_LEADER_OR_FOLLOWER
   */
  async read(fromOffset: Offset, options: ReadOptions): Promise<readonly Uint8Array[]> {
    this.#term.requireReadable();
    const parts = await this.stored.read(fromOffset, options);
    this.#term.requireReadable();
    return parts;
  }

  /** The first record at or after `timestampMs`, by offset; undefined when there is none. */
  findByTimestamp(timestampMs: TimestampMs, options: { signal: AbortSignal }): Promise<TimestampHit | undefined> {
    return this.#search((source) => findTimestamp(source, timestampMs), options.signal);
  }

  /** The first record that has the largest timestamp; undefined in an empty log. */
  findMaxTimestamp(options: { signal: AbortSignal }): Promise<TimestampHit | undefined> {
    return this.#search(findMaxTimestamp, options.signal);
  }

  async #search(
    run: (source: TimestampSource) => Promise<TimestampHit | undefined>,
    signal: AbortSignal,
  ): Promise<TimestampHit | undefined> {
    const bytesAt = (offset: Offset) => this.stored.bytesAt(offset, signal);
    for (;;) {
      this.#term.requireReadable();
      const logStart = this.#logStart;
      const hit = await run({ ranges: this.stored.timedRanges(), logStart, bytesAt });
      this.#term.requireReadable();
      // What was found, or is missing, may be what was cut off meanwhile.
      if (this.#logStart === logStart || (hit && hit.offset >= this.#logStart)) return hit;
    }
  }

  /** Where the largest epoch at or below `leaderEpoch` ended; -1 and -1 when that is unknown. */
  endOffsetForEpoch(leaderEpoch: number): EpochEnd {
    const current = { leaderEpoch: this.leaderEpoch, endOffset: this.#highWatermark };
    return this.leaderEpochs.endOffset(leaderEpoch, current);
  }

  /** Calls `wake` after each move of the watermark or log start, and when the log is deleted or no longer led here. */
  subscribe(wake: () => void): () => void {
    this.#wakers.add(wake);
    return () => this.#wakers.delete(wake);
  }

  /** The newest committed record per key; only for internal partitions. */
  fold(): Iterable<FoldEntry> {
    return this.foldState.entries();
  }

  /** The fold itself, for checkpoints and recovery; only for internal partitions. */
  get foldState(): Fold {
    invariant(this.#fold, `partition ${this.topicId}-${this.partition} is not internal and has no fold`);
    return this.#fold;
  }

  /** Gives `count` offsets to a batch that is being sealed; the first of them. */
  assignOffsets(count: number): Offset {
    const first = this.#sealedEnd;
    this.#sealedEnd += count;
    return first;
  }

  /** Takes a committed extent in: the next offsets become visible. Waiters are woken by {@link wake} afterwards. */
  commitExtent(extent: Extent, producerBatches: readonly CommittedProducerBatch[]): void {
    invariant(
      extent.baseOffset === this.#highWatermark,
      `extent at ${extent.baseOffset} committed at high watermark ${this.#highWatermark}`,
    );
    const nowMs = this.#term.monotonicMs();
    if (this.extents.all.length === 0) this.#pendingSinceMs = nowMs;
    this.extents.push(extent);
    this.#term.places.addExtent(extent);
    this.leaderEpochs.note(extent.leaderEpoch, extent.baseOffset);
    for (const batch of producerBatches) this.producers.commit(batch, nowMs);
    this.#highWatermark = extent.endOffset;
    if (this.#sealedEnd < extent.endOffset) this.#sealedEnd = extent.endOffset;
    this.#version++;
    invariant(this.#logStart <= this.#highWatermark, `log start ${this.#logStart} is above ${this.#highWatermark}`);
  }

  /** Takes a committed move of the log start in. */
  commitLogStart(offset: Offset): void {
    if (offset <= this.#logStart) return;
    invariant(offset <= this.#highWatermark, `log start ${offset} committed above ${this.#highWatermark}`);
    this.#logStart = offset;
    const { segments, extents } = this.stored.dropBelow(offset);
    this.#term.places.removeExtents(extents);
    this.#term.places.removeSegments(segments);
    this.leaderEpochs.dropBelow(offset);
    this.#version++;
  }

  /**
   * Lists a segment for the pending extents that it holds, which are pending no more. False, and nothing done, when they
   * are not the oldest pending ones any more: then nothing may refer to the segment.
   * @param sinceMs when the extents were looked at: what is pending now was committed later, or was left out
   */
  installSegment(segment: SegmentEntry, sinceMs: number): boolean {
    const { segments, extents } = this.stored;
    const [first] = extents.all;
    if (segment.endOffset <= this.#logStart || !first || first.baseOffset < segment.baseOffset) return false;
    const isWhole = first.baseOffset === segment.baseOffset || segments.all.length === 0;
    if (!isWhole || extents.at(segment.endOffset - 1)?.endOffset !== segment.endOffset) return false;
    const replaced = extents.dropBelow(segment.endOffset);
    segments.push(segment);
    this.stored.noteReplaced(replaced);
    this.#term.places.removeExtents(replaced);
    this.#term.places.addSegment(segment);
    this.#pendingSinceMs = Math.max(this.#pendingSinceMs, sinceMs);
    this.#version++;
    return true;
  }

  /** Lists one segment for several adjacent ones. False, and nothing done, unless all of them are still listed. */
  replaceSegments(replaced: readonly SegmentEntry[], by: SegmentEntry): boolean {
    if (!this.stored.segments.replace(replaced, by)) return false;
    this.#term.places.addSegment(by);
    this.#term.places.removeSegments(replaced);
    this.#version++;
    return true;
  }

  /** Lets go of every place in the store: the topic is gone. */
  release(): void {
    this.#term.places.removeExtents(this.stored.extents.all);
    this.#term.places.removeSegments(this.stored.segments.all);
    this.#isReleased = true;
  }

  /** @throws KafkaError where the objects of this log may be removed by now, because it was deleted or is led elsewhere */
  #requireKept(): void {
    this.#term.requireReadable();
    this.#requireUnreleased();
  }

  /** @throws KafkaError where nothing may be added: a flush with records of a deleted topic would be kept for nobody */
  #requireWritable(): void {
    this.#term.requireWritable();
    this.#requireUnreleased();
  }

  #requireUnreleased(): void {
    if (!this.#isReleased) return;
    throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `${this.topicId}-${this.partition} was deleted`);
  }

  /** One item fewer on its way: it was committed. */
  settleOne(): void {
    this.#uncommittedCount--;
    invariant(this.#uncommittedCount >= 0, `partition ${this.topicId}-${this.partition} settled more than it appended`);
  }

  /** Starts at what a checkpoint says; only before anything else happened. */
  restore(logStart: Offset, stored: RestoredPlaces, logEnd: Offset): void {
    invariant(this.#highWatermark === 0 && this.#version === 0, `partition ${this.topicId} is restored twice`);
    for (const segment of stored.segments ?? []) {
      this.stored.segments.push(segment);
      this.#term.places.addSegment(segment);
    }
    for (const extent of stored.extents) {
      this.extents.push(extent);
      this.#term.places.addExtent(extent);
    }
    this.#pendingSinceMs = this.#term.monotonicMs();
    this.#logStart = logStart;
    this.#highWatermark = logEnd;
    this.#sealedEnd = logEnd;
  }

  /** Tells every waiter to look again. */
  wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }
}

/** Producer and sequence range of a batch; sequences wrap at 2^31. */
export function identityOf(batch: RecordBatchView): Omit<CommittedProducerBatch, "baseOffset" | "timestampMs"> {
  const { producerId, producerEpoch, baseSequence } = batch;
  return { producerId, producerEpoch, firstSequence: baseSequence, lastSequence: batch.lastSequence };
}
