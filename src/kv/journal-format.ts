// The bytes of the journal, format version 1: a header, the state as of its beginning, then one frame per group commit.
// Each frame carries a CRC-32C. A damaged frame is taken for a torn tail only where no valid frame follows it, because
// a frame is written only after the one before it is durable; anything else is refused with its position.
//
//   header    "KFSJRNL\n"  uint16 version  uint16 0  uint32 CRC-32C of the 12 bytes before
//   frame     uint32 mark  uint32 length  uint32 CRC-32C of length and payload  payload
//   payload   int8 kind: 1 entries of the state, 2 end of the state, 3 changes
import { invariant } from "../invariant.ts";
import { crc32c } from "../wire/crc32c.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { Reader } from "../wire/reader.ts";
import { Writer } from "../wire/writer.ts";
import type { KeyValue, LeaseId, Revision, WatchBatch } from "./key-value-store.ts";

/** The version that is written, and the only one that is read. */
export const JOURNAL_VERSION = 1;

const MAGIC = new TextEncoder().encode("KFSJRNL\n");
const HEADER_BYTES = 16;
const FRAME_HEADER_BYTES = 12;
const FRAME_MARK = Uint8Array.of(0xf7, 0xa3, 0xe5, 0x1d);
/** Entries of one frame of the state stay about this small, so that no frame needs a huge buffer. */
const STATE_FRAME_BYTES = 1024 * 1024;
/** Fewest bytes of an entry and of a change, for counts that are announced. */
const ENTRY_BYTES_MIN = 2 + 1 + 8 + 8 + 4;
const EVENT_BYTES_MIN = 3;
const CHANGE_BYTES_MIN = 12;

const Kind = { ENTRIES: 1, STATE_END: 2, CHANGES: 3 } as const;
const EventKind = { DELETE: 0, PUT: 1, PUT_UNDER_LEASE: 2 } as const;

/** A lease as a journal knows it: that there was one. It does not survive. */
const SOME_LEASE: LeaseId = "0";

/** A journal that cannot be opened. The message says where, and what was found there. */
export class JournalError extends Error {
  override readonly name = "JournalError";
}

/** What a journal holds. */
export interface JournalState {
  readonly revision: Revision;
  /** In no order. What was under a lease has some lease here. */
  readonly entries: readonly KeyValue[];
  /** Bytes at the end that a crash left unfinished. */
  readonly tornBytes: number;
}

/** A whole new journal: header and state. */
export function encodeJournal(revision: Revision, entries: readonly KeyValue[]): Uint8Array[] {
  const parts = [encodeHeader()];
  let frame: KeyValue[] = [];
  let bytes = 0;
  for (const entry of entries) {
    frame.push(entry);
    bytes += entry.value.byteLength + entry.key.length + ENTRY_BYTES_MIN;
    if (bytes < STATE_FRAME_BYTES) continue;
    parts.push(...encodeEntries(frame));
    frame = [];
    bytes = 0;
  }
  if (frame.length > 0) parts.push(...encodeEntries(frame));
  const writer = new Writer();
  writer.int8(Kind.STATE_END);
  writer.int64(revision);
  writer.int32(entries.length);
  return [...parts, ...framed(writer.finish())];
}

/** The frame of one group commit. `changes` follow one another without a gap. */
export function encodeChanges(changes: readonly WatchBatch[]): Uint8Array[] {
  const writer = new Writer();
  writer.int8(Kind.CHANGES);
  writer.int32(changes.length);
  for (const change of changes) {
    writer.int64(change.revision);
    writer.int32(change.events.length);
    for (const event of change.events) {
      if (event.type === "delete") {
        writer.int8(EventKind.DELETE);
        writer.string(event.key);
      } else {
        writer.int8(event.entry.lease === undefined ? EventKind.PUT : EventKind.PUT_UNDER_LEASE);
        writer.string(event.entry.key);
        writer.bytes(event.entry.value);
      }
    }
  }
  return framed(writer.finish());
}

/** Reads a journal. @throws JournalError naming `path`, the position and what is wrong there */
export function decodeJournal(path: string, bytes: Uint8Array): JournalState {
  checkHeader(path, bytes);
  const replay = new Replay();
  let position = HEADER_BYTES;
  while (position < bytes.byteLength) {
    const payload = payloadAt(bytes, position);
    if (!payload) break;
    try {
      replay.apply(payload);
    } catch (error) {
      if (!(error instanceof DecodeError) && !(error instanceof JournalError)) throw error;
      throw new JournalError(`${path} makes no sense at byte ${position}: ${error.message}`, { cause: error });
    }
    position += FRAME_HEADER_BYTES + payload.byteLength;
  }
  const next = nextFrame(bytes, position + 1);
  if (next !== undefined) {
    throw new JournalError(`${path} is damaged at byte ${position}, and what follows at byte ${next} is not`);
  }
  if (!replay.isStateComplete)
    throw new JournalError(`${path} is damaged at byte ${position}, inside its initial state`);
  return { revision: replay.revision, entries: [...replay.entries.values()], tornBytes: bytes.byteLength - position };
}

/** State that frames are applied to. */
class Replay {
  readonly entries = new Map<string, KeyValue>();
  revision: Revision = 0;
  isStateComplete = false;

