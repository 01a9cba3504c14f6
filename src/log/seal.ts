// Seal: the moment at which waiting batches get their numbers. Copies them into the body of a WAL object, grouped by
// partition, stamps offsets and leader epoch, and describes them in the footer. Synchronous; the result never changes.
import { encodeWalFooter, type WalExtent, type WalLogStart, type WalProducerBatch } from "../objects/wal-object.ts";
import { BatchField, RecordBatchView } from "../records/record-batch.ts";
import { restamp, stampPlace } from "../records/restamp.ts";
import type { TimestampMs } from "../topic-partition.ts";
import { crc32c, crc32cOfBoth } from "../wire/crc32c.ts";
import { PendingAppend, type PendingItem, type PendingLogStart } from "./append.ts";
import type { Extent } from "./extents.ts";
import { type CommittedProducerBatch, identityOf, type PartitionLog } from "./partition-log.ts";

/** One partition's part of a sealed flush. */
export interface SealedExtent {
  readonly partition: PartitionLog;
  readonly extent: Extent;
  readonly producerBatches: readonly CommittedProducerBatch[];
}

/** A flush with its numbers: what is PUT, and what the commit will make visible. */
export interface SealedFlush {
  readonly flush: number;
  readonly items: readonly PendingItem[];
  readonly extents: readonly SealedExtent[];
  readonly logStarts: readonly PendingLogStart[];
  /** The WAL object: body (absent when empty), then footer. */
  readonly parts: readonly Uint8Array[];
  readonly bodyBytes: number;
  readonly footerBytes: number;
}

/** Seals `items` as flush number `flush` of `sessionId`. */
export function sealFlush(items: readonly PendingItem[], sessionId: string, flush: number): SealedFlush {
  const byPartition = new Map<PartitionLog, PendingAppend[]>();
  const logStarts: PendingLogStart[] = [];
  let bodyBytes = 0;
  for (const item of items) {
    if (!(item instanceof PendingAppend)) {
      logStarts.push(item);
      continue;
    }
    bodyBytes += item.bytes;
    const appends = byPartition.get(item.partition);
    if (appends) appends.push(item);
    else byPartition.set(item.partition, [item]);
  }
  // Not zeroed: every byte is written below. Not a Buffer either: its slice() is a view, which callers take for a copy.
  const body = new Uint8Array(Buffer.allocUnsafeSlow(bodyBytes).buffer);
  const sealer = new Sealer(body, sessionId, flush);
  for (const [partition, appends] of inOrderOfPlaces([...byPartition], ([of]) => of)) {
    sealer.addExtent(partition, appends);
  }
  const footer = encodeWalFooter({
    extents: sealer.walExtents,
    producerBatches: sealer.walProducerBatches,
    logStarts: logStarts.map(walLogStart),
  });
  const parts = bodyBytes > 0 ? [body, footer] : [footer];
  return { flush, items, extents: sealer.extents, logStarts, parts, bodyBytes, footerBytes: footer.length };
}

/**
 * Sorted as partitions lie in write-ahead objects, the same in each of them: what is wanted of neighbours is then in one
 * piece.
 */
export function inOrderOfPlaces<T>(
  list: readonly T[],
  partitionOf: (item: T) => PartitionLog | undefined,
): readonly T[] {
  return list.toSorted((left, right) => {
    const [one, other] = [partitionOf(left), partitionOf(right)];
    if (!one || !other) return 0;
    if (one.topicId === other.topicId) return one.partition - other.partition;
    return one.topicId < other.topicId ? -1 : 1;
  });
}

function walLogStart({ partition, offset }: PendingLogStart): WalLogStart {
  const { topicId, partition: index, leaderEpoch } = partition;
  return { topicId, partition: index, shardEpoch: leaderEpoch, logStart: offset };
}

/** Fills one body, extent by extent. */
class Sealer {
  readonly extents: SealedExtent[] = [];
  readonly walExtents: WalExtent[] = [];
  readonly walProducerBatches: WalProducerBatch[] = [];
  readonly #body: Uint8Array;
  readonly #sessionId: string;
  readonly #flush: number;
  #position = 0;

  constructor(body: Uint8Array, sessionId: string, flush: number) {
    this.#body = body;
    this.#sessionId = sessionId;
    this.#flush = flush;
  }

