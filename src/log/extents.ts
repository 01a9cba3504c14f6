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

/** Ascending, dense extents. Every offset from the first extent's base to `endOffset` lies in exactly one (I6, I12). */
export class Extents {
  readonly #list: Extent[] = [];
  #bytes = 0;

  /** All extents, ascending. Not to be changed. */
  get all(): readonly Extent[] {
    return this.#list;
  }

  /** Sum of the lengths, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds the extent that continues the last one. */
  push(extent: Extent): void {
    const last = this.#list.at(-1);
    invariant(
      last === undefined || last.endOffset === extent.baseOffset,
      `extent at ${extent.baseOffset} does not continue the one that ends at ${last?.endOffset}`,
    );
    invariant(extent.endOffset > extent.baseOffset, `extent at ${extent.baseOffset} holds no offset`);
    this.#list.push(extent);
    this.#bytes += extent.length;
  }

  /** Drops every extent that ends at or below `logStart`. */
  dropBelow(logStart: Offset): void {
    const kept = this.indexOf(logStart);
    for (const extent of this.#list.splice(0, kept)) this.#bytes -= extent.length;
  }

  /** Index of the extent that holds `offset`, or of the first one above it; the count when there is none. */
  indexOf(offset: Offset): number {
    let low = 0;
    let high = this.#list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#at(middle).endOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Extents from the one that holds `offset` on. */
  *from(offset: Offset): Generator<Extent> {
    for (let index = this.indexOf(offset); index < this.#list.length; index++) yield this.#at(index);
  }

  #at(index: number): Extent {
    const extent = this.#list[index];
    invariant(extent, `no extent ${index} of ${this.#list.length}`);
    return extent;
  }
}
