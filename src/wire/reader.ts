// A cursor over bytes in Kafka's encodings (big-endian; LEB128 lengths in flexible versions). Every read is checked
// against `end`, and every announced length or count against what remains before anything is allocated for it.
// Byte fields are views into the array that is read: valid as long as it lives, copied by whoever keeps them.
// Array elements are counted over a whole message, because a small one costs two bytes on the wire and a hundred here.
import { DecodeError } from "./decode-error.ts";
import { int64FromHalves, isSafeInt64, unsafeInt64 } from "./int64.ts";
import { CACHED_STRING_BYTES_MAX, decodeUtf8, StringCache } from "./string-cache.ts";
import { UNKNOWN_TAG_BYTES_MAX, UNKNOWN_TAGS_MAX, type UnknownTag } from "./unknown-tag.ts";
import { UUID_BYTES, uuidFromBytes } from "./uuid.ts";
import { unzigzag32, VARINT_BYTES_MAX, VARLONG_BYTES_MAX } from "./varint.ts";

/** Longest string in bytes, in both forms of the length (Kafka refuses more). */
export const STRING_BYTES_MAX = 0x7fff;

// One for the process: names are the same on every connection, and its content cannot change what is decoded.
const strings = new StringCache();

// The reads of fixed size spell out their check instead of calling a private method: on the supported versions of Node
// that makes whole messages a fifth faster (bench/codecs.ts).

/** Reads Kafka's primitive types in order. Throws DecodeError on the first byte that breaks the format. */
export class Reader {
  /** Index of the next byte, in the array given to the constructor. */
  position: number;
  #end: number;
  #bytes: Uint8Array;
  /** Memory and place of `#bytes`, beside it because asking an array for them costs more than making a view. */
  #buffer: ArrayBufferLike;
  #byteOffset: number;
  #view: DataView;
  /** Most array elements and unknown tagged fields of one message; whoever reads a stranger's messages lowers it. */
  elementsMax = 0x7fff_ffff;
  /** Array elements and unknown tagged fields since the last reset. */
  #elementCount = 0;