  addExtent(partition: PartitionLog, appends: readonly PendingAppend[]): void {
    const start = this.#position;
    const producerBatches: CommittedProducerBatch[] = [];
    const times = { first: -1, last: -1, max: -1 };
    for (const append of appends) {
      const batch = this.#addBatch(partition, append);
      const timestampMs = batch.maxTimestamp;
      if (times.first === -1) times.first = batch.baseTimestamp;
      times.last = timestampMs;
      times.max = Math.max(times.max, timestampMs);
      if (batch.producerId < 0) continue;
      const producerBatch = { ...identityOf(batch), baseOffset: append.baseOffset, timestampMs };
      producerBatches.push(producerBatch);
      const { isTransactional } = batch;
      const extentIndex = this.walExtents.length;
      this.walProducerBatches.push({ ...producerBatch, extentIndex, isTransactional, marker: "none" });
    }
    this.#describe(partition, appends, { start, times, producerBatches });
  }

  #addBatch(partition: PartitionLog, append: PendingAppend): RecordBatchView {
    const start = this.#position;
    this.#body.set(append.batch.bytes, start);
    this.#position += append.bytes;
    append.baseOffset = partition.assignOffsets(append.batch.lastOffsetDelta + 1);
    const { baseOffset, logAppendTimeMs } = append;
    const { leaderEpoch } = partition;
    if (logAppendTimeMs < 0) {
      stampPlace(this.#body, start, { baseOffset, leaderEpoch });
      // What is asked of the batch below is the same in the client's bytes.
      return append.batch;
    }
    const own = this.#body.subarray(start, this.#position);
    restamp(own, { baseOffset, leaderEpoch, logAppendTimeMs });
    return new RecordBatchView(own);
  }

  /**
   * The checksum of the extent that begins at `start`. A large batch carries the one of its own bytes, verified when it
   * came: to take that over is cheaper, and also catches what the copy into the body may have damaged.
   */
  #checksum(appends: readonly PendingAppend[], start: number): number {
    let checksum = 0;
    let from = start;
    let position = start;
    for (const { bytes, batch } of appends) {
      const covered = position + BatchField.ATTRIBUTES;
      position += bytes;
      if (bytes < COMPOSED_BYTES_MIN) continue;
      checksum = crc32c(this.#body.subarray(from, covered), checksum);
      const { crc } = new RecordBatchView(this.#body, position - batch.sizeInBytes);
      checksum = crc32cOfBoth(checksum, crc, position - covered);
      from = position;
    }
    return from < position ? crc32c(this.#body.subarray(from, position), checksum) : checksum;
  }

  #describe(partition: PartitionLog, appends: readonly PendingAppend[], found: FoundInExtent): void {
    const first = appends[0]?.baseOffset ?? 0;
    const last = appends.at(-1);
    const endOffset = last ? last.baseOffset + last.batch.lastOffsetDelta + 1 : first;
    const bytes = this.#body.subarray(found.start, this.#position);
    const checksum = this.#checksum(appends, found.start);
    this.extents.push({
      partition,
      producerBatches: found.producerBatches,
      extent: {
        sessionId: this.#sessionId,
        flush: this.#flush,
        position: found.start,
        length: bytes.length,
        crc32c: checksum,
        baseOffset: first,
        endOffset,
        leaderEpoch: partition.leaderEpoch,
        firstTimestampMs: found.times.first,
        lastTimestampMs: found.times.last,
        maxTimestampMs: found.times.max,
        tailBytes: bytes,
      },
    });
    this.walExtents.push({
      topicId: partition.topicId,
      partition: partition.partition,
      shardEpoch: partition.leaderEpoch,
      baseOffset: first,
      offsetCount: endOffset - first,
      position: found.start,
      length: bytes.length,
      firstTimestampMs: found.times.first,
      lastTimestampMs: found.times.last,
      maxTimestampMs: found.times.max,
      crc32c: checksum,
    });
  }
}

/** From this size on a checksum is composed from that of the batch rather than computed again. */
const COMPOSED_BYTES_MIN = 16 * 1024;

interface FoundInExtent {
  readonly start: number;
  readonly times: { readonly first: TimestampMs; readonly last: TimestampMs; readonly max: TimestampMs };
  readonly producerBatches: readonly CommittedProducerBatch[];
}
