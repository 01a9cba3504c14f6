// Writes Kafka's encodings in one pass into a growing slab. Lengths that are known only afterwards are patched in, so
// there is no second pass over the message; byte fields of 4 KiB and more are kept by reference instead of copied.
// Refuses (EncodeError) every value that its type cannot carry: nothing is wrapped, truncated or rounded in silence.
import { EncodeError } from "./encode-error.ts";
import { STRING_BYTES_MAX } from "./reader.ts";
import { References } from "./references.ts";
import type { UnknownTag } from "./unknown-tag.ts";
import { UUID_BYTES } from "./uuid.ts";
import { putUvarint, putVarlong, uvarintSize, varlongSize, zigzag32 } from "./varint.ts";

/** Byte fields from this length on are handed out by reference; below it a copy costs less than one more part. */
export const REFERENCE_BYTES_MIN = 4096;
const SLAB_BYTES = 64 * 1024;
/** Record batches from this length on are referenced too where a copy would need a larger slab: fresh memory costs more. */
const BATCH_REFERENCE_BYTES_MIN = 512;
/** Room that copied batches leave at the end of the slab, for the fields between batches that follow by reference. */
const SLAB_HEADROOM_BYTES = 8 * 1024;
/** Longer strings are measured first; shorter ones are taken for ASCII until a character shows otherwise. */
const ASCII_ATTEMPT_CHARACTERS = 48;

/** Writes one message after the other. What {@link finish} returned is never written again. */
export class Writer {
  #slab: Buffer;
  /** Length of the slab; beside it because a field is read faster than a Buffer's length. */
  #slabBytes = SLAB_BYTES;
  #view: DataView;
  /** Where the present message starts in the slab. What lies before belongs to finished messages. */
  #start = 0;
  #position = 0;
  readonly #references = new References();

  constructor() {
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#view = new DataView(this.#slab.buffer);
  }

  /** Bytes of the message so far, references included. */
  get size(): number {
    return this.#position - this.#start + this.#references.bytesAfter(-1);
  }

