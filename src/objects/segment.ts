// A reconciled segment: record batches of one partition between a header of 32 bytes and a footer of 16, byte for byte
// as the Go project KafScale wrote them, so that its tools read ours. Nothing in it depends on when or by whom it was
// written. Whatever header, body and footer do not say alike is a FormatError that names the byte.
import { invariant } from "../invariant.ts";
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  BATCH_OVERHEAD_BYTES,
  BatchField,
  RecordBatchView,
} from "../records/record-batch.ts";
import type { Offset, TimestampMs } from "../topic-partition.ts";
import { crc32c } from "../wire/crc32c.ts";
import { FormatError } from "./format-error.ts";
import {
  encodeSegmentIndex,
  SEGMENT_FOOTER_BYTES,
  SEGMENT_HEADER_BYTES,
  SegmentIndexBuilder,
} from "./segment-index.ts";

/** Positions in the index are an int32, so no segment is larger. */
export const SEGMENT_BYTES_MAX = 0x7fff_ffff;

const MAGIC = "KAFS";
const FOOTER_MAGIC = "END!";
const VERSION = 1;
const PLACE = "segment";

/** What a segment's header and footer say, and how long it is. */
export interface SegmentSummary {
  readonly baseOffset: Offset;
  /** First offset after the last batch. */
  readonly endOffset: Offset;
  /** Records of all batches, as their headers count them. */
  readonly recordCount: number;
  /** The largest timestamp of its batches, -1 where none has one; stands in the field that KafScale calls created-at. */
  readonly maxTimestampMs: TimestampMs;
  /** CRC-32C of the batches. */
  readonly bodyCrc32c: number;
  /** Size of the whole object. */
  readonly bytes: number;
}

/** A segment and its index, ready to be put. */
export interface EncodedSegment {
  readonly summary: SegmentSummary;
  /** The `.kfs` object: header, the parts given, footer. The parts are views of what was given, not copies. */
  readonly segment: readonly Uint8Array[];
  /** The `.index` object. */
  readonly index: Uint8Array;
}

/**
 * A segment of whole v2 batches with final offsets, ascending; gaps between them are what compaction leaves. The bytes
 * are a function of the batches: however they are cut into parts.
 * @param parts one batch or more in each; at most {@link SEGMENT_BYTES_MAX} less header and footer in all
 */
export function encodeSegment(parts: readonly Uint8Array[]): EncodedSegment {
  const index = new SegmentIndexBuilder();
  const walk = new BatchWalk();
  let position = SEGMENT_HEADER_BYTES;
  let bodyCrc32c = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const batch = new RecordBatchView(part, at);
      const fault = walk.step(batch);
      invariant(fault === undefined, `a segment cannot hold a batch where ${fault}`);
      index.add(batch.baseOffset, position, batch.recordCount);
      at += batch.sizeInBytes;
      position += batch.sizeInBytes;
    }
    bodyCrc32c = crc32c(part, bodyCrc32c);
  }
  invariant(walk.batchCount > 0, "a segment holds one batch at least");
  const bytes = position + SEGMENT_FOOTER_BYTES;
  invariant(bytes <= SEGMENT_BYTES_MAX, `a segment of ${bytes} bytes is larger than ${SEGMENT_BYTES_MAX}`);
  const summary = { ...walk.summary(), bodyCrc32c, bytes };
  return {
    summary,
    segment: [encodeHeader(summary), ...parts, encodeFooter(summary)],
    index: encodeSegmentIndex(index.entries),
  };
}

function encodeHeader({ baseOffset, recordCount, maxTimestampMs }: SegmentSummary): Uint8Array {
  const header = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(header.buffer);
  writeAscii(view, 0, MAGIC);
  view.setUint16(4, VERSION);
  view.setBigInt64(8, BigInt(baseOffset));
  view.setInt32(16, recordCount);
  view.setBigInt64(20, BigInt(maxTimestampMs));
  return header;
}

function encodeFooter({ bodyCrc32c, endOffset }: SegmentSummary): Uint8Array {
  const footer = new Uint8Array(SEGMENT_FOOTER_BYTES);
  const view = new DataView(footer.buffer);
  view.setUint32(0, bodyCrc32c);
  view.setBigInt64(4, BigInt(endOffset - 1));
  writeAscii(view, 12, FOOTER_MAGIC);
  return footer;
}

/**
 * Reads a whole `.kfs` object: the checksum of its body, every batch's header, and that header, footer and batches tell
 * of the same offsets, records and timestamps. The records themselves are left to the checksum.
 * @returns the summary and the batches as one view
 * @throws FormatError where anything of that does not hold
 */
