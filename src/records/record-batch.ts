// A record batch of magic 2 where it lies: getters over the bytes, nothing copied, nothing decoded in advance.
// The constructor refuses what is too short to have these fields; what the fields say is judged by validate.ts.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";
import type { Offset, TimestampMs } from "../topic-partition.ts";
import { int16At, int32At, int64At } from "../wire/big-endian.ts";
import { crc32c } from "../wire/crc32c.ts";
import { isSafeInt64 } from "../wire/int64.ts";

/** Bytes of base offset and length, which the length itself does not count. The same in every magic. */
export const BATCH_OVERHEAD_BYTES = 12;
/** Bytes before the first record of a batch of magic 2. */
export const BATCH_HEADER_BYTES = 61;
/** The magic byte of the batches kept in the log. */
export const BATCH_MAGIC = 2;
/** Most records a batch may have: bounds the time of one pass over it. */
export const BATCH_RECORDS_MAX = 1_000_000;
/** What stands in producerId, producerEpoch and baseSequence of a batch without an idempotent producer. */
export const NO_PRODUCER = -1;
/** The timestamp of a record that has none. */
export const NO_TIMESTAMP = -1;

/** Positions of the header fields, from the first byte of the batch. */
export const BatchField = {
  BASE_OFFSET: 0,
  LENGTH: 8,
  LEADER_EPOCH: 12,
  MAGIC: 16,
  CRC: 17,
  ATTRIBUTES: 21,
  LAST_OFFSET_DELTA: 23,
  BASE_TIMESTAMP: 27,
  MAX_TIMESTAMP: 35,
  PRODUCER_ID: 43,
  PRODUCER_EPOCH: 51,
  BASE_SEQUENCE: 53,
  RECORD_COUNT: 57,
} as const;

/** Bits of the attributes of a batch. */
export const BatchAttribute = {
  COMPRESSION_MASK: 0x07,
  LOG_APPEND_TIME: 0x08,
  TRANSACTIONAL: 0x10,
  CONTROL: 0x20,
  DELETE_HORIZON: 0x40,
} as const;

/** Who set the timestamps: the producer, or the broker when it appended. */
export type TimestampType = "CreateTime" | "LogAppendTime";

/** One batch of magic 2 over bytes that belong to somebody else. Valid as long as they live unchanged. */
export class RecordBatchView {
  /** The batch, no byte more. */
  readonly bytes: Uint8Array;

