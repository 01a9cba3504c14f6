// A section or sub-block of a checkpoint as it lies in an object: kind, format version, body, checksum. Each can be read
// by itself, from the object it was first written to; a reference that leads to another kind is a FormatError.
import { crc32c } from "../wire/crc32c.ts";
import { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import { FormatError } from "./format-error.ts";

/** Kind (1), version (1), CRC32C (4) around a body. */
const BLOCK_FRAME_BYTES = 6;

/** What a block holds. The number is its first byte and never changes meaning. */
export const BlockKind = { SECTION: 1, PENDING: 2, PRODUCERS: 3, FOLD: 4, SEGMENTS: 5 } as const;
/** One of {@link BlockKind}. */
export type BlockKind = (typeof BlockKind)[keyof typeof BlockKind];

/** The newest version of each kind, and the one that is written. Older ones down to 1 are read. */
const VERSIONS: Readonly<Record<BlockKind, number>> = { 1: 2, 2: 1, 3: 1, 4: 1, 5: 2 };
const PLACES: Readonly<Record<BlockKind, string>> = {
  1: "checkpoint section",
  2: "checkpoint pending extents",
  3: "checkpoint producers",
  4: "checkpoint fold",
  5: "checkpoint segments",
};

/** Where a section or sub-block lies: in the k-th checkpoint object of the session whose object names it. */
export interface BlockRef {
  /** Number of the checkpoint, 1 and up, never above that of the object that holds the reference. */
  readonly k: number;
  readonly position: number;
  readonly length: number;
}

/** Name of a kind of block in errors. */
export function blockPlace(kind: BlockKind): string {
  return PLACES[kind];
}

/** The framed bytes of what `body` holds. The writer is empty afterwards. */
export function encodeBlock(kind: BlockKind, body: Writer): Uint8Array {
  const parts = body.finish();
  const bodyBytes = parts.reduce((sum, part) => sum + part.length, 0);
  const block = new Uint8Array(bodyBytes + BLOCK_FRAME_BYTES);
  block[0] = kind;
  block[1] = VERSIONS[kind];
  let position = 2;
  for (const part of parts) {
    block.set(part, position);
    position += part.length;
  }
  new DataView(block.buffer).setUint32(position, crc32c(block.subarray(0, position)));
  return block;
}

/** The body of a block, and the version of its kind in which it was written. */
export interface OpenBlock {
  readonly reader: Reader;
  readonly version: number;
}

/**
 * Checks a framed block and opens its body.
 * @param bytes exactly the block
 * @throws FormatError on another kind, an unknown version, a wrong checksum
 */
export function openBlock(kind: BlockKind, bytes: Uint8Array): OpenBlock {
  const place = PLACES[kind];
  if (bytes.length < BLOCK_FRAME_BYTES) throw new FormatError(place, `a block of ${bytes.length} bytes is too short`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = crc32c(bytes.subarray(0, bytes.length - 4));
  const expected = view.getUint32(bytes.length - 4);
  if (found !== expected) throw new FormatError(place, `the checksum is ${found}, not ${expected}`);
  if (view.getUint8(0) !== kind) throw new FormatError(place, `the kind is ${view.getUint8(0)}, not ${kind}`);
  const version = view.getUint8(1);
  if (version < 1 || version > VERSIONS[kind]) {
    throw new FormatError(place, `format version ${version} is not one of 1 to ${VERSIONS[kind]}`);
  }
  return { reader: new Reader(bytes, 2, bytes.length - 4), version };
}
