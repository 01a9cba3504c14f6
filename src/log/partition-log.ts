// The log of one partition under one leadership: what Kafka promises of records. Numbers are given at seal, everything a
// client can see moves only at the commit. It lives as long as its owner's session; afterwards every call is refused.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { invariant } from "../invariant.ts";
import { KafkaError } from "../kafka-error.ts";
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
import { cutBatches } from "./batch-range.ts";
import { type Extent, Extents } from "./extents.ts";
import { Fold, type FoldEntry } from "./fold.ts";
import { type EpochEnd, LeaderEpochs } from "./leader-epochs.ts";
import { ProducerStates } from "./producer-states.ts";
import { findMaxTimestamp, findTimestamp, type TimestampHit } from "./timestamp-search.ts";

/** What a partition needs of the leadership it stands under. */
export interface PartitionTerm {
  readonly leaderEpoch: LeaderEpoch;
  /** @throws KafkaError NOT_LEADER_OR_FOLLOWER when the session has ended or gives the shard away */
  requireWritable(): void;
  /** @throws KafkaError NOT_LEADER_OR_FOLLOWER when the session has ended or its liveness is unproven for too long */
  requireReadable(): void;
  /** Puts an item into the open flush. */
  enqueue(item: PendingItem): void;
  /**
   * The bytes of an extent, from a cache or the object store, checked against its CRC.
   * @param following the extents after it, for a reader who will go on; looked at before this returns
   */
  readExtent(extent: Extent, signal: AbortSignal, following?: Iterable<Extent>): Promise<Uint8Array>;
  monotonicMs(): number;
}

/** Which partition a log is, and whether its records are state of a coordinator. */
export interface PartitionIdentity {
  readonly topicId: TopicId;
  readonly partition: number;
  /** Internal partitions keep a {@link Fold}. */
  readonly isInternal: boolean;
}

/**
 * Extents that one read fetches from the store at most, one after another: a log of many small ones must give its reader
 * something before he gives up.
 */
const STORE_READS_PER_FETCH = 16;

/** How much a read may return. */
export interface ReadOptions {
  readonly maxBytes: number;
  /** Return the first batch even when it is larger than `maxBytes` (KIP-74). */
  readonly atLeastOneBatch: boolean;
  readonly signal: AbortSignal;
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
  readonly extents = new Extents();
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
  /** Grows with each change that a checkpoint has to write. */
  #version = 0;

  constructor(identity: PartitionIdentity, term: PartitionTerm) {
    this.topicId = identity.topicId;
    this.partition = identity.partition;
    this.isInternal = identity.isInternal;
    this.#fold = identity.isInternal ? new Fold() : null;
    this.#term = term;
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
    this.#term.requireWritable();
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
    this.#lastAppendTimeMs = Math.max(this.#lastAppendTimeMs, wallMs, this.extents.all.at(-1)?.maxTimestampMs ?? -1);
    return this.#lastAppendTimeMs;
  }

  /**
   * Moves the log start up to `offset`, at most the high watermark; resolves with the log start after the commit.
   * @throws KafkaError OFFSET_OUT_OF_RANGE above the high watermark, NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT
   */
  async moveLogStart(offset: Offset): Promise<Offset> {
    this.#term.requireWritable();
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

  /** Bytes that a read from `fromOffset` may return, at most `limit`; whole extents are counted. Synchronous. */
  availableBytes(fromOffset: Offset, limit: number): number {
    let bytes = 0;
    for (const extent of this.extents.from(fromOffset)) {
      bytes += extent.length;
      if (bytes >= limit) return limit;
    }
    return bytes;
  }

  /**
   * Whole v2 batches below the high watermark, contiguous; the first one contains `fromOffset`. Empty when `fromOffset`
   * is the end or nothing fits. The views stay valid.
   * @throws KafkaError KAFKA_STORAGE_ERROR when committed bytes cannot be read, NOT_LEADER_OR_FOLLOWER
   */
  async read(fromOffset: Offset, options: ReadOptions): Promise<readonly Uint8Array[]> {
    this.#term.requireReadable();
    const parts: Uint8Array[] = [];
    let maxBytes = options.maxBytes;
    let next = fromOffset;
    let storeReads = 0;
    for (;;) {
      const extent = this.extents.all[this.extents.indexOf(next)];
      if (!extent || (parts.length > 0 && extent.baseOffset !== next)) break;
      if (!extent.tailBytes && parts.length > 0 && ++storeReads > STORE_READS_PER_FETCH) break;
      const bytes = extent.tailBytes ?? (await this.#readExtent(extent, options.signal));
      const atLeastOneBatch = options.atLeastOneBatch && parts.length === 0;
      const { batches, isToEnd } = cutBatches(bytes, { fromOffset: next, maxBytes, atLeastOneBatch });
      if (batches.length > 0) parts.push(batches);
      maxBytes -= batches.length;
      next = extent.endOffset;
      if (!isToEnd || maxBytes <= 0) break;
    }
    this.#term.requireReadable();
    return parts;
  }

  #readExtent(extent: Extent, signal: AbortSignal): Promise<Uint8Array> {
    return this.#term.readExtent(extent, signal, this.extents.from(extent.endOffset));
  }

  /** The first record at or after `timestampMs`, by offset; undefined when there is none. */
  findByTimestamp(timestampMs: TimestampMs, options: { signal: AbortSignal }): Promise<TimestampHit | undefined> {
    return this.#search((source) => findTimestamp(source, timestampMs), options.signal);
  }

  /** The first record that has the largest timestamp; undefined in an empty log. */
  findMaxTimestamp(options: { signal: AbortSignal }): Promise<TimestampHit | undefined> {
    return this.#search(findMaxTimestamp, options.signal);
  }

  async #search<T>(
    run: (source: Parameters<typeof findMaxTimestamp>[0]) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    this.#term.requireReadable();
    const bytesOf = async (extent: Extent) => extent.tailBytes ?? this.#term.readExtent(extent, signal);
    const hit = await run({ extents: this.extents.all.slice(), logStart: this.#logStart, bytesOf });
    this.#term.requireReadable();
    return hit;
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
    this.extents.push(extent);
    this.leaderEpochs.note(extent.leaderEpoch, extent.baseOffset);
    const nowMs = this.#term.monotonicMs();
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
    this.extents.dropBelow(offset);
    this.leaderEpochs.dropBelow(offset);
    this.#version++;
  }

  /** One item fewer on its way: it was committed. */
  settleOne(): void {
    this.#uncommittedCount--;
    invariant(this.#uncommittedCount >= 0, `partition ${this.topicId}-${this.partition} settled more than it appended`);
  }

  /** Starts at what a checkpoint says; only before anything else happened. */
  restore(logStart: Offset, extents: readonly Extent[], logEnd: Offset): void {
    invariant(this.#highWatermark === 0 && this.#version === 0, `partition ${this.topicId} is restored twice`);
    for (const extent of extents) this.extents.push(extent);
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
