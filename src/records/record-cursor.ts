// Walks over the records of a batch of magic 2, uncompressed, without making anything: positions only. Refuses
// (DecodeError) a record whose parts do not fill exactly the length it announces.
import { DecodeError } from "../wire/decode-error.ts";
import { Reader } from "../wire/reader.ts";

/** Least bytes of a header: a key of no bytes and no value. */
const HEADER_BYTES_MIN = 2;

/** Stands on one record at a time; {@link RecordCursor.next} moves it. The fields are of the record it stands on. */
export class RecordCursor {
  /** The bytes that all positions count in. */
  bytes: Uint8Array;
  /** Index of the record in its batch, -1 before the first. */
  index = -1;
  /** To be added to the base timestamp of the batch. */
  timestampDelta = 0;
  /** To be added to the base offset of the batch. */
  offsetDelta = 0;
  /** Where the key begins; its length, -1 for null, is beside it. */
  keyStart = 0;
  keyLength = -1;
  /** Where the value begins; its length, -1 for null, is beside it. */
  valueStart = 0;
  valueLength = -1;
  /** Where the first header begins, and how many there are. */
  headersStart = 0;
  headerCount = 0;
  readonly #reader: Reader;

  /** Walks over `bytes` from `start` on, which must hold the records of one batch and nothing else. */
  constructor(bytes: Uint8Array, start = 0) {
    this.bytes = bytes;
    this.#reader = new Reader(bytes, start);
  }

  /** Walks over other bytes with the same object: cheaper than a new one for every batch. */
  reset(bytes: Uint8Array, start = 0): this {
    this.bytes = bytes;
    this.#reader.reset(bytes, start);
    this.index = -1;
    return this;
  }

  /** Whether no bytes follow the record it stands on. */
  get isAtEnd(): boolean {
    return this.#reader.remaining === 0;
  }

  /** Moves to the next record. Throws DecodeError if there is none or it is malformed. */
  next(): void {
    const reader = this.#reader;
    const length = reader.varint();
    const end = reader.position + length;
    if (length < 0 || length > reader.remaining) {
      throw new DecodeError(`a record of ${length} bytes is announced, ${reader.remaining} remain`, reader.position);
    }
    reader.int8(); // The attributes of a record have no bit in use.
    this.timestampDelta = reader.varlong();
    this.offsetDelta = reader.varint();
    this.keyLength = reader.varint();
    this.keyStart = reader.position;
    if (this.keyLength > 0) reader.skip(this.keyLength);
    this.valueLength = reader.varint();
    this.valueStart = reader.position;
    if (this.valueLength > 0) reader.skip(this.valueLength);
    this.#passHeaders(reader);
    if (reader.position !== end) {
      throw new DecodeError(`a record announced to end at byte ${end} ends at ${reader.position}`, reader.position);
    }
    this.index += 1;
  }

  /** The key as a view, null if there is none. */
  key(): Uint8Array | null {
    return this.#slice(this.keyStart, this.keyLength);
  }

  /** The value as a view, null if there is none. */
  value(): Uint8Array | null {
    return this.#slice(this.valueStart, this.valueLength);
  }

  #passHeaders(reader: Reader): void {
    const count = reader.varint();
    if (count < 0 || count * HEADER_BYTES_MIN > reader.remaining) {
      throw new DecodeError(`${count} headers are announced, ${reader.remaining} bytes remain`, reader.position);
    }
    this.headersStart = reader.position;
    this.headerCount = count;
    for (let left = count; left > 0; left -= 1) {
      reader.skip(reader.varint());
      const valueLength = reader.varint();
      if (valueLength > 0) reader.skip(valueLength);
    }
  }

  #slice(start: number, length: number): Uint8Array | null {
    return length < 0 ? null : this.bytes.subarray(start, start + length);
  }
}
