// The few field encodings that WAL objects and checkpoints share. All are total over the values they accept, so that no
// record a client may send can make a flush impossible to write.
import { DecodeError } from "../wire/decode-error.ts";
import { EncodeError } from "../wire/encode-error.ts";
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";

/** Stands for "an absolute value follows": no distance between two timestamps is written as this one. */
const ABSOLUTE = Number.MIN_SAFE_INTEGER;

/** Bytes of a session id; its text has twice as many hex digits. */
export const SESSION_ID_BYTES = 12;

/** Writes `value` (a safe integer) as its distance from `from`, or whole where that distance is no safe integer. */
export function writeDistance(writer: Writer, from: number, value: number): void {
  const distance = value - from;
  if (Number.isSafeInteger(distance) && distance !== ABSOLUTE) {
    writer.varlong(distance);
    return;
  }
  writer.varlong(ABSOLUTE);
  writer.varlong(value);
}

/** Reads what {@link writeDistance} wrote. */
export function readDistance(reader: Reader, from: number): number {
  const start = reader.position;
  const distance = reader.varlong();
  const value = distance === ABSOLUTE ? reader.varlong() : from + distance;
  if (!Number.isSafeInteger(value)) throw new DecodeError("a distance leads outside the safe range", start);
  return value;
}

/** Writes an int31: a length, position, count, index or epoch. */
export function writeSize(writer: Writer, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0x7fff_ffff) {
    throw new EncodeError(`${value} is not an integer from 0 to 2^31 - 1`);
  }
  writer.uvarint(value);
}

/** Reads an int31. */
export function readSize(reader: Reader): number {
  const start = reader.position;
  const value = reader.uvarint();
  if (value < 0) throw new DecodeError("a length, count or epoch is 2^31 or more", start);
  return value;
}

/** Reads a count of elements of at least `minElementBytes` (1 and up) each, refused where they cannot fit. */
export function readCount(reader: Reader, minElementBytes: number): number {
  const start = reader.position;
  const count = readSize(reader);
  if (count * minElementBytes > reader.remaining) {
    throw new DecodeError(`${count} elements are announced, ${reader.remaining} bytes remain`, start);
  }
  return count;
}

/** Reads a count and that many elements. */
export function readList<T>(reader: Reader, minElementBytes: number, readElement: (reader: Reader) => T): T[] {
  const count = readCount(reader, minElementBytes);
  const list: T[] = [];
  for (let index = 0; index < count; index += 1) list.push(readElement(reader));
  return list;
}

/** Writes a count and the elements. */
export function writeList<T>(writer: Writer, list: readonly T[], writeElement: (element: T) => void): void {
  writeSize(writer, list.length);
  for (const element of list) writeElement(element);
}

/** Reads an offset, a flush number or another int64 that is never negative. */
export function readNatural(reader: Reader): number {
  const start = reader.position;
  const value = reader.varlong();
  if (value < 0) throw new DecodeError(`${value} is negative where it may not be`, start);
  return value;
}

/** Writes the 12 bytes of a session id. */
export function writeSessionId(writer: Writer, sessionId: string): void {
  const bytes = Buffer.from(sessionId, "hex");
  if (bytes.length !== SESSION_ID_BYTES) throw new EncodeError(`"${sessionId}" is not a session id`);
  writer.raw(bytes);
}

/** Reads the 12 bytes of a session id as 24 hex digits. */
export function readSessionId(reader: Reader): string {
  return Buffer.from(reader.take(SESSION_ID_BYTES)).toString("hex");
}
