// How a WAL object and a checkpoint end: a body (footer or index) and a trailer of 20 bytes that leads to it from the
// object's last byte. The checksum covers body and trailer, so a changed bit anywhere in them is found.
import { invariant } from "../invariant.ts";
import { crc32c } from "../wire/crc32c.ts";
import { Reader } from "../wire/reader.ts";
import { FormatError } from "./format-error.ts";

/** Body length (4), format version (2), zero (2), magic (8), CRC32C of body and these 16 bytes (4). */
export const TRAILER_BYTES = 20;
const MAGIC_BYTES = 8;

/** What tells one kind of object from another. */
export interface TailFormat {
  /** Eight ASCII characters. */
  readonly magic: string;
  /** The newest version, and the one that is written. Older ones down to 1 are read. */
  readonly version: number;
  /** Name of the body in errors. */
  readonly place: string;
}

/** Part of an object: bytes [position, position + length). */
export interface TailRange {
  readonly position: number;
  readonly length: number;
}

/** Body and trailer as one array. */
export function encodeTail(format: TailFormat, body: readonly Uint8Array[]): Uint8Array {
  const bodyBytes = body.reduce((sum, part) => sum + part.length, 0);
  const tail = new Uint8Array(bodyBytes + TRAILER_BYTES);
  let position = 0;
  for (const part of body) {
    tail.set(part, position);
    position += part.length;
  }
  const view = new DataView(tail.buffer);
  view.setUint32(position, bodyBytes);
  view.setUint16(position + 4, format.version);
  for (let index = 0; index < MAGIC_BYTES; index += 1) tail[position + 8 + index] = format.magic.charCodeAt(index);
  view.setUint32(position + 16, crc32c(tail.subarray(0, position + 16)));
  return tail;
}

/**
 * Where body and trailer lie, from the last bytes of an object.
 * @param tail at least {@link TRAILER_BYTES}, ending with the object
 * @param objectBytes size of the whole object
 * @throws FormatError if this is not the end of such an object
 */
export function decodeTrailer(format: TailFormat, tail: Uint8Array, objectBytes: number): TailRange {
  if (tail.length < TRAILER_BYTES || objectBytes < tail.length) {
    throw new FormatError(format.place, `an object of ${objectBytes} bytes ends in no trailer of ${TRAILER_BYTES}`);
  }
  const start = tail.length - TRAILER_BYTES;
  const view = new DataView(tail.buffer, tail.byteOffset + start, TRAILER_BYTES);
  for (let index = 0; index < MAGIC_BYTES; index += 1) {
    if (view.getUint8(8 + index) !== format.magic.charCodeAt(index)) {
      throw new FormatError(format.place, `the magic is not "${format.magic}" (at byte ${objectBytes - 12})`);
    }
  }
  const version = view.getUint16(4);
  if (version < 1 || version > format.version || view.getUint16(6) !== 0) {
    throw new FormatError(format.place, `format version ${version} is not one of 1 to ${format.version}`);
  }
  const length = view.getUint32(0) + TRAILER_BYTES;
  if (length > objectBytes) {
    throw new FormatError(format.place, `${length} bytes are announced in an object of ${objectBytes}`);
  }
  return { position: objectBytes - length, length };
}

/**
 * Checks `bytes` (exactly the range that {@link decodeTrailer} names) and opens the body.
 * @returns the version and a cursor over the body
 */
export function openTail(
  format: TailFormat,
  bytes: Uint8Array,
  objectBytes: number,
): { version: number; reader: Reader } {
  const range = decodeTrailer(format, bytes, objectBytes);
  if (range.length !== bytes.length) {
    throw new FormatError(format.place, `${bytes.length} bytes were read where the trailer announces ${range.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = crc32c(bytes.subarray(0, bytes.length - 4));
  const expected = view.getUint32(bytes.length - 4);
  if (found !== expected) throw new FormatError(format.place, `the checksum is ${found}, not ${expected}`);
  return { version: view.getUint16(bytes.length - 16), reader: new Reader(bytes, 0, bytes.length - TRAILER_BYTES) };
}

/** The refusal of bytes that follow the last field of `place`. */
export function requireEnd(reader: Reader, place: string): void {
  if (reader.remaining === 0) return;
  throw new FormatError(place, `${reader.remaining} bytes follow the last field (at byte ${reader.position})`);
}

/** A format's magic has eight characters: a fault of this room otherwise. */
export function tailFormat(format: TailFormat): TailFormat {
  invariant(format.magic.length === MAGIC_BYTES, `magic "${format.magic}" has not ${MAGIC_BYTES} characters`);
  return format;
}
