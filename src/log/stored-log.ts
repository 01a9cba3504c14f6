// The committed records of a partition and where they lie: reconciled segments, then pending extents, dense in offsets;
// and how they are read. What is found is the same wherever a record lies, and while it moves from one place to the next.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";
import { ObjectStoreError } from "../object-store/object-store.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import type { Offset } from "../topic-partition.ts";
import { cutBatches } from "./batch-range.ts";
import { type Extent, Extents, OffsetRanges } from "./extents.ts";
import type { Run, StoredReads, Stretch } from "./stretch.ts";
import type { TimedRange } from "./timestamp-search.ts";

/** How much a read may return. */
export interface ReadOptions {
  readonly maxBytes: number;
  /** Return the first batch even when it is larger than `maxBytes` (KIP-74). */
  readonly atLeastOneBatch: boolean;
  readonly signal: AbortSignal;
}

/**
 * Stretches that one read fetches from the store at most, one after another: a log of many small ones must give its reader
 * something before he gives up.
 */
const STORE_READS_PER_FETCH = 16;

/** Whole batches, and the first offset after them. */
interface ReadStretch {
  readonly bytes: Uint8Array;
  readonly endOffset: Offset;
  /** Where they lie, if that is not the tail. */
  readonly stretch?: Stretch;
}

/** Segments and pending extents of one partition. The first extent continues the last segment. */
export class StoredLog {
  readonly segments = new OffsetRanges<SegmentEntry>((segment) => segment.bytes);
  readonly extents = new Extents();
  /** Extents that a segment has replaced, as long as the tail holds their bytes: newest records stay in RAM. */
  readonly #recent = new Extents();
  readonly #reads: StoredReads;
  readonly #requireKept: () => void;

  /** @param requireKept throws when the log was deleted or is led elsewhere: then nothing keeps its objects where they were */
  constructor(reads: StoredReads, requireKept: () => void) {
    this.#reads = reads;
    this.#requireKept = requireKept;
  }

  /** Bytes of everything, whole units. */
  get bytes(): number {
    return this.segments.bytes + this.extents.bytes;
  }

  /** Largest timestamp of the newest unit, -1 for none. */
  get lastMaxTimestampMs(): number {
    return (this.extents.all.at(-1) ?? this.segments.all.at(-1))?.maxTimestampMs ?? -1;
  }

  /** Segments, then extents. */
  *units(): Generator<TimedRange & { readonly bytes: number }> {
    yield* this.segments.all;
    for (const extent of this.extents.all) {
      const { baseOffset, endOffset, maxTimestampMs, length } = extent;
      yield { baseOffset, endOffset, maxTimestampMs, bytes: length };
    }
  }

  /** What {@link units} yields, without its bytes: a copy, for a search that takes its time. */
  timedRanges(): readonly TimedRange[] {
    return [...this.segments.all, ...this.extents.all];
  }

  /** Notes that pending extents were replaced by the segment that was just added. */
  noteReplaced(extents: readonly Extent[]): void {
    this.#forgetEvicted();
    for (const extent of extents) if (extent.tailBytes) this.#recent.push(extent);
  }

  /** Drops what lies wholly below `offset`. */
  dropBelow(offset: Offset): { readonly segments: readonly SegmentEntry[]; readonly extents: readonly Extent[] } {
    this.#recent.dropBelow(offset);
    return { segments: this.segments.dropBelow(offset), extents: this.extents.dropBelow(offset) };
  }

