// The index of a partition's committed bytes that still lie in WAL objects: one extent per flush, dense and ascending.
import { invariant } from "../invariant.ts";
import type { LeaderEpoch, Offset, TimestampMs } from "../topic-partition.ts";

/** One partition's bytes in one WAL object: whole v2 batches, contiguous in offsets. */
export interface Extent {
  /** The session and the number of the flush whose WAL object holds the bytes. */
  readonly sessionId: string;
  readonly flush: number;
  /** Where in the object, in bytes. */
  readonly position: number;
  readonly length: number;
  readonly crc32c: number;
  readonly baseOffset: Offset;
  /** First offset after the extent. */
  readonly endOffset: Offset;
  readonly leaderEpoch: LeaderEpoch;
  readonly firstTimestampMs: TimestampMs;
  readonly lastTimestampMs: TimestampMs;
  /** Largest record timestamp, -1 when no record has one. */
  readonly maxTimestampMs: TimestampMs;
  /** The bytes while they are in the tail; only the tail sets and clears them. */
  tailBytes: Uint8Array | null;
}

/** Offsets that lie together somewhere. */
export interface OffsetRange {
  readonly baseOffset: Offset;
  /** First offset after the range. */
  readonly endOffset: Offset;
}

/** Ascending, dense ranges. Every offset from the first one's base to the last one's end lies in exactly one (I6, I12). */
export class OffsetRanges<Range extends OffsetRange> {
  readonly #list: Range[] = [];
  readonly #bytesOf: (range: Range) => number;
  #bytes = 0;

  constructor(bytesOf: (range: Range) => number) {
    this.#bytesOf = bytesOf;
  }

  /** All ranges, ascending. Not to be changed. */
  get all(): readonly Range[] {
    return this.#list;
  }

  /** Sum of their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds the range that continues the last one. */
  push(range: Range): void {
    const last = this.#list.at(-1);
    invariant(
      last === undefined || last.endOffset === range.baseOffset,
      `a range at ${range.baseOffset} does not continue the one that ends at ${last?.endOffset}`,
    );
    invariant(range.endOffset > range.baseOffset, `a range at ${range.baseOffset} holds no offset`);
    this.#list.push(range);
    this.#bytes += this.#bytesOf(range);
  }

  /** Drops every range that ends at or below `offset`; what was dropped. */
  dropBelow(offset: Offset): readonly Range[] {
    const dropped = this.#list.splice(0, this.indexOf(offset));
    for (const range of dropped) this.#bytes -= this.#bytesOf(range);
    return dropped;
  }

  /** Puts one range where those were that it spans; false, and nothing done, unless all of `replaced` are in the list. */
  replace(replaced: readonly Range[], by: Range): boolean {
    const [first] = replaced;
    const at = first ? this.indexOf(first.baseOffset) : -1;
    if (at < 0 || !replaced.every((range, index) => this.#list[at + index] === range)) return false;
    const last = replaced.at(-1);
    invariant(
      by.baseOffset === first?.baseOffset && by.endOffset === last?.endOffset,
      `offsets ${by.baseOffset} to ${by.endOffset} replace ${first?.baseOffset} to ${last?.endOffset}`,
    );
    this.#list.splice(at, replaced.length, by);
    for (const range of replaced) this.#bytes -= this.#bytesOf(range);
    this.#bytes += this.#bytesOf(by);
    return true;
  }

  /** The range that holds `offset`, or the first one above it. */
  at(offset: Offset): Range | undefined {
    return this.#list[this.indexOf(offset)];
  }

  /** Index of the range that holds `offset`, or of the first one above it; the count when there is none. */
  indexOf(offset: Offset): number {
    return rangeIndexOf(this.#list, offset);
  }

  /** Ranges from the one that holds `offset` on. */
  *from(offset: Offset): Generator<Range> {
    for (let index = this.indexOf(offset); index < this.#list.length; index++) {
      const range = this.#list[index];
      if (range) yield range;
    }
  }
}

/** Index of the range in an ascending list that holds `offset`, or of the first one above it; the count when none. */
export function rangeIndexOf(list: readonly OffsetRange[], offset: Offset): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = list[middle];
    invariant(range, `no range ${middle} of ${list.length}`);
    if (range.endOffset <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The pending extents of a partition. */
export class Extents extends OffsetRanges<Extent> {
  constructor() {
    super((extent) => extent.length);
  }
}
