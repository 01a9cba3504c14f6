// ListOffsets by time: the first piece of the log whose largest timestamp is late enough, then the exact record in it.
import { iterateBatches, type RecordBatchView } from "../records/record-batch.ts";
import { iterateRecords } from "../records/record-iterator.ts";
import type { LeaderEpoch, Offset, TimestampMs } from "../topic-partition.ts";
import type { OffsetRange } from "./extents.ts";

/** A record found by time. */
export interface TimestampHit {
  readonly offset: Offset;
  readonly timestampMs: TimestampMs;
  readonly leaderEpoch: LeaderEpoch;
}

/** Offsets and the largest timestamp of their records, -1 when none has one. */
export interface TimedRange extends OffsetRange {
  readonly maxTimestampMs: TimestampMs;
}

/** What is searched: the log in ascending pieces, bytes on demand, and the first readable offset. */
export interface TimestampSource {
  readonly ranges: readonly TimedRange[];
  readonly logStart: Offset;
  /** Batches from the one with `offset` on, and where they end; undefined when it is not in the log any more. */
  bytesAt(offset: Offset): Promise<{ readonly bytes: Uint8Array; readonly endOffset: Offset } | undefined>;
}

/** The first record, by offset, whose timestamp is at least `timestampMs`. */
export async function findTimestamp(source: TimestampSource, timestampMs: number): Promise<TimestampHit | undefined> {
  for (const range of source.ranges) {
    if (range.maxTimestampMs < timestampMs) continue;
    for await (const batch of batchesOf(source, range)) {
      if (batch.maxTimestamp < timestampMs) continue;
      const hit = findInBatch(batch, timestampMs, source.logStart);
      if (hit) return hit;
    }
  }
  return undefined;
}

/** The first record, by offset, among those with the largest timestamp of the log. */
export async function findMaxTimestamp(source: TimestampSource): Promise<TimestampHit | undefined> {
  const { ranges, logStart } = source;
  let maxTimestampMs = -1;
  for (const range of ranges) {
    if (range.baseOffset >= logStart) maxTimestampMs = Math.max(maxTimestampMs, range.maxTimestampMs);
  }
  // Of the one that the log start lies in, the largest may be below it.
  const [first] = ranges;
  if (first && first.baseOffset < logStart && first.maxTimestampMs > maxTimestampMs) {
    for await (const batch of batchesOf(source, first)) {
      if (batch.maxTimestamp > maxTimestampMs) maxTimestampMs = Math.max(maxTimestampMs, maxFrom(batch, logStart));
    }
  }
  return maxTimestampMs < 0 ? undefined : findTimestamp(source, maxTimestampMs);
}

/** The readable batches of a range. */
async function* batchesOf(source: TimestampSource, range: OffsetRange): AsyncGenerator<RecordBatchView> {
  for (let offset = Math.max(range.baseOffset, source.logStart); offset < range.endOffset; ) {
    const read = await source.bytesAt(offset);
    if (!read) return;
    for (const batch of iterateBatches(read.bytes)) if (batch.nextOffset > offset) yield batch;
    offset = read.endOffset;
  }
}

function maxFrom(batch: RecordBatchView, logStart: Offset): TimestampMs {
  if (batch.baseOffset >= logStart) return batch.maxTimestamp;
  let maxTimestampMs = -1;
  for (const record of iterateRecords(batch)) {
    if (record.offset >= logStart) maxTimestampMs = Math.max(maxTimestampMs, record.timestampMs);
  }
  return maxTimestampMs;
}

function findInBatch(batch: RecordBatchView, timestampMs: number, logStart: Offset): TimestampHit | undefined {
  for (const record of iterateRecords(batch)) {
    if (record.offset < logStart || record.timestampMs < timestampMs) continue;
    return { offset: record.offset, timestampMs: record.timestampMs, leaderEpoch: batch.partitionLeaderEpoch };
  }
  return undefined;
}