  /** Reads `bytes[start, end)`. Nothing outside is ever touched. */
  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#buffer = bytes.buffer;
    this.#byteOffset = bytes.byteOffset;
    this.#view = new DataView(this.#buffer, this.#byteOffset, bytes.length);
    this.position = start;
    this.#end = end;
    this.#checkBounds();
  }

  /** Reads other bytes with the same object: cheaper than a new one for every frame. */
  reset(bytes: Uint8Array, start = 0, end = bytes.length): this {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#buffer = bytes.buffer;
      this.#byteOffset = bytes.byteOffset;
      this.#view = new DataView(this.#buffer, this.#byteOffset, bytes.length);
    }
    this.position = start;
    this.#end = end;
    this.#elementCount = 0;
    this.#checkBounds();
    return this;
  }

  /** Index after the last byte that may be read. */
  get end(): number {
    return this.#end;
  }

  /** Bytes from the position to the end. */
  get remaining(): number {
    return this.#end - this.position;
  }

  /** A signed byte. */
  int8(): number {
    const position = this.position;
    if (position + 1 > this.#end) throw tooShort(1, this);
    this.position = position + 1;
    return this.#view.getInt8(position);
  }

  /** A byte; anything but 0 is true. */
  bool(): boolean {
    return this.int8() !== 0;
  }

  /** A signed 16-bit integer. */
  int16(): number {
    const position = this.position;
    if (position + 2 > this.#end) throw tooShort(2, this);
    this.position = position + 2;
    return this.#view.getInt16(position);
  }

  /** An unsigned 16-bit integer. */
  uint16(): number {
    const position = this.position;
    if (position + 2 > this.#end) throw tooShort(2, this);
    this.position = position + 2;
    return this.#view.getUint16(position);
  }

  /** A signed 32-bit integer. */
  int32(): number {
    const position = this.position;
    if (position + 4 > this.#end) throw tooShort(4, this);
    this.position = position + 4;
    return this.#view.getInt32(position);
  }

  /** An unsigned 32-bit integer. */
  uint32(): number {
    const position = this.position;
    if (position + 4 > this.#end) throw tooShort(4, this);
    this.position = position + 4;
    return this.#view.getUint32(position);
  }

  /** A signed 64-bit integer as a number. Refuses what lies outside the safe range. */
  int64(): number {
    const position = this.position;
    if (position + 8 > this.#end) throw tooShort(8, this);
    this.position = position + 8;
    const value = int64FromHalves(this.#view.getInt32(position), this.#view.getUint32(position + 4));
    if (!isSafeInt64(value)) throw unsafeInt64(this.#view.getBigInt64(position), position);
    return value;
  }

  /** A signed 64-bit integer of the generator's override table: the whole range. */
  int64Big(): bigint {
    return this.#view.getBigInt64(this.#advance(8));
  }

  /** An IEEE 754 double. */
  float64(): number {
    const position = this.position;
    if (position + 8 > this.#end) throw tooShort(8, this);
    this.position = position + 8;
    return this.#view.getFloat64(position);
  }

  /** A uuid in Kafka's text form, 22 characters of base64url. */
  uuid(): string {
    return uuidFromBytes(this.#bytes, this.#advance(UUID_BYTES));
  }

  /** An unsigned LEB128 of at most five bytes, as a 32-bit pattern: like Kafka's, it is negative past 2^31. */
  uvarint(): number {
    const position = this.position;
    if (position < this.#end) {
      // Most lengths, counts and tags are below 128.
      const first = this.#view.getInt8(position);
      if (first >= 0) {
        this.position = position + 1;
        return first;
      }
    }
    return this.#longUvarint();
  }

  /** A zigzag int32, as in the fields of a record. */
  varint(): number {
    return unzigzag32(this.uvarint());
  }

  /** A zigzag int64 as a number. Refuses what lies outside the safe range. */
  varlong(): number {
    const start = this.position;
    let low = 0;
    let high = 0;
    for (let index = 0; index < VARLONG_BYTES_MAX; index += 1) {
      const byte = this.#view.getUint8(this.#advance(1));
      const bits = byte & 0x7f;
      const shift = index * 7;
      if (shift < 32) low |= bits << shift;
      if (shift > 25) high |= shift < 32 ? bits >>> (32 - shift) : bits << (shift - 32);
      if (byte < 0x80) return this.#unzigzag64(high, low, start);
    }
    throw new DecodeError(`a varlong has more than ${VARLONG_BYTES_MAX} bytes`, start);
  }

  /** A string with an int16 length. Refuses null. */
  string(): string {
    return this.#text(this.int16(), 2);
  }

  /** A string with an int16 length, null if it is negative. */
  nullableString(): string | null {
    const length = this.int16();
    return length < 0 ? null : this.#text(length, 2);
  }

  /** A string with a uvarint of its length + 1. Refuses null. */
  compactString(): string {
    return this.#text((this.uvarint() - 1) | 0, 1);
  }

  /** A string with a uvarint of its length + 1, null if that is 0. */
  compactNullableString(): string | null {
    const length = (this.uvarint() - 1) | 0;
    return length < 0 ? null : this.#text(length, 1);
  }

  /** Bytes with an int32 length, as a view. Refuses null. */
  bytes(): Uint8Array {
    return this.#view8(this.int32());
  }

  /** Bytes with an int32 length, as a view; null if it is negative. */
  nullableBytes(): Uint8Array | null {
    const length = this.int32();
    return length < 0 ? null : this.#view8(length);
  }

  /** Bytes with a uvarint of their length + 1, as a view. Refuses null. */
  compactBytes(): Uint8Array {
    return this.#view8((this.uvarint() - 1) | 0);
  }

  /** Bytes with a uvarint of their length + 1, as a view; null if that is 0. */
  compactNullableBytes(): Uint8Array | null {
    const length = (this.uvarint() - 1) | 0;
    return length < 0 ? null : this.#view8(length);
  }

  /** Record batches with an int32 length: one view, none if empty, null if negative. */
  records(): readonly Uint8Array[] | null {
    return this.#batches(this.int32());
  }

  /** Record batches with a uvarint of their length + 1: one view, none if empty, null if that is 0. */
  compactRecords(): readonly Uint8Array[] | null {
    return this.#batches((this.uvarint() - 1) | 0);
  }

  /**
   * Count of an array with an int32 count; -1 for null.
   * @param minElementBytes least bytes an element takes, at least 1; more elements than fit in the rest are refused
   */
  arrayCount(minElementBytes: number): number {
    return this.#checkCount(this.int32(), minElementBytes);
  }

  /** Count of an array with a uvarint of count + 1; -1 for null. Refuses as {@link arrayCount}. */
  compactArrayCount(minElementBytes: number): number {
    return this.#checkCount((this.uvarint() - 1) | 0, minElementBytes);
  }

  /** The refusal of a null where this version has none. */
  unexpectedNull(field: string): DecodeError {
    return new DecodeError(`${field} is null, but is not nullable in this version`, this.position);
  }

  /** The refusal of a tagged field that the schema has only in other versions. */
  foreignTag(struct: string, tag: number): DecodeError {
    return new DecodeError(`tag ${tag} of ${struct} does not exist in this version`, this.position);
  }

  /** Passes over a tag section of which no field is known, keeping what is in it; null if nothing is. */
  unknownTags(): readonly UnknownTag[] | null {
    let tags: UnknownTag[] | null = null;
    for (let count = this.uvarint(); count > 0; count -= 1) tags = this.unknownTag(this.uvarint(), tags);
    return tags;
  }

  /** Reads size and payload of an unknown tagged field and adds it to those of its structure. */
  unknownTag(tag: number, tags: UnknownTag[] | null): UnknownTag[] {
    const start = this.position;
    const bytes = this.#view8(this.uvarint());
    const list = tags ?? [];
    let total = bytes.length;
    for (const known of list) total += known.bytes.length;
    if (list.length >= UNKNOWN_TAGS_MAX || total > UNKNOWN_TAG_BYTES_MAX) {
      throw new DecodeError(
        `more than ${UNKNOWN_TAGS_MAX} unknown tags or ${UNKNOWN_TAG_BYTES_MAX} bytes of them`,
        start,
      );
    }
    this.#countElements(1);
    list.push({ tag, bytes });
    return list;
  }

  /** The next `length` bytes as a view. */
  take(length: number): Uint8Array {
    return this.#view8(length);
  }

  /** Passes over `length` bytes. */
  skip(length: number): void {
    if (length < 0) throw new DecodeError(`a length of ${length} is negative`, this.position);
    this.#advance(length);
  }

  #checkBounds(): void {
    if (this.position < 0 || this.position > this.#end || this.#end > this.#bytes.length) {
      throw new DecodeError(`[${this.position}, ${this.#end}) is not within ${this.#bytes.length} bytes`, 0);
    }
  }

  /** The position before `length` further bytes, which are then passed. */
  #advance(length: number): number {
    const position = this.position;
    if (length > this.#end - position) throw tooShort(length, this);
    this.position = position + length;
    return position;
  }

  #longUvarint(): number {
    const start = this.position;
    let value = 0;
    for (let index = 0; index < VARINT_BYTES_MAX; index += 1) {
      const byte = this.#view.getUint8(this.#advance(1));
      value |= (byte & 0x7f) << (index * 7);
      if (byte < 0x80) return value;
    }
    throw new DecodeError(`a varint has more than ${VARINT_BYTES_MAX} bytes`, start);
  }

  #unzigzag64(high: number, low: number, position: number): number {
    const sign = -(low & 1);
    const value = int64FromHalves((high >>> 1) ^ sign, (((low >>> 1) | (high << 31)) ^ sign) >>> 0);
    if (isSafeInt64(value)) return value;
    throw new DecodeError("a varlong is outside the safe range of a number", position);
  }

  #text(length: number, lengthBytes: number): string {
    if (length < 0) throw new DecodeError("a string is null where this version has none", this.position - lengthBytes);
    if (length > STRING_BYTES_MAX) {
      throw new DecodeError(`a string has ${length} bytes, more than ${STRING_BYTES_MAX}`, this.position - lengthBytes);
    }
    const start = this.#advance(length);
    if (length > CACHED_STRING_BYTES_MAX) return decodeUtf8(this.#bytes, start, start + length);
    return length === 0 ? "" : strings.text(this.#bytes, start, start + length);
  }

  /** An empty field gives no view: making one costs as much as reading ten integers. */
  #batches(length: number): readonly Uint8Array[] | null {
    if (length <= 0) return length < 0 ? null : [];
    return [this.#view8(length)];
  }

  #view8(length: number): Uint8Array {
    if (length < 0) throw new DecodeError("bytes are null or of negative length where neither may be", this.position);
    const start = this.#advance(length);
    return new Uint8Array(this.#buffer, this.#byteOffset + start, length);
  }

  #checkCount(count: number, minElementBytes: number): number {
    if (count < 0) return -1;
    if (count * minElementBytes > this.#end - this.position) {
      throw new DecodeError(`${count} elements are announced, ${this.remaining} bytes remain`, this.position);
    }
    this.#countElements(count);
    return count;
  }

  #countElements(count: number): void {
    this.#elementCount += count;
    if (this.#elementCount <= this.elementsMax) return;
    throw new DecodeError(`the message has more than ${this.elementsMax} elements`, this.position);
  }
}

function tooShort(length: number, reader: Reader): DecodeError {
  return new DecodeError(`${length} bytes are announced or needed, ${reader.remaining} remain`, reader.position);
}
