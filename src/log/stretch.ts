// The unit in which stored records are fetched, checked and kept: whole batches that lie together in one object.

import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import { FormatError } from "../objects/format-error.ts";
import { checkSegmentPart } from "../objects/segment.ts";
import { RecordBatchView } from "../records/record-batch.ts";
import type { Offset } from "../topic-partition.ts";
import { crc32c } from "../wire/crc32c.ts";
import type { Extent, OffsetRange } from "./extents.ts";

/** Whole v2 batches, contiguous in offsets, at one place in the store. */
export interface Stretch extends OffsetRange {
  readonly key: string;
  readonly position: number;
  readonly length: number;
  /** Of the bytes; undefined where each batch proves itself. */
  readonly crc32c: number | undefined;
  /** Of a segment, where a GET brings several. */
  readonly run?: Run;
  /** Whether it lies in a write-ahead object, which readers of other partitions will ask for as well. */
  readonly isInWal?: boolean;
}

/** Neighbouring stretches of a segment, which one GET brings. */
export interface Run extends OffsetRange {
  readonly key: string;
  readonly position: number;
  readonly length: number;
  /** Ascending and dense. None where nobody has looked yet: then `endOffset` and `length` are bounds. */
  readonly stretches: readonly Stretch[];
  readonly segment: SegmentEntry;
}

/** How the stored records of a partition are had. */
export interface StoredReads {
  /** Where an extent lies. */
  stretchOf(extent: Extent): Stretch;
  /** The stretch of a segment that holds an offset of it; undefined while it is not known where that is. */
  stretchAt(segment: SegmentEntry, offset: Offset): Stretch | undefined;
  /**
   * The same, once it is known.
   * @throws KafkaError KAFKA_STORAGE_ERROR when it cannot be found out
   */
  loadStretchAt(segment: SegmentEntry, offset: Offset): Promise<Stretch | undefined>;
  /**
   * What a reader comes to in a segment from `offset` on: what is known, and the run to look at after that; false when the
   * index has to tell first, and is on its way.
   */
  stepsFrom(segment: SegmentEntry, offset: Offset): Generator<Run | Stretch, boolean>;
  /**
   * The bytes of a stretch, from a cache or the object store, checked.
   * @param following what comes after it, or its run, for a reader who will go on; looked at before this returns
   * @throws KafkaError KAFKA_STORAGE_ERROR when they cannot be had
   */
  readStretch(stretch: Stretch, signal: AbortSignal, following?: Iterable<Run | Stretch>): Promise<Uint8Array>;
  /** Notes that a reader has had all of a stretch. */
  noteDone(stretch: Stretch): void;
  /** Tells of an object to which a list refers and that is not there. */
  noteDangling(what: { readonly offset: number; readonly error: unknown }): void;
}

/** Where a part of a group lies; undefined for a segment. */
export function stretchOfPart({ key, form, bytes: length, baseOffset, endOffset }: SegmentEntry): Stretch | undefined {
  if (form.type !== "group") return undefined;
  return { key, position: form.position, length, crc32c: form.crc32c, baseOffset, endOffset };
}

/** Whether `bytes` are those of the stretch. */
export function isStretch(stretch: Stretch, bytes: Uint8Array): boolean {
  if (bytes.length !== stretch.length) return false;
  if (stretch.crc32c !== undefined) return crc32c(bytes) === stretch.crc32c;
  try {
    const batches = checkSegmentPart(bytes, stretch);
    return batches.length === bytes.length && endOf(batches) <= stretch.endOffset;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

function endOf(batches: Uint8Array): number {
  let end = 0;
  for (let at = 0; at < batches.length; ) {
    const batch = new RecordBatchView(batches, at);
    end = batch.nextOffset;
    at += batch.sizeInBytes;
  }
  return end;
}
