// Builds what reconciling writes: a segment with its index, or a group, and the list entries that lead to them. Pure; the
// bytes of a segment are a function of its batches, so that two writers of one plain name write the same.
import { invariant } from "../invariant.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import type { ObjectKeys, SegmentName } from "../objects/object-keys.ts";
import type { EncodedSegment } from "../objects/segment.ts";
import { encodeWalFooter, type WalExtent } from "../objects/wal-object.ts";
import { iterateBatches } from "../records/record-batch.ts";
import type { LeaderEpoch, Offset, TimestampMs, TopicId } from "../topic-partition.ts";
import { crc32c } from "../wire/crc32c.ts";

/** The list entry of a segment under one of its names. */
export function segmentEntry(
  objectKeys: ObjectKeys,
  name: SegmentName,
  { summary, index }: EncodedSegment,
): SegmentEntry {
  const { baseOffset, endOffset, bytes, maxTimestampMs } = summary;
  const form = { type: "segment", indexKey: objectKeys.segmentIndex(name), indexBytes: index.length } as const;
  return { baseOffset, endOffset, bytes, maxTimestampMs, key: objectKeys.segment(name), form };
}

/** What one partition puts into a group: whole batches, ascending and dense, one at least. */
export interface GroupMember {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly baseOffset: Offset;
  /** First offset after the batches. */
  readonly endOffset: Offset;
  /** Largest record timestamp, -1 when no record has one. */
  readonly maxTimestampMs: TimestampMs;
  readonly parts: readonly Uint8Array[];
}

/** A group, ready to be put, and the entry of each member in their order. */
export interface EncodedGroup {
  readonly object: readonly Uint8Array[];
  readonly entries: readonly SegmentEntry[];
}

/** A group of `members`, one at least. */
export function encodeGroup(key: string, shardEpoch: LeaderEpoch, members: readonly GroupMember[]): EncodedGroup {
  const walExtents: WalExtent[] = [];
  const entries: SegmentEntry[] = [];
  const body: Uint8Array[] = [];
  let position = 0;
  for (const { topicId, partition, baseOffset, endOffset, maxTimestampMs, parts } of members) {
    let [checksum, length] = [0, 0];
    for (const part of parts) {
      checksum = crc32c(part, checksum);
      length += part.length;
      body.push(part);
    }
    walExtents.push({
      topicId,
      partition,
      shardEpoch,
      baseOffset,
      offsetCount: endOffset - baseOffset,
      position,
      length,
      ...endTimestamps(parts),
      maxTimestampMs,
      crc32c: checksum,
    });
    const form = { type: "group", position, crc32c: checksum } as const;
    entries.push({ baseOffset, endOffset, bytes: length, maxTimestampMs, key, form });
    position += length;
  }
  const footer = encodeWalFooter({ extents: walExtents, producerBatches: [], logStarts: [] });
  return { object: [...body, footer], entries };
}

/** First timestamp of the first batch, and the largest one of the last. */
function endTimestamps(parts: readonly Uint8Array[]): Pick<WalExtent, "firstTimestampMs" | "lastTimestampMs"> {
  const [first] = iterateBatches(parts[0] ?? new Uint8Array());
  const last = [...iterateBatches(parts.at(-1) ?? new Uint8Array())].at(-1);
  invariant(first && last, "a group has a member without a batch");
  return { firstTimestampMs: first.baseTimestamp, lastTimestampMs: last.maxTimestamp };
}
