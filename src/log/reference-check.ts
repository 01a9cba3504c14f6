// Whether an object is what refers to it expects: by its size alone, or by all of its bytes. Pure; says what is wrong in
// words, and throws for nothing that bytes can be.
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import { FormatError } from "../objects/format-error.ts";
import { decodeSegment, encodeSegment } from "../objects/segment.ts";
import { requireIndexOf } from "../objects/segment-index.ts";
import { decodeWalFooter, decodeWalTrailer, verifyExtent, WAL_TRAILER_BYTES } from "../objects/wal-object.ts";

/** Bytes of an object that somebody reads. */
export interface ObjectPart {
  readonly position: number;
  readonly length: number;
  readonly crc32c: number;
}

/** An object that somebody reads, and what he expects of it. `of` names him for people. */
export type Reference =
  | {
      /** A write-ahead object or a group. */
      readonly type: "parts";
      readonly key: string;
      readonly parts: readonly ObjectPart[];
      readonly of: string;
    }
  | {
      readonly type: "segment" | "index";
      readonly key: string;
      /** The entry that names both. */
      readonly segment: SegmentEntry;
      readonly of: string;
    };

/** What is wrong with an object of `bytes` bytes; undefined where its size is what it has to be, as far as that is known. */
export function sizeFault(reference: Reference, bytes: number): string | undefined {
  if (reference.type === "parts") {
    const end = Math.max(0, ...reference.parts.map(({ position, length }) => position + length));
    const least = end + WAL_TRAILER_BYTES;
    return bytes < least ? `it has ${bytes} bytes and needs ${least} at least` : undefined;
  }
  const { bytes: segmentBytes, form } = reference.segment;
  if (reference.type === "segment") {
    return bytes === segmentBytes ? undefined : `it has ${bytes} bytes, not ${segmentBytes}`;
  }
  if (form.type !== "segment" || bytes === form.indexBytes) return undefined;
  // Lists of version 1 know no more than that an index is smaller than its segment.
  const isBound = form.indexBytes === segmentBytes;
  return isBound && bytes < form.indexBytes ? undefined : `it has ${bytes} bytes, not ${form.indexBytes}`;
}

/** What is wrong with the whole bytes of an object. An index is compared with its segment, by {@link indexFault}. */
export function contentFault(reference: Reference, object: Uint8Array): string | undefined {
  return faultOf(() => {
    if (reference.type === "parts") checkParts(reference.parts, object);
    if (reference.type === "segment") checkSegment(reference.segment, object);
  });
}

/** What is wrong with an index beside the segment it belongs to, which has no fault. */
export function indexFault(index: Uint8Array, segment: Uint8Array): string | undefined {
  return faultOf(() => requireIndexOf(index, encodeSegment([decodeSegment(segment).batches]).index));
}

function faultOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

function checkParts(parts: readonly ObjectPart[], object: Uint8Array): void {
  const { position, length } = decodeWalTrailer(object, object.length);
  decodeWalFooter(object.subarray(position, position + length), object.length);
  for (const part of parts) verifyExtent(part, object.subarray(part.position, part.position + part.length));
}

function checkSegment({ baseOffset, endOffset, bytes }: SegmentEntry, object: Uint8Array): void {
  const { summary } = decodeSegment(object);
  if (summary.baseOffset !== baseOffset || summary.endOffset !== endOffset || summary.bytes !== bytes) {
    throw new FormatError(
      "segment",
      `it holds ${summary.baseOffset} to ${summary.endOffset}, not ${baseOffset} to ${endOffset}`,
    );
  }
}
