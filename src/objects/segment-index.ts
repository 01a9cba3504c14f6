// The index beside a reconciled segment: offsets of some of its batches and where they begin, byte for byte as the Go
// project KafScale wrote it. The format has no checksum: what it says is proven by the batch it leads to, and by
// `requireIndexOf` where the whole segment is at hand.
import { invariant } from "../invariant.ts";
import type { Offset } from "../topic-partition.ts";
import { FormatError } from "./format-error.ts";

/** Bytes of a segment before its first batch. */
export const SEGMENT_HEADER_BYTES = 32;
/** Bytes of a segment after its last batch. */
export const SEGMENT_FOOTER_BYTES = 16;
/** A batch gets an entry when at least this many records were passed since the batch of the entry before, that one included. */
export const SEGMENT_INDEX_INTERVAL = 100;
/** ... or this many bytes, so that a log of large records need not be read whole to find one. KafScale has no such rule. */
export const SEGMENT_INDEX_INTERVAL_BYTES = 256 * 1024;

const MAGIC = "IDX\0";
const VERSION = 1;
const HEADER_BYTES = 16;
const ENTRY_BYTES = 12;
const PLACE = "segment index";

/** One batch of a segment. */
export interface SegmentIndexEntry {
  /** Base offset of the batch. */
  readonly offset: Offset;
  /** Its first byte in the `.kfs` object. */
  readonly position: number;
}

/** Chooses the batches that get an entry. */
export class SegmentIndexBuilder {
  readonly entries: SegmentIndexEntry[] = [];
  #recordsSinceEntry = 0;

  /** Passes the next batch of the segment. */
  add(offset: Offset, position: number, recordCount: number): void {
    const last = this.entries.at(-1);
    const isFar = last === undefined || position - last.position >= SEGMENT_INDEX_INTERVAL_BYTES;
    if (isFar || this.#recordsSinceEntry >= SEGMENT_INDEX_INTERVAL) {
      this.entries.push({ offset, position });
      this.#recordsSinceEntry = 0;
    }
    this.#recordsSinceEntry += recordCount;
  }
}

/** The bytes of an `.index` object. */
export function encodeSegmentIndex(entries: readonly SegmentIndexEntry[]): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + entries.length * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < MAGIC.length; at += 1) view.setUint8(at, MAGIC.charCodeAt(at));
  view.setUint16(4, VERSION);
  view.setInt32(6, entries.length);
  view.setInt32(10, SEGMENT_INDEX_INTERVAL);
  for (const [index, { offset, position }] of entries.entries()) {
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    view.setBigInt64(at, BigInt(offset));
    view.setInt32(at + 8, position);
  }
  return bytes;
}

/** What a reader of an index knows of its segment from elsewhere. */
export interface IndexedSegment {
  readonly baseOffset: Offset;
  readonly endOffset: Offset;
  /** Size of the `.kfs` object. */
  readonly bytes: number;
}

/** An index in memory: 12 bytes an entry. */
export class SegmentIndex {
  /** Ascending base offsets; the first is that of the segment. */
  readonly #offsets: Float64Array;
  /** Ascending positions; the first is the byte after the header. */
  readonly #positions: Int32Array;
  /** First byte after the last batch. */
  readonly #bodyEnd: number;