  /**
   * The batch that begins at `start`. Throws KafkaError CORRUPT_MESSAGE if no whole batch of magic 2 lies there; the
   * checksum is not looked at.
   */
  constructor(bytes: Uint8Array, start = 0) {
    const sizeInBytes = batchSizeAt(bytes, start);
    if (
      sizeInBytes === undefined ||
      sizeInBytes < BATCH_HEADER_BYTES ||
      bytes[start + BatchField.MAGIC] !== BATCH_MAGIC
    ) {
      throw notABatch(bytes, start);
    }
    // A view costs more than all that is asked of the header of a small batch.
    const isAll = start === 0 && sizeInBytes === bytes.length;
    this.bytes = isAll ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset + start, sizeInBytes);
  }

  /** Offset of the first record, also when compaction took that record away. */
  get baseOffset(): Offset {
    return this.#int64(BatchField.BASE_OFFSET, "baseOffset");
  }

  /** Bytes after the length field. */
  get batchLength(): number {
    return int32At(this.bytes, BatchField.LENGTH);
  }

  /** Bytes of the whole batch. */
  get sizeInBytes(): number {
    return this.bytes.length;
  }

  /** Epoch of the leader that appended the batch; whatever the client wrote before that. */
  get partitionLeaderEpoch(): number {
    return int32At(this.bytes, BatchField.LEADER_EPOCH);
  }

  /** Always 2. */
  get magic(): number {
    return this.bytes[BatchField.MAGIC] as number;
  }

  /** The stored CRC-32C, unsigned. */
  get crc(): number {
    return int32At(this.bytes, BatchField.CRC) >>> 0;
  }

  /** The attributes as they are: see {@link BatchAttribute}. */
  get attributes(): number {
    return int16At(this.bytes, BatchField.ATTRIBUTES);
  }

  /** Number of the codec, 0 to 7; 5 to 7 mean nothing. */
  get compression(): number {
    return this.attributes & BatchAttribute.COMPRESSION_MASK;
  }

  /** Who set the timestamps. */
  get timestampType(): TimestampType {
    return (this.attributes & BatchAttribute.LOG_APPEND_TIME) === 0 ? "CreateTime" : "LogAppendTime";
  }

  /** Whether the records belong to a transaction. */
  get isTransactional(): boolean {
    return (this.attributes & BatchAttribute.TRANSACTIONAL) !== 0;
  }

  /** Whether the record is a marker for brokers and consumers, not for applications. */
  get isControl(): boolean {
    return (this.attributes & BatchAttribute.CONTROL) !== 0;
  }

  /** Last offset minus base offset; also last sequence minus base sequence. Compaction keeps it. */
  get lastOffsetDelta(): number {
    return int32At(this.bytes, BatchField.LAST_OFFSET_DELTA);
  }

  /** Offset of the last record. */
  get lastOffset(): Offset {
    return this.baseOffset + this.lastOffsetDelta;
  }

  /** The offset after the last record. */
  get nextOffset(): Offset {
    return this.lastOffset + 1;
  }

  /** What the timestamp deltas of the records are added to; the delete horizon when that bit is set. */
  get baseTimestamp(): TimestampMs {
    return this.#int64(BatchField.BASE_TIMESTAMP, "baseTimestamp");
  }

  /** The largest timestamp, and with LogAppendTime that of every record. -1 if there is none. */
  get maxTimestamp(): TimestampMs {
    return this.#int64(BatchField.MAX_TIMESTAMP, "maxTimestamp");
  }

  /** Id of the idempotent producer, {@link NO_PRODUCER} without one. */
  get producerId(): number {
    return this.#int64(BatchField.PRODUCER_ID, "producerId");
  }

  /** Epoch of the idempotent producer, -1 without one. */
  get producerEpoch(): number {
    return int16At(this.bytes, BatchField.PRODUCER_EPOCH);
  }

  /** Sequence number of the first record, -1 without an idempotent producer and in control batches. */
  get baseSequence(): number {
    return int32At(this.bytes, BatchField.BASE_SEQUENCE);
  }

  /** Sequence number of the last record; after 2^31 - 1 comes 0. -1 if there are none. */
  get lastSequence(): number {
    const first = this.baseSequence;
    return first < 0 ? NO_PRODUCER : sequenceAfter(first, this.lastOffsetDelta);
  }

  /** Records the header announces. */
  get recordCount(): number {
    return int32At(this.bytes, BatchField.RECORD_COUNT);
  }

  /** The records as they lie behind the header: compressed as one piece, or one after the other. A view. */
  get recordBytes(): Uint8Array {
    return this.bytes.subarray(BATCH_HEADER_BYTES);
  }

  /** The first int64 field that a number cannot hold and whose getter therefore throws; undefined if there is none. */
  unsafeField(): "baseOffset" | "baseTimestamp" | "maxTimestamp" | "producerId" | undefined {
    if (!this.#isSafe(BatchField.BASE_OFFSET)) return "baseOffset";
    if (!this.#isSafe(BatchField.BASE_TIMESTAMP)) return "baseTimestamp";
    if (!this.#isSafe(BatchField.MAX_TIMESTAMP)) return "maxTimestamp";
    return this.#isSafe(BatchField.PRODUCER_ID) ? undefined : "producerId";
  }

  /** Computes the CRC-32C of the bytes it covers: from the attributes to the end. */
  computeCrc(): number {
    return crc32c(this.bytes.subarray(BatchField.ATTRIBUTES));
  }

  #isSafe(at: number): boolean {
    return isSafeInt64(int64At(this.bytes, at));
  }

  #int64(at: number, field: string): number {
    const value = int64At(this.bytes, at);
    if (isSafeInt64(value)) return value;
    throw new KafkaError(
      ErrorCode.CORRUPT_MESSAGE,
      `${field} of a record batch, about ${value}, is outside the safe range of int64`,
    );
  }
}

/** The sequence number `count` after `sequence`; after 2^31 - 1 comes 0. */
export function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % 0x8000_0000;
}

/**
 * The magic byte of the first batch or message of `bytes`: 0 and 1 are message sets, 2 is a batch. Undefined if the
 * bytes end before it.
 */
export function firstMagic(bytes: Uint8Array): number | undefined {
  return bytes[BatchField.MAGIC];
}

/**
 * Size in bytes of the batch (or, in older formats, message) at `start`; undefined if not all of it is there. A
 * negative length gives less than {@link BATCH_OVERHEAD_BYTES}: it never ends, and is no batch.
 */
export function batchSizeAt(bytes: Uint8Array, start: number): number | undefined {
  const at = start + BatchField.LENGTH;
  if (start < 0 || bytes.length - start < BATCH_OVERHEAD_BYTES) return undefined;
  const sizeInBytes = BATCH_OVERHEAD_BYTES + int32At(bytes, at);
  return sizeInBytes > bytes.length - start ? undefined : sizeInBytes;
}

/**
 * The batches that lie one after the other in `bytes`. Ends before a last one that is cut off, as Kafka does; a length
 * or magic that no batch has throws KafkaError CORRUPT_MESSAGE.
 */
export function* iterateBatches(bytes: Uint8Array): Generator<RecordBatchView, void, undefined> {
  for (let start = 0; start < bytes.length; ) {
    if (batchSizeAt(bytes, start) === undefined) return;
    const batch = new RecordBatchView(bytes, start);
    yield batch;
    start += batch.sizeInBytes;
  }
}

function notABatch(bytes: Uint8Array, start: number): KafkaError {
  const sizeInBytes = batchSizeAt(bytes, start);
  const remaining = bytes.length - start;
  const reason =
    sizeInBytes === undefined
      ? `its length goes past the ${remaining} bytes there are`
      : sizeInBytes < BATCH_HEADER_BYTES
        ? `its ${sizeInBytes} bytes are less than a header of ${BATCH_HEADER_BYTES}`
        : `its magic is ${bytes[start + BatchField.MAGIC]}, not ${BATCH_MAGIC}`;
  return new KafkaError(ErrorCode.CORRUPT_MESSAGE, `no record batch at byte ${start}: ${reason}`);
}
