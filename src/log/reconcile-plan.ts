// What is to be reconciled next, as a function of the lists of a shard: which pending extents become a segment of their
// own, which go into a group, which segments become one. Decides nothing but when; whatever it leaves waits for the next time.
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import type { Extent } from "./extents.ts";
import type { WantedExtents } from "./gathered-extents.ts";
import type { PartitionLog } from "./partition-log.ts";
import type { ShardLog } from "./shard-log.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** When and how pending extents become segments. Bytes, milliseconds, counts. */
export interface ReconcileSettings {
  /** How often partitions are looked at. */
  readonly intervalMs: number;
  /** So much pending is reconciled at once. */
  readonly pendingBytes: number;
  /** What has been pending for so long is reconciled, however little it is. */
  readonly pendingAgeMs: number;
  /** The size up to which a segment grows, where its topic has no smaller one. */
  readonly segmentBytes: number;
  /** Less than this of a partition goes into a group. */
  readonly groupBytes: number;
  /** So many adjacent segments, each below an eighth of the size of a whole one, become one. */
  readonly mergedCountMin: number;
  /** Bytes that are read from the store for it in a second; 0 is without limit. */
  readonly bytesPerSecond: number;
  /**
   * Pending bytes, of however many partitions, that are read together and held until they are in segments. A write-ahead
   * object holds a little of many partitions: the more of them are reconciled at a time, the fewer GETs it takes.
   */
  readonly heldBytes: number;
  /**
   * PUTs a second, on average, of objects that are made because something is old and not because it is much; 0 is without
   * limit. What is old waits for them, so that the price does not grow with the number of partitions.
   */
  readonly smallPutsPerSecond: number;
  /**
   * With more pending extents than this nothing waits for its size, its age or its PUTs. Each is known in memory, by about
   * 400 bytes, and a flush has one of every partition that took part in it.
   */
  readonly pendingExtentsMax: number;
}

/** The sizes of the design: a PUT is paid for 4 MiB at least, and an object that has to be kept for reading is not small. */
export const defaultReconcile: ReconcileSettings = {
  intervalMs: 5_000,
  pendingBytes: 4 * MIB,
  pendingAgeMs: 600_000,
  segmentBytes: 64 * MIB,
  groupBytes: 256 * KIB,
  mergedCountMin: 8,
  bytesPerSecond: 64 * MIB,
  heldBytes: 128 * MIB,
  // With four write-ahead objects a second and a checkpoint every five seconds a broker stays below 5 PUT/s.
  smallPutsPerSecond: 0.75,
  pendingExtentsMax: 1_000_000,
};

/** What could be reconciled of one shard now. */
export interface ReconcilePlan {
  /** So much is pending of these that nothing is to be waited for. */
  readonly large: readonly PartitionLog[];
  /** Less is pending of these, for so long that they go along when something is made of any of them. */
  readonly small: readonly PartitionLog[];
  /** Whether one of the small ones is old enough for that. */
  readonly isSmallDue: boolean;
}

/** A segment or a group that is to be made. */
export interface Piece {
  readonly shardLog: ShardLog;
  /** What it takes, as it was when it was planned: what comes to a partition meanwhile waits for the next one. */
  readonly wanted: readonly WantedExtents[];
  readonly isGroup: boolean;
  /** Whether it is made for its age: then its PUTs are paid for out of those of small objects. */
  readonly isSmall: boolean;
  /** Sum of it. */
  readonly bytes: number;
  /** Whether so much will be pending after it. */
  readonly isMore: boolean;
}

/** Which partitions of a shard could be reconciled now. */
export function planReconcile(
  partitions: Iterable<PartitionLog>,
  nowMs: number,
  settings: ReconcileSettings,
): ReconcilePlan {
  const large: PartitionLog[] = [];
  const small: PartitionLog[] = [];
  let isSmallDue = false;
  for (const partition of partitions) {
    const { bytes } = partition.extents;
    if (bytes === 0) continue;
    const ageMs = nowMs - partition.pendingSinceMs;
    if (bytes >= settings.pendingBytes) large.push(partition);
    // What would be due before long costs no GET by now: it lies in the same write-ahead objects.
    else if (ageMs > settings.pendingAgeMs / 2) small.push(partition);
    isSmallDue ||= bytes < settings.pendingBytes && ageMs > settings.pendingAgeMs;
  }
  return { large, small, isSmallDue };
}

/** The oldest extents, up to `bytesMax` together and one at least. */
export function oldestExtents(extents: readonly Extent[], bytesMax: number): readonly Extent[] {
  let bytes = 0;
  const end = extents.findIndex((extent) => {
    bytes += extent.length;
    return bytes > bytesMax;
  });
  return extents.slice(0, end < 0 ? extents.length : Math.max(1, end));
}

/** Part of a segment's size below which none is cut for the sake of others: so it is never merged. */
const SEGMENT_SHARE_MIN = 1 / 4;

/** The size up to which each of so many partitions gets a segment when they are reconciled together. */
export function segmentBytesOf(count: number, { heldBytes, segmentBytes }: ReconcileSettings): number {
  return Math.min(segmentBytes, Math.max(heldBytes / count, segmentBytes * SEGMENT_SHARE_MIN));
}

/** Neighbours in order that have `bytesMax` together, and one at least. */
export function batchesOf<Item extends { readonly bytes: number }>(
  pieces: readonly Item[],
  bytesMax: number,
): readonly (readonly Item[])[] {
  const batches: Item[][] = [];
  let bytes = 0;
  for (const piece of pieces) {
    bytes += piece.bytes;
    const batch = bytes <= bytesMax ? batches.at(-1) : undefined;
    if (batch) batch.push(piece);
    else {
      batches.push([piece]);
      bytes = piece.bytes;
    }
  }
  return batches;
}

/** As many of the partitions as have `bytesMax` pending together, and one at least. */
export function fitting(partitions: readonly PartitionLog[], bytesMax: number): readonly PartitionLog[] {
  let bytes = 0;
  return partitions.filter(({ extents }, index) => {
    bytes += extents.bytes;
    return index === 0 || bytes <= bytesMax;
  });
}

/** The first run of adjacent small segments that is long enough, cut where it would be larger than a whole one. */
export function segmentsToMerge(
  segments: readonly SegmentEntry[],
  segmentBytes: number,
  settings: ReconcileSettings,
): readonly SegmentEntry[] | undefined {
  let run: SegmentEntry[] = [];
  let bytes = 0;
  for (const segment of segments) {
    const isSmall = segment.bytes < segmentBytes / 8;
    if (isSmall && bytes + segment.bytes <= segmentBytes) {
      run.push(segment);
      bytes += segment.bytes;
      continue;
    }
    if (run.length >= settings.mergedCountMin) break;
    run = isSmall ? [segment] : [];
    bytes = isSmall ? segment.bytes : 0;
  }
  return run.length >= settings.mergedCountMin ? run : undefined;
}