  /**
   * Reads an `.index` object.
   * @throws FormatError when it is none, or cannot be that of `segment`
   */
  constructor(bytes: Uint8Array, segment: IndexedSegment) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const count = decodeHeader(view);
    this.#offsets = new Float64Array(count);
    this.#positions = new Int32Array(count);
    this.#bodyEnd = segment.bytes - SEGMENT_FOOTER_BYTES;
    let before = { offset: -1, position: 0 };
    for (let index = 0; index < count; index += 1) {
      const entry = decodeEntry(view, index);
      const isFirst = index === 0;
      const continues = isFirst
        ? entry.offset === segment.baseOffset && entry.position === SEGMENT_HEADER_BYTES
        : entry.offset > before.offset && entry.position > before.position;
      if (!continues || entry.offset >= segment.endOffset || entry.position >= this.#bodyEnd) {
        throw new FormatError(PLACE, describe(entry, index, segment));
      }
      this.#offsets[index] = entry.offset;
      this.#positions[index] = entry.position;
      before = entry;
    }
  }

  /** How many batches have an entry; 1 and up. */
  get entryCount(): number {
    return this.#offsets.length;
  }

  /** The entries, ascending. */
  entries(): SegmentIndexEntry[] {
    return Array.from(this.#offsets, (offset, index) => ({ offset, position: this.#positions[index] ?? 0 }));
  }

  /**
   * Where to read for `offset`: from the last entry at or below it, `bytesMax` at least or to the end of the body, and up
   * to the next entry after that, so that the last batch is whole.
   * @returns the entry to begin at, and the length in bytes from there
   */
  locate(offset: Offset, bytesMax: number): SegmentIndexEntry & { readonly length: number } {
    const first = Math.max(0, upperBound(this.#offsets, offset) - 1);
    const position = this.#positions[first] ?? 0;
    const following = upperBound(this.#positions, Math.max(position, position + bytesMax - 1));
    const end = this.#positions[following] ?? this.#bodyEnd;
    return { offset: this.#offsets[first] ?? 0, position, length: end - position };
  }
}

/**
 * Compares an index with the segment it belongs to, entry by entry: the one way to find every changed bit of it.
 * @param expected what the segment's batches give, from `encodeSegment` or a {@link SegmentIndexBuilder}
 * @throws FormatError naming the first byte that differs
 */
export function requireIndexOf(found: Uint8Array, expected: Uint8Array): void {
  const shorter = Math.min(found.length, expected.length);
  let at = 0;
  while (at < shorter && found[at] === expected[at]) at += 1;
  if (at === found.length && at === expected.length) return;
  const lengths = `${found.length} bytes, ${expected.length} are right`;
  throw new FormatError(PLACE, `it is not the index of its segment: byte ${at} differs (${lengths})`);
}

function decodeHeader(view: DataView): number {
  if (view.byteLength < HEADER_BYTES) {
    throw new FormatError(PLACE, `${view.byteLength} bytes are fewer than its header of ${HEADER_BYTES}`);
  }
  for (let at = 0; at < MAGIC.length; at += 1) {
    if (view.getUint8(at) !== MAGIC.charCodeAt(at)) throw new FormatError(PLACE, 'the magic at byte 0 is not "IDX\\0"');
  }
  const version = view.getUint16(4);
  if (version !== VERSION) throw new FormatError(PLACE, `format version ${version} at byte 4 is not ${VERSION}`);
  const count = view.getInt32(6);
  // Compared before anything is allocated.
  if (count < 1 || HEADER_BYTES + count * ENTRY_BYTES !== view.byteLength) {
    throw new FormatError(PLACE, `${count} entries are announced at byte 6 of ${view.byteLength} bytes`);
  }
  if (view.getInt32(10) < 1) throw new FormatError(PLACE, `the interval at byte 10 is ${view.getInt32(10)}`);
  if (view.getUint16(14) !== 0) throw new FormatError(PLACE, "the reserved bytes at byte 14 are not 0");
  return count;
}

function decodeEntry(view: DataView, index: number): SegmentIndexEntry {
  const at = HEADER_BYTES + index * ENTRY_BYTES;
  const offset = view.getBigInt64(at);
  if (offset < 0n || offset > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new FormatError(PLACE, `the offset at byte ${at} is ${offset}`);
  }
  return { offset: Number(offset), position: view.getInt32(at + 8) };
}

function describe({ offset, position }: SegmentIndexEntry, index: number, segment: IndexedSegment): string {
  const at = HEADER_BYTES + index * ENTRY_BYTES;
  const of = `offsets ${segment.baseOffset} to ${segment.endOffset - 1} in ${segment.bytes} bytes`;
  return `the entry at byte ${at} names offset ${offset} at ${position}, which no segment of ${of} has there`;
}

/** Index of the first value above `bound`. */
function upperBound(sorted: Float64Array | Int32Array, bound: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const value = sorted[middle];
    invariant(value !== undefined, `no entry ${middle} of ${sorted.length}`);
    if (value > bound) high = middle;
    else low = middle + 1;
  }
  return low;
}