export function decodeSegment(bytes: Uint8Array): { readonly summary: SegmentSummary; readonly batches: Uint8Array } {
  const summary = decodeSegmentEnds(bytes, bytes.length, bytes);
  const batches = bytes.subarray(SEGMENT_HEADER_BYTES, bytes.length - SEGMENT_FOOTER_BYTES);
  const found = crc32c(batches);
  if (found !== summary.bodyCrc32c) {
    throw new FormatError(PLACE, `the checksum of the body is ${found}, not ${summary.bodyCrc32c}`);
  }
  const walk = new BatchWalk();
  walkBatches(batches, { position: SEGMENT_HEADER_BYTES, walk });
  const told = walk.summary();
  for (const [field, at] of [
    ["baseOffset", 8],
    ["recordCount", 16],
    ["maxTimestampMs", 20],
    ["endOffset", bytes.length - 12],
  ] as const) {
    if (told[field] === summary[field]) continue;
    throw new FormatError(PLACE, `${field} at byte ${at} is ${summary[field]}, the batches say ${told[field]}`);
  }
  return { summary, batches };
}

/**
 * What the two ends of a `.kfs` object say, without its body: enough to place it, not to trust it.
 * @param start the first {@link SEGMENT_HEADER_BYTES} bytes or more
 * @param segmentBytes size of the whole object
 * @param end the last {@link SEGMENT_FOOTER_BYTES} bytes or more
 * @throws FormatError when these are no such ends
 */
export function decodeSegmentEnds(start: Uint8Array, segmentBytes: number, end: Uint8Array): SegmentSummary {
  const smallest = SEGMENT_HEADER_BYTES + SEGMENT_FOOTER_BYTES;
  if (segmentBytes <= smallest || segmentBytes > SEGMENT_BYTES_MAX) {
    throw new FormatError(PLACE, `an object of ${segmentBytes} bytes is no segment with a batch in it`);
  }
  if (start.length < SEGMENT_HEADER_BYTES || end.length < SEGMENT_FOOTER_BYTES) {
    throw new FormatError(PLACE, `${start.length} and ${end.length} bytes are not its two ends`);
  }
  const header = viewOf(start.subarray(0, SEGMENT_HEADER_BYTES));
  requireAscii(header, 0, { text: MAGIC, position: 0 });
  const version = header.getUint16(4);
  if (version !== VERSION) throw new FormatError(PLACE, `format version ${version} at byte 4 is not ${VERSION}`);
  if (header.getUint16(6) !== 0) throw new FormatError(PLACE, `the flags at byte 6 are ${header.getUint16(6)}, not 0`);
  if (header.getUint32(28) !== 0) throw new FormatError(PLACE, "the reserved bytes at byte 28 are not 0");
  const footerAt = segmentBytes - SEGMENT_FOOTER_BYTES;
  const footer = viewOf(end.subarray(end.length - SEGMENT_FOOTER_BYTES));
  requireAscii(footer, 12, { text: FOOTER_MAGIC, position: footerAt + 12 });
  const baseOffset = safeInt64(header, 8, 8);
  const lastOffset = safeInt64(footer, 4, footerAt + 4);
  if (baseOffset < 0 || lastOffset < baseOffset) {
    throw new FormatError(PLACE, `offsets ${baseOffset} (at byte 8) to ${lastOffset} (at byte ${footerAt + 4})`);
  }
  return {
    baseOffset,
    endOffset: lastOffset + 1,
    recordCount: header.getInt32(16),
    maxTimestampMs: safeInt64(header, 20, 20),
    bodyCrc32c: footer.getUint32(0),
    bytes: segmentBytes,
  };
}

/** A part of a segment's body that begins with a batch. */
export interface SegmentPart {
  /** Position of the part in the `.kfs` object, as the index has it. */
  readonly position: number;
  /** Offset of its first batch, as the index has it. */
  readonly baseOffset: Offset;
}

/**
 * Checks batches read from the middle of a segment, for which no checksum of the format stands: each batch's own CRC,
 * that the first one is the one the index names, and that offsets ascend. A batch cut off at the end is left out.
 * @returns the whole batches, a view
 * @throws FormatError with the byte of the object where it does not hold
 */
export function checkSegmentPart(bytes: Uint8Array, { position, baseOffset }: SegmentPart): Uint8Array {
  const walk = new BatchWalk(baseOffset);
  const wholeBytes = walkBatches(bytes, { position, walk, checksCrc: true, mayBeCut: true });
  return bytes.subarray(0, wholeBytes);
}

interface WalkOptions {
  /** Of the first byte in the object. */
  readonly position: number;
  readonly walk: BatchWalk;
  readonly checksCrc?: boolean;
  readonly mayBeCut?: boolean;
}