  apply(payload: Uint8Array): void {
    const reader = new Reader(payload);
    const kind = reader.int8();
    if (kind === Kind.ENTRIES && !this.isStateComplete) this.#applyEntries(reader);
    else if (kind === Kind.STATE_END && !this.isStateComplete) this.#applyStateEnd(reader);
    else if (kind === Kind.CHANGES && this.isStateComplete) this.#applyChanges(reader);
    else throw new JournalError(`a frame of kind ${kind} is out of place`);
    if (reader.remaining > 0) throw new JournalError(`a frame of kind ${kind} has ${reader.remaining} bytes too many`);
  }

  #applyEntries(reader: Reader): void {
    const count = reader.arrayCount(ENTRY_BYTES_MIN);
    for (let index = 0; index < count; index++) {
      const key = reader.string();
      const isLeased = reader.bool();
      const createRevision = reader.int64();
      const modRevision = reader.int64();
      const value = reader.bytes().slice();
      this.entries.set(key, { key, value, createRevision, modRevision, ...(isLeased ? { lease: SOME_LEASE } : {}) });
    }
  }

  #applyStateEnd(reader: Reader): void {
    this.revision = reader.int64();
    const count = reader.int32();
    if (count !== this.entries.size) throw new JournalError(`${count} entries announced, ${this.entries.size} found`);
    this.isStateComplete = true;
  }

  #applyChanges(reader: Reader): void {
    const count = reader.arrayCount(CHANGE_BYTES_MIN);
    for (let index = 0; index < count; index++) {
      const revision = reader.int64();
      if (revision !== this.revision + 1) throw new JournalError(`revision ${revision} follows ${this.revision}`);
      this.revision = revision;
      const eventCount = reader.arrayCount(EVENT_BYTES_MIN);
      for (let event = 0; event < eventCount; event++) this.#applyEvent(reader);
    }
  }

  #applyEvent(reader: Reader): void {
    const kind = reader.int8();
    const key = reader.string();
    if (kind === EventKind.DELETE) {
      this.entries.delete(key);
      return;
    }
    if (kind !== EventKind.PUT && kind !== EventKind.PUT_UNDER_LEASE)
      throw new JournalError(`an event of kind ${kind}`);
    this.entries.set(key, {
      key,
      value: reader.bytes().slice(),
      createRevision: this.entries.get(key)?.createRevision ?? this.revision,
      modRevision: this.revision,
      ...(kind === EventKind.PUT_UNDER_LEASE ? { lease: SOME_LEASE } : {}),
    });
  }
}

function encodeHeader(): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  header.set(MAGIC);
  const view = new DataView(header.buffer);
  view.setUint16(MAGIC.byteLength, JOURNAL_VERSION);
  view.setUint32(HEADER_BYTES - 4, crc32c(header.subarray(0, HEADER_BYTES - 4)));
  return header;
}

function encodeEntries(entries: readonly KeyValue[]): Uint8Array[] {
  const writer = new Writer();
  writer.int8(Kind.ENTRIES);
  writer.int32(entries.length);
  for (const entry of entries) {
    writer.string(entry.key);
    writer.bool(entry.lease !== undefined);
    writer.int64(entry.createRevision);
    writer.int64(entry.modRevision);
    writer.bytes(entry.value);
  }
  return framed(writer.finish());
}

function framed(payload: readonly Uint8Array[]): Uint8Array[] {
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  const view = new DataView(header.buffer);
  const length = payload.reduce((sum, part) => sum + part.byteLength, 0);
  invariant(length > 0 && length < 2 ** 31, `a frame of ${length} bytes`);
  header.set(FRAME_MARK);
  view.setUint32(4, length);
  view.setUint32(
    8,
    payload.reduce((crc, part) => crc32c(part, crc), crc32c(header.subarray(4, 8))),
  );
  return [header, ...payload];
}

function checkHeader(path: string, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isComplete =
    bytes.byteLength >= HEADER_BYTES && Buffer.compare(bytes.subarray(0, MAGIC.byteLength), MAGIC) === 0;
  if (!isComplete || view.getUint32(HEADER_BYTES - 4) !== crc32c(bytes.subarray(0, HEADER_BYTES - 4))) {
    throw new JournalError(`${path} does not begin as a journal does: it is another file, or damaged at byte 0`);
  }
  const version = view.getUint16(MAGIC.byteLength);
  if (version !== JOURNAL_VERSION) {
    throw new JournalError(`${path} has format version ${version}; this program reads version ${JOURNAL_VERSION} only`);
  }
}

/** The payload of the frame at `position`, or nothing if there is no valid one. */
function payloadAt(bytes: Uint8Array, position: number): Uint8Array | undefined {
  const start = position + FRAME_HEADER_BYTES;
  if (start > bytes.byteLength) return undefined;
  if (Buffer.compare(bytes.subarray(position, position + FRAME_MARK.byteLength), FRAME_MARK) !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + position, FRAME_HEADER_BYTES);
  const length = view.getUint32(4);
  if (length === 0 || length > bytes.byteLength - start) return undefined;
  const payload = bytes.subarray(start, start + length);
  const crc = crc32c(payload, crc32c(bytes.subarray(position + 4, position + 8)));
  return crc === view.getUint32(8) ? payload : undefined;
}

/** Where the first valid frame at or after `from` begins, if there is one. */
function nextFrame(bytes: Uint8Array, from: number): number | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = buffer.indexOf(FRAME_MARK, from); at >= 0; at = buffer.indexOf(FRAME_MARK, at + 1)) {
    if (payloadAt(bytes, at)) return at;
  }
  return undefined;
}