  /** The tail lets go of the oldest first. */
  #forgetEvicted(): void {
    const end = this.#recent.all.findLast((extent) => extent.tailBytes === null)?.endOffset;
    if (end !== undefined) this.#recent.dropBelow(end);
  }

  /**
   * About how many bytes a read from `fromOffset` may return, at most `limit`: whole extents, and the share of a segment
   * that its offsets make up.
   */
  availableBytes(fromOffset: Offset, limit: number): number {
    let bytes = 0;
    for (const { baseOffset, endOffset, bytes: segmentBytes } of this.segments.from(fromOffset)) {
      const offsets = endOffset - Math.max(baseOffset, fromOffset);
      bytes += Math.ceil((segmentBytes * offsets) / (endOffset - baseOffset));
      if (bytes >= limit) return limit;
    }
    for (const extent of this.extents.from(fromOffset)) {
      bytes += extent.length;
      if (bytes >= limit) return limit;
    }
    return bytes;
  }

  /**
   * Whole v2 batches, contiguous; the first one contains `fromOffset`.
   * @throws KafkaError KAFKA_STORAGE_ERROR when committed bytes cannot be read
   */
  async read(fromOffset: Offset, options: ReadOptions): Promise<readonly Uint8Array[]> {
    const parts: Uint8Array[] = [];
    let maxBytes = options.maxBytes;
    let next = fromOffset;
    let storeReads = 0;
    for (;;) {
      const unit = this.#unitAt(next);
      if (!unit) break;
      const tailBytes = this.#tailBytes(unit, next);
      if (!tailBytes && parts.length > 0 && ++storeReads > STORE_READS_PER_FETCH) break;
      const read = tailBytes ?? (await this.#bytesAt(next, options.signal));
      if (!read) break;
      const atLeastOneBatch = options.atLeastOneBatch && parts.length === 0;
      const { batches, isToEnd } = cutBatches(read.bytes, { fromOffset: next, maxBytes, atLeastOneBatch });
      if (batches.length > 0) parts.push(batches);
      if (isToEnd && read.stretch) this.#reads.noteDone(read.stretch);
      maxBytes -= batches.length;
      next = read.endOffset;
      if (!isToEnd || maxBytes <= 0) break;
    }
    return parts;
  }

  /**
   * The stretch that holds `offset`, for who takes all of it; undefined past the end, and where the log was cut meanwhile.
   * @throws KafkaError KAFKA_STORAGE_ERROR when it cannot be read
   */
  async bytesAt(offset: Offset, signal: AbortSignal): Promise<ReadStretch | undefined> {
    const read = await this.#bytesAt(offset, signal);
    if (read?.stretch) this.#reads.noteDone(read.stretch);
    return read;
  }

  async #bytesAt(offset: Offset, signal: AbortSignal): Promise<ReadStretch | undefined> {
    const unit = this.#unitAt(offset);
    if (!unit) return undefined;
    try {
      return this.#tailBytes(unit, offset) ?? (await this.#readUnit(unit, offset, signal));
    } catch (error) {
      if (!isGone(error)) throw error;
      // What was there may have been replaced and removed while this was on its way.
      const now = this.#unitAt(offset);
      if (now === unit) this.#throwDangling(offset, error);
      return now && this.#readAgain(now, offset, signal);
    }
  }

  async #readAgain(unit: SegmentEntry | Extent, offset: Offset, signal: AbortSignal): Promise<ReadStretch | undefined> {
    try {
      return this.#tailBytes(unit, offset) ?? (await this.#readUnit(unit, offset, signal));
    } catch (error) {
      if (!isGone(error)) throw error;
      return this.#throwDangling(offset, error);
    }
  }

  #throwDangling(offset: Offset, error: unknown): never {
    this.#requireKept();
    this.#reads.noteDangling({ offset, error });
    throw error;
  }

  /** Where `offset` lies. A reader who was let in before the log start moved past him gets nothing, not what comes next. */
  #unitAt(offset: Offset): SegmentEntry | Extent | undefined {
    const unit = this.segments.at(offset) ?? this.extents.at(offset);
    return unit && unit.baseOffset <= offset ? unit : undefined;
  }

  /** What the tail holds of the unit at `offset`. */
  #tailBytes(unit: SegmentEntry | Extent, offset: Offset): ReadStretch | undefined {
    const extent = isExtent(unit) ? unit : this.#recent.at(offset);
    if (!extent?.tailBytes || extent.baseOffset > offset) return undefined;
    return { bytes: extent.tailBytes, endOffset: extent.endOffset };
  }

  async #readUnit(unit: SegmentEntry | Extent, offset: Offset, signal: AbortSignal): Promise<ReadStretch | undefined> {
    const stretch = isExtent(unit) ? this.#reads.stretchOf(unit) : await this.#stretchAt(unit, offset);
    if (!stretch) return undefined;
    const following = this.#following((stretch.run ?? stretch).endOffset);
    return { bytes: await this.#reads.readStretch(stretch, signal, following), endOffset: stretch.endOffset, stretch };
  }

  async #stretchAt(segment: SegmentEntry, offset: Offset): Promise<Stretch | undefined> {
    return this.#reads.stretchAt(segment, offset) ?? this.#reads.loadStretchAt(segment, offset);
  }

  /** What comes after `offset` and is not in the tail, as far as it is known where that lies. */
  *#following(offset: Offset): Generator<Run | Stretch> {
    for (const segment of this.segments.from(offset)) {
      if (!(yield* this.#reads.stepsFrom(segment, offset))) return;
    }
    for (const extent of this.extents.from(offset)) {
      if (extent.tailBytes) return;
      yield this.#reads.stretchOf(extent);
    }
  }
}

function isExtent(unit: SegmentEntry | Extent): unit is Extent {
  return "flush" in unit;
}

/** Whether an object was not there. */
function isGone(error: unknown): boolean {
  if (!(error instanceof KafkaError) || error.code !== ErrorCode.KAFKA_STORAGE_ERROR) return false;
  return error.cause instanceof ObjectStoreError && error.cause.kind === "not-found";
}
