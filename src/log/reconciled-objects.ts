// Builds what reconciling writes: a segment with its index, or a group, and the list entries that lead to them. Pure; the
// bytes of a segment are a function of its batches, so that two writers of one plain name write the same.
import { invariant } from "../invariant.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import type { ObjectKeys, SegmentName } from "../objects/object-keys.ts";
import type { EncodedSegment } from "../objects/segment.ts";
import { encodeWalFooter, type WalExtent } from "../objects/wal-object.ts";
import type { LeaderEpoch, TopicId } from "../topic-partition.ts";
import { crc32c } from "../wire/crc32c.ts";
import type { Extent } from "./extents.ts";

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

/** What one partition puts into a group: extents, ascending and dense, and their bytes. */
export interface GroupMember {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly extents: readonly Extent[];
  readonly parts: readonly Uint8Array[];
}

/** A group, ready to be put, and the entry of each member in their order. */
export interface EncodedGroup {
  readonly object: readonly Uint8Array[];
  readonly entries: readonly SegmentEntry[];
}

/** A group of `members`, one at least, each with one extent at least. */
export function encodeGroup(key: string, shardEpoch: LeaderEpoch, members: readonly GroupMember[]): EncodedGroup {
  const walExtents: WalExtent[] = [];
  const entries: SegmentEntry[] = [];
  const body: Uint8Array[] = [];
  let position = 0;
  for (const { topicId, partition, extents, parts } of members) {
    const [first, last] = [extents[0], extents.at(-1)];
    invariant(first && last, `${topicId}-${partition} has nothing to put into ${key}`);
    let [checksum, length] = [0, 0];
    for (const part of parts) {
      checksum = crc32c(part, checksum);
      length += part.length;
      body.push(part);
    }
    const maxTimestampMs = Math.max(...extents.map((extent) => extent.maxTimestampMs));
    const { baseOffset, firstTimestampMs } = first;
    const { endOffset, lastTimestampMs } = last;
    walExtents.push({
      topicId,
      partition,
      shardEpoch,
      baseOffset,
      offsetCount: endOffset - baseOffset,
      position,
      length,
      firstTimestampMs,
      lastTimestampMs,
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