/** Steps over every batch; how many bytes the whole ones have. */
function walkBatches(bytes: Uint8Array, options: WalkOptions): number {
  const { position, walk, checksCrc = false, mayBeCut = false } = options;
  for (let at = 0; at < bytes.length; ) {
    const batch = batchAt(bytes, at, options);
    if (!batch) {
      if (mayBeCut) return at;
      throw new FormatError(
        PLACE,
        `the batch at byte ${position + at} goes past the ${bytes.length - at} bytes there are`,
      );
    }
    const fault = walk.step(batch);
    if (fault !== undefined) throw new FormatError(PLACE, `at byte ${position + at} ${fault}`);
    if (checksCrc && batch.computeCrc() !== batch.crc) {
      throw new FormatError(PLACE, `the batch at byte ${position + at} does not match its checksum`);
    }
    at += batch.sizeInBytes;
  }
  return bytes.length;
}

/** The batch at `at`, undefined where not all of it is there. @throws FormatError where none can be */
function batchAt(bytes: Uint8Array, at: number, { position }: WalkOptions): RecordBatchView | undefined {
  const remaining = bytes.length - at;
  if (remaining < BATCH_START_BYTES) return undefined;
  const view = viewOf(bytes.subarray(at, at + BATCH_START_BYTES));
  const sizeInBytes = BATCH_OVERHEAD_BYTES + view.getInt32(BatchField.LENGTH);
  const magic = view.getUint8(BatchField.MAGIC);
  if (sizeInBytes < BATCH_HEADER_BYTES || magic !== BATCH_MAGIC) {
    throw new FormatError(PLACE, `at byte ${position + at} is no batch: ${sizeInBytes} bytes, magic ${magic}`);
  }
  return sizeInBytes > remaining ? undefined : new RecordBatchView(bytes, at);
}

/** As much of a batch as tells its length and magic. */
const BATCH_START_BYTES = BatchField.MAGIC + 1;

/** Follows batches in the order of their offsets and sums up what they say. */
class BatchWalk {
  batchCount = 0;
  /** What the first batch has to begin at; -1 for any offset. */
  readonly #expected: Offset;
  #baseOffset: Offset = 0;
  #endOffset: Offset = 0;
  #recordCount = 0;
  #maxTimestampMs: TimestampMs = -1;

  constructor(expected: Offset = -1) {
    this.#expected = expected;
  }

  /** Takes the next batch in; what is wrong with it, if anything. */
  step(batch: RecordBatchView): string | undefined {
    const unsafe = batch.unsafeField();
    if (unsafe !== undefined) return `${unsafe} of a batch is outside the safe range of int64`;
    const { baseOffset, nextOffset, recordCount, maxTimestamp } = batch;
    if (baseOffset < 0 || batch.lastOffsetDelta < 0) return `a batch has offsets ${baseOffset} to ${nextOffset - 1}`;
    if (recordCount < 0 || recordCount > batch.lastOffsetDelta + 1) {
      return `a batch of offsets ${baseOffset} to ${nextOffset - 1} counts ${recordCount} records`;
    }
    if (this.batchCount === 0) {
      if (this.#expected >= 0 && baseOffset !== this.#expected) {
        return `the first batch has offset ${baseOffset}, not ${this.#expected}`;
      }
      this.#baseOffset = baseOffset;
    } else if (baseOffset < this.#endOffset) {
      return `a batch has offset ${baseOffset} after one that ends at ${this.#endOffset}`;
    }
    this.batchCount++;
    this.#endOffset = nextOffset;
    this.#recordCount += recordCount;
    this.#maxTimestampMs = Math.max(this.#maxTimestampMs, maxTimestamp);
    return undefined;
  }

  summary(): Pick<SegmentSummary, "baseOffset" | "endOffset" | "recordCount" | "maxTimestampMs"> {
    const summary = { baseOffset: this.#baseOffset, endOffset: this.#endOffset, recordCount: this.#recordCount };
    return { ...summary, maxTimestampMs: this.#maxTimestampMs };
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function writeAscii(view: DataView, at: number, text: string): void {
  for (let index = 0; index < text.length; index += 1) view.setUint8(at + index, text.charCodeAt(index));
}

function requireAscii(view: DataView, at: number, magic: { text: string; position: number }): void {
  for (let index = 0; index < magic.text.length; index += 1) {
    if (view.getUint8(at + index) === magic.text.charCodeAt(index)) continue;
    throw new FormatError(PLACE, `the magic at byte ${magic.position} is not "${magic.text}"`);
  }
}

function safeInt64(view: DataView, at: number, position: number): number {
  const value = view.getBigInt64(at);
  if (Number.isSafeInteger(Number(value))) return Number(value);
  throw new FormatError(PLACE, `the int64 at byte ${position} is ${value}, outside the safe range`);
}