  /** The message in order, as parts for one writev. Parts of 4 KiB and more may be the caller's own byte fields. */
  finish(): Uint8Array[] {
    const written = new Uint8Array(this.#slab.buffer, this.#start, this.#position - this.#start);
    const parts = this.#references.between(written);
    this.#start = this.#position;
    this.#references.clear();
    return parts;
  }

  /** Forgets the message begun, for instance after an EncodeError. */
  discard(): void {
    this.#position = this.#start;
    this.#references.clear();
  }

  /** A signed byte. */
  int8(value: number): void {
    if ((value << 24) >> 24 !== value) throw outOfRange(value, "int8");
    if (this.#position + 1 > this.#slabBytes) this.#grow(1);
    this.#view.setInt8(this.#position, value);
    this.#position += 1;
  }

  /** One byte, 0 or 1. */
  bool(value: boolean): void {
    this.int8(value ? 1 : 0);
  }

  /** A signed 16-bit integer. */
  int16(value: number): void {
    if ((value << 16) >> 16 !== value) throw outOfRange(value, "int16");
    if (this.#position + 2 > this.#slabBytes) this.#grow(2);
    this.#view.setInt16(this.#position, value);
    this.#position += 2;
  }

  /** An unsigned 16-bit integer. */
  uint16(value: number): void {
    if ((value & 0xffff) !== value) throw outOfRange(value, "uint16");
    if (this.#position + 2 > this.#slabBytes) this.#grow(2);
    this.#view.setUint16(this.#position, value);
    this.#position += 2;
  }

  /** A signed 32-bit integer. */
  int32(value: number): void {
    if ((value | 0) !== value) throw outOfRange(value, "int32");
    if (this.#position + 4 > this.#slabBytes) this.#grow(4);
    this.#view.setInt32(this.#position, value);
    this.#position += 4;
  }

  /** An unsigned 32-bit integer. */
  uint32(value: number): void {
    if (value >>> 0 !== value) throw outOfRange(value, "uint32");
    if (this.#position + 4 > this.#slabBytes) this.#grow(4);
    this.#view.setUint32(this.#position, value);
    this.#position += 4;
  }

  /** A signed 64-bit integer within the safe range of a number. */
  int64(value: number): void {
    if (!Number.isSafeInteger(value)) throw outOfRange(value, "the safe part of int64");
    if (this.#position + 8 > this.#slabBytes) this.#grow(8);
    this.#view.setInt32(this.#position, Math.floor(value / 0x1_0000_0000));
    this.#view.setInt32(this.#position + 4, value | 0);
    this.#position += 8;
  }

  /** A signed 64-bit integer of the generator's override table: the whole range. */
  int64Big(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw outOfRange(value, "int64");
    const position = this.#advance(8);
    this.#view.setBigInt64(position, value);
  }

  /** An IEEE 754 double. */
  float64(value: number): void {
    if (this.#position + 8 > this.#slabBytes) this.#grow(8);
    this.#view.setFloat64(this.#position, value);
    this.#position += 8;
  }

  /** A uuid from Kafka's text form. */
  uuid(text: string): void {
    const position = this.#advance(UUID_BYTES);
    if (text.length !== 22 || this.#slab.write(text, position, UUID_BYTES, "base64url") !== UUID_BYTES) {
      throw new EncodeError(`"${text}" is not a uuid in base64url (22 characters)`);
    }
  }

  /** An unsigned LEB128 of the 32-bit pattern of `value`. */
  uvarint(value: number): void {
    if (value >= 0 && value < 0x80) {
      if (this.#position + 1 > this.#slabBytes) this.#grow(1);
      this.#view.setInt8(this.#position, value);
      this.#position += 1;
      return;
    }
    const position = this.#advance(uvarintSize(value));
    putUvarint(this.#slab, position, value);
  }

  /** A zigzag int32, as in the fields of a record. */
  varint(value: number): void {
    if ((value | 0) !== value) throw outOfRange(value, "int32");
    this.uvarint(zigzag32(value));
  }

  /** A zigzag int64 within the safe range of a number. */
  varlong(value: number): void {
    const position = this.#advance(varlongSize(value));
    putVarlong(this.#slab, position, value);
  }

  /** A string with an int16 length. */
  string(text: string): void {
    const length = text.length;
    if (length <= ASCII_ATTEMPT_CHARACTERS && this.#ascii(text, length, 2)) {
      this.#view.setInt16(this.#position - length - 2, length);
      return;
    }
    const bytes = utf8Length(text);
    this.int16(bytes);
    this.#utf8(text, bytes);
  }

  /** A string with an int16 length, -1 for null. */
  nullableString(text: string | null): void {
    if (text === null) this.int16(-1);
    else this.string(text);
  }

  /** A string with a uvarint of its length + 1. */
  compactString(text: string): void {
    const length = text.length;
    if (length <= ASCII_ATTEMPT_CHARACTERS && this.#ascii(text, length, 1)) {
      this.#view.setInt8(this.#position - length - 1, length + 1);
      return;
    }
    const bytes = utf8Length(text);
    this.uvarint(bytes + 1);
    this.#utf8(text, bytes);
  }

  /** A string with a uvarint of its length + 1, 0 for null. */
  compactNullableString(text: string | null): void {
    if (text === null) this.uvarint(0);
    else this.compactString(text);
  }

  /** Bytes with an int32 length. */
  bytes(bytes: Uint8Array): void {
    this.int32(bytes.length);
    this.raw(bytes);
  }

  /** Bytes with an int32 length, -1 for null. */
  nullableBytes(bytes: Uint8Array | null): void {
    if (bytes === null) this.int32(-1);
    else this.bytes(bytes);
  }

  /** Bytes with a uvarint of their length + 1. */
  compactBytes(bytes: Uint8Array): void {
    this.uvarint(bytes.length + 1);
    this.raw(bytes);
  }

  /** Bytes with a uvarint of their length + 1, 0 for null. */
  compactNullableBytes(bytes: Uint8Array | null): void {
    if (bytes === null) this.uvarint(0);
    else this.compactBytes(bytes);
  }

  /** Record batches in order with one int32 length, -1 for null. Leave their bytes as they are until they are sent. */
  records(batches: readonly Uint8Array[] | null): void {
    this.int32(batches === null ? -1 : totalBytes(batches));
    if (batches !== null) for (const batch of batches) this.#batch(batch);
  }

  /** Record batches in order with one uvarint of length + 1, 0 for null; kept as by {@link records}. */
  compactRecords(batches: readonly Uint8Array[] | null): void {
    this.uvarint(batches === null ? 0 : totalBytes(batches) + 1);
    if (batches !== null) for (const batch of batches) this.#batch(batch);
  }

  /** Count of an array as an int32; -1 for null. */
  arrayCount(count: number): void {
    this.int32(count);
  }

  /** Count of an array as a uvarint of count + 1; -1 for null. */
  compactArrayCount(count: number): void {
    this.uvarint(count + 1);
  }

  /** Bytes without a length. From 4 KiB on they are referenced: leave them as they are until the message is sent. */
  raw(bytes: Uint8Array): void {
    if (bytes.length >= REFERENCE_BYTES_MIN) {
      this.#refer(bytes);
    } else if (bytes.length > 0) {
      const position = this.#advance(bytes.length);
      this.#slab.set(bytes, position);
    }
  }

  /** Leaves room for an int32 that is not known yet; returns the mark for {@link patchInt32}. */
  reserveInt32(): number {
    return this.#advance(4) - this.#start;
  }

  /** Fills the room of a mark. */
  patchInt32(mark: number, value: number): void {
    if ((value | 0) !== value) throw outOfRange(value, "int32");
    this.#view.setInt32(this.#start + mark, value);
  }

  /** A tag section of which no field is known: only what was kept from a decoded message. */
  unknownTags(tags: readonly UnknownTag[] | null): void {
    if (tags === null) {
      this.int8(0);
      return;
    }
    this.tagCount(0, tags);
    this.unknownTagsFrom(tags, 0);
  }

  /** Opens a tag section with `known` fields beside the unknown ones. Refuses unknown ones that are not ascending. */
  tagCount(known: number, unknown: readonly UnknownTag[] | null): void {
    this.uvarint(known + (unknown === null ? 0 : unknown.length));
    if (unknown === null) return;
    let last = -1;
    for (const { tag } of unknown) {
      if (tag <= last) throw new EncodeError(`unknown tag ${tag} follows ${last}: tags are unique and ascending`);
      last = tag;
    }
  }

  /** Writes the unknown tags from `index` on that come before the known `tag`; returns the index of the next one. */
  unknownTagsBelow(tags: readonly UnknownTag[] | null, index: number, tag: number): number {
    let next = index;
    for (let unknown = tags?.[next]; unknown !== undefined && unknown.tag <= tag; unknown = tags?.[next]) {
      if (unknown.tag === tag) throw new EncodeError(`tag ${tag} is both a known field and kept as unknown`);
      this.#unknownTag(unknown);
      next += 1;
    }
    return next;
  }

  /** Writes the unknown tags from `index` to the last. */
  unknownTagsFrom(tags: readonly UnknownTag[] | null, index: number): void {
    if (tags === null) return;
    for (const unknown of index === 0 ? tags : tags.slice(index)) this.#unknownTag(unknown);
  }

  /** Begins a known tagged field; returns the mark for {@link closeTag}. */
  openTag(tag: number): number {
    this.uvarint(tag);
    return this.#advance(1) - this.#start;
  }

  /** Ends a tagged field: its size is put before the payload, which moves if the size takes more than one byte. */
  closeTag(mark: number): void {
    const start = this.#start + mark + 1;
    const payloadBytes = this.#position - start + this.#references.bytesAfter(mark);
    const shift = uvarintSize(payloadBytes) - 1;
    if (shift > 0) this.#shiftPayload(mark, shift);
    putUvarint(this.#slab, this.#start + mark, payloadBytes);
  }

  #batch(bytes: Uint8Array): void {
    const isPastSlab = this.#position + bytes.length > this.#slabBytes - SLAB_HEADROOM_BYTES;
    if (isPastSlab && bytes.length >= BATCH_REFERENCE_BYTES_MIN) this.#refer(bytes);
    else this.raw(bytes);
  }

  #refer(bytes: Uint8Array): void {
    this.#references.add(this.#position - this.#start, bytes);
  }

  #unknownTag(unknown: UnknownTag): void {
    this.uvarint(unknown.tag);
    this.uvarint(unknown.bytes.length);
    this.raw(unknown.bytes);
  }

  #shiftPayload(mark: number, shift: number): void {
    const end = this.#advance(shift);
    const start = this.#start + mark + 1;
    this.#slab.copyWithin(start + shift, start, end);
    this.#references.moveAfter(mark, shift);
  }

  /** Writes `text` behind `lengthBytes` still to be filled; false, with nothing written, if it is not ASCII. */
  #ascii(text: string, length: number, lengthBytes: number): boolean {
    const start = this.#advance(length + lengthBytes);
    const slab = this.#slab;
    const first = start + lengthBytes;
    for (let index = 0; index < length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) {
        this.#position = start;
        return false;
      }
      slab[first + index] = code;
    }
    return true;
  }

  #utf8(text: string, bytes: number): void {
    const position = this.#advance(bytes);
    if (bytes === text.length) this.#slab.write(text, position, bytes, "latin1");
    else this.#slab.write(text, position, bytes, "utf8");
  }

  /**
   * The position before `length` further bytes, for which there is room then. Call it before `#view` or `#slab` is
   * named: both may be new afterwards.
   */
  #advance(length: number): number {
    if (this.#position + length > this.#slabBytes) this.#grow(length);
    const position = this.#position;
    this.#position = position + length;
    return position;
  }

  /** Moves the message begun to a new slab; the old one lives on in the parts of finished messages. */
  #grow(length: number): void {
    const written = this.#position - this.#start;
    const slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, 2 * (written + length)));
    this.#slab.copy(slab, 0, this.#start, this.#position);
    this.#slab = slab;
    this.#slabBytes = slab.length;
    this.#view = new DataView(slab.buffer);
    this.#start = 0;
    this.#position = written;
  }
}

function utf8Length(text: string): number {
  const bytes = Buffer.byteLength(text, "utf8");
  if (bytes > STRING_BYTES_MAX) throw new EncodeError(`a string has ${bytes} bytes, more than ${STRING_BYTES_MAX}`);
  return bytes;
}

function totalBytes(batches: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const batch of batches) bytes += batch.length;
  return bytes;
}

function outOfRange(value: number | bigint, type: string): EncodeError {
  return new EncodeError(`${value} does not fit ${type}`);
}
