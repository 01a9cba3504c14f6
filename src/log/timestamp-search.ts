// ListOffsets by time: the first extent whose largest timestamp is late enough, then the exact record in it.
import { iterateBatches, type RecordBatchView } from "../records/record-batch.ts";
import { iterateRecords } from "../records/record-iterator.ts";
import type { LeaderEpoch, Offset, TimestampMs } from "../topic-partition.ts";
import type { Extent } from "./extents.ts";

/** A record found by time. */
export interface TimestampHit {
  readonly offset: Offset;
  readonly timestampMs: TimestampMs;
  readonly leaderEpoch: LeaderEpoch;
}

/** What is searched: ascending extents, their bytes on demand, and the first readable offset. */
export interface TimestampSource {
  readonly extents: readonly Extent[];
  readonly logStart: Offset;
  bytesOf(extent: Extent): Promise<Uint8Array>;
}

/** The first record, by offset, whose timestamp is at least `timestampMs`. */
export async function findTimestamp(source: TimestampSource, timestampMs: number): Promise<TimestampHit | undefined> {
  for (const extent of source.extents) {
    if (extent.maxTimestampMs < timestampMs) continue;
    for (const batch of iterateBatches(await source.bytesOf(extent))) {
      if (batch.maxTimestamp < timestampMs) continue;
      const hit = findInBatch(batch, timestampMs, source.logStart);
      if (hit) return hit;
    }
  }
  return undefined;
}

/** The first record, by offset, among those with the largest timestamp of the log. */
export async function findMaxTimestamp(source: TimestampSource): Promise<TimestampHit | undefined> {
  let maxTimestampMs = -1;
  for (const extent of source.extents) maxTimestampMs = Math.max(maxTimestampMs, extent.maxTimestampMs);
  return maxTimestampMs < 0 ? undefined : findTimestamp(source, maxTimestampMs);
}

function findInBatch(batch: RecordBatchView, timestampMs: number, logStart: Offset): TimestampHit | undefined {
  for (const record of iterateRecords(batch)) {
    if (record.offset < logStart || record.timestampMs < timestampMs) continue;
    return { offset: record.offset, timestampMs: record.timestampMs, leaderEpoch: batch.partitionLeaderEpoch };
  }
  return undefined;
}
