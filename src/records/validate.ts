// Judges a batch of magic 2 that is to be appended, in Kafka's order and with Kafka's codes. Never writes into the
// bytes it is given. A compressed body is trusted as far as header and checksum go and is only opened when a rule
// cannot be decided without (keys, timestamps): its records may still turn out unreadable, and readers expect that.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";
import type { TimestampMs } from "../topic-partition.ts";
import { EMPTY_BYTES } from "../wire/arrays.ts";
import { int32At } from "../wire/big-endian.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { Compression, isCompression } from "./compression.ts";
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  BATCH_OVERHEAD_BYTES,
  BATCH_RECORDS_MAX,
  BatchField,
  firstMagic,
  NO_PRODUCER,
  NO_TIMESTAMP,
  RecordBatchView,
  type TimestampType,
} from "./record-batch.ts";
import { RecordCursor } from "./record-cursor.ts";
import { uncompressedRecords } from "./record-iterator.ts";
import { writeMaxTimestamp } from "./restamp.ts";

/** The least bytes after the length that any magic has; less is no length. */
const LENGTH_MIN = 14;
/** Most refused records that are named one by one. */
const RECORD_ERRORS_MAX = 100;

/** What the topic and the way of arrival demand of a batch. */
export interface ProduceRules {
  /** `max.message.bytes` of the topic, which counts the whole batch. */
  readonly messageBytesMax: number;
  /** The topic is compacted: every record needs a key. */
  readonly requiresKeys: boolean;
  /** `message.timestamp.type` of the topic. With LogAppendTime the producer's timestamps do not matter. */
  readonly timestampType: TimestampType;
  /** `message.timestamp.before.max.ms`: how far a timestamp may lie in the past. Infinity for any. */
  readonly timestampBeforeMaxMs: number;
  /** `message.timestamp.after.max.ms`: how far a timestamp may lie in the future. Infinity for any. */
  readonly timestampAfterMaxMs: number;
  /** The time the two bounds count from. */
  readonly nowMs: TimestampMs;
  /** The version of the request knows zstd (Produce 7 and later). */
  readonly allowZstd: boolean;
  /** Clients may not send control batches, nor number records; the broker's own coordinators may. */
  readonly fromClient: boolean;
}

/** One record that is refused, by its index in the batch. */
export interface RecordError {
  readonly batchIndex: number;
  readonly message: string;
}

/** A batch refused because of some of its records. None of it is appended. */
export class RecordsRefusedError extends KafkaError {
  /** The refused records in order, the first hundred of them. */
  readonly recordErrors: readonly RecordError[];

  /** @param message what the records have in common, with the values */
  constructor(code: ErrorCode, message: string, recordErrors: readonly RecordError[]) {
    super(code, message);
    this.recordErrors = recordErrors;
  }
}

/**
 * The one batch that `bytes` hold, if it may be appended. A view on `bytes`, or on a corrected copy if the largest
 * timestamp of the header is not that of the records. What is cut off behind the batch is left out.
 * Throws KafkaError, and RecordsRefusedError where single records are at fault.
 */
export function validateProducedBatch(bytes: Uint8Array, rules: ProduceRules): RecordBatchView {
  const batch = onlyBatch(bytes, rules);
  if (rules.fromClient && !isBaseOffsetZero(batch.bytes)) {
    throw invalidRecord("the base offset of a produced batch is not 0");
  }
  if (batch.sizeInBytes > rules.messageBytesMax) {
    throw new KafkaError(
      ErrorCode.MESSAGE_TOO_LARGE,
      `the batch has ${batch.sizeInBytes} bytes, the topic allows ${rules.messageBytesMax}`,
    );
  }
  const crc = batch.computeCrc();
  if (crc !== batch.crc) throw corrupt(`the batch carries checksum ${batch.crc}, its bytes have ${crc}`);
  if (!isCompression(batch.compression)) throw unsupportedCompression(`no codec has number ${batch.compression}`);
  checkCounts(batch);
  checkInt64s(batch);
  if (rules.fromClient && batch.isControl) throw invalidRecord("clients may not write control records");
  checkProducer(batch, rules.fromClient);
  return checkRecords(batch, rules);
}

/** The one whole batch at the start; a second whole one is refused, a rest too short to be one is not looked at. */
function onlyBatch(bytes: Uint8Array, rules: ProduceRules): RecordBatchView {
  if (!hasWholeBatch(bytes, 0)) throw invalidRecord(`${bytes.length} bytes hold no whole record batch`);
  const magic = firstMagic(bytes);
  if (magic !== BATCH_MAGIC) throw invalidRecord(`the batch has magic ${magic}, not ${BATCH_MAGIC}`);
  const batch = new RecordBatchView(bytes);
  if (batch.compression === Compression.ZSTD && !rules.allowZstd) {
    throw unsupportedCompression("this version of the request does not know zstd");
  }
  if (hasWholeBatch(bytes, batch.sizeInBytes)) throw invalidRecord("more than one record batch for a partition");
  return batch;
}

/** All eight bytes: a base offset may also be outside the safe range. */
function isBaseOffsetZero(bytes: Uint8Array): boolean {
  for (let at = BatchField.BASE_OFFSET; at < BatchField.LENGTH; at += 1) if (bytes[at] !== 0) return false;
  return true;
}

/** As Kafka finds batches in a buffer: a cut off one is none, an impossible length or magic is damage. */
function hasWholeBatch(bytes: Uint8Array, start: number): boolean {
  const remaining = bytes.length - start;
  if (remaining < BATCH_OVERHEAD_BYTES) return false;
  const length = int32At(bytes, start + BatchField.LENGTH);
  if (length < LENGTH_MIN) throw corrupt(`a batch announces ${length} bytes, less than ${LENGTH_MIN}`);
  const magic = bytes[start + BatchField.MAGIC];
  if (magic !== undefined && magic > BATCH_MAGIC) throw corrupt(`a batch has magic ${magic}, which does not exist`);
  return length <= remaining - BATCH_OVERHEAD_BYTES;
}

/** Kafka takes all 64 bits; here a number has to hold them. No clock and no broker gives out such values. */
function checkInt64s(batch: RecordBatchView): void {
  const field = batch.unsafeField();
  if (field === undefined) return;
  const code = field.endsWith("Timestamp") ? ErrorCode.INVALID_TIMESTAMP : ErrorCode.INVALID_RECORD;
  throw new KafkaError(code, `${field} of the batch is outside the safe range of int64`);
}

function checkCounts(batch: RecordBatchView): void {
  const { lastOffsetDelta, recordCount } = batch;
  if (lastOffsetDelta < 0) throw invalidRecord(`the last offset delta is ${lastOffsetDelta}`);
  if (recordCount <= 0) throw invalidRecord(`the batch announces ${recordCount} records`);
  if (lastOffsetDelta + 1 !== recordCount) {
    throw invalidRecord(`the batch announces ${recordCount} records and a last offset delta of ${lastOffsetDelta}`);
  }
  if (recordCount > BATCH_RECORDS_MAX) {
    throw invalidRecord(`the batch has ${recordCount} records, the broker allows ${BATCH_RECORDS_MAX}`);
  }
}

function checkProducer(batch: RecordBatchView, fromClient: boolean): void {
  const { producerId, producerEpoch, baseSequence } = batch;
  if (producerId < NO_PRODUCER) throw invalidRecord(`producer id ${producerId} is negative`);
  if (producerId === NO_PRODUCER) {
    if (batch.isTransactional) throw invalidRecord("a transactional batch has no producer id");
    return;
  }
  if (producerEpoch < 0) throw invalidRecord(`producer ${producerId} has epoch ${producerEpoch}`);
  // The markers of transactions carry a producer id and no sequence.
  if (fromClient && baseSequence < 0) {
    throw invalidRecord(`producer ${producerId} sends base sequence ${baseSequence}`);
  }
}

function checkRecords(batch: RecordBatchView, rules: ProduceRules): RecordBatchView {
  if (rules.fromClient && batch.timestampType === "LogAppendTime") {
    const message = "producers may not set the timestamp type LogAppendTime";
    throw new RecordsRefusedError(ErrorCode.INVALID_TIMESTAMP, message, [{ batchIndex: 0, message }]);
  }
  if (!mustOpen(batch, rules)) return batch;
  const maxTimestamp = walkRecords(batch, rules);
  if (batch.timestampType === "LogAppendTime" || maxTimestamp === batch.maxTimestamp) return batch;
  // Not `slice`, which for a Buffer is a view.
  const corrected = new Uint8Array(batch.bytes);
  writeMaxTimestamp(corrected, maxTimestamp);
  return new RecordBatchView(corrected);
}

/** Whether the header is not enough. For a batch that is not compressed the walk costs little, and is always made. */
function mustOpen(batch: RecordBatchView, rules: ProduceRules): boolean {
  if (batch.compression === Compression.NONE || rules.requiresKeys) return true;
  if (rules.timestampType === "LogAppendTime") return false;
  const { baseTimestamp, maxTimestamp } = batch;
  return (
    maxTimestamp < baseTimestamp ||
    maxTimestamp > rules.nowMs + rules.timestampAfterMaxMs ||
    rules.timestampBeforeMaxMs !== Number.POSITIVE_INFINITY
  );
}

// One for all batches: nothing waits during a walk.
const cursor = new RecordCursor(EMPTY_BYTES);

/** Looks at every record. Returns the largest timestamp. */
function walkRecords(batch: RecordBatchView, rules: ProduceRules): TimestampMs {
  if (batch.compression === Compression.NONE) cursor.reset(batch.bytes, BATCH_HEADER_BYTES);
  else cursor.reset(uncompressedRecords(batch));
  const { baseTimestamp, recordCount } = batch;
  const errors = new RecordErrors();
  let maxTimestamp = NO_TIMESTAMP;
  for (let index = 0; index < recordCount; index += 1) {
    moveTo(index, recordCount);
    const timestamp = baseTimestamp + cursor.timestampDelta;
    if (rules.requiresKeys && cursor.keyLength < 0) {
      errors.add(ErrorCode.INVALID_RECORD, index, "a record of a compacted topic needs a key");
    } else if (!Number.isSafeInteger(timestamp) || !isTimestampAllowed(timestamp, rules)) {
      errors.add(ErrorCode.INVALID_TIMESTAMP, index, `timestamp ${timestamp} is out of the range the topic allows`);
    }
    if (timestamp > maxTimestamp) maxTimestamp = timestamp;
  }
  if (!cursor.isAtEnd) throw invalidRecord(`bytes follow the ${recordCount} records of the batch`);
  errors.throwIfAny();
  return maxTimestamp;
}

function moveTo(index: number, recordCount: number): void {
  try {
    cursor.next();
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new KafkaError(ErrorCode.INVALID_RECORD, `record ${index} of ${recordCount} is malformed: ${cause.message}`, {
      cause,
    });
  }
  if (cursor.offsetDelta !== index) {
    const message = `record ${index} has offset delta ${cursor.offsetDelta}`;
    throw new RecordsRefusedError(ErrorCode.INVALID_RECORD, message, [{ batchIndex: index, message }]);
  }
}

function isTimestampAllowed(timestamp: TimestampMs, rules: ProduceRules): boolean {
  if (rules.timestampType === "LogAppendTime" || timestamp === NO_TIMESTAMP) return true;
  return rules.nowMs - timestamp <= rules.timestampBeforeMaxMs && timestamp - rules.nowMs <= rules.timestampAfterMaxMs;
}

/** Collects the refused records. The code of the first one is that of the batch, as in Kafka. */
class RecordErrors {
  readonly #errors: RecordError[] = [];
  #code: ErrorCode = ErrorCode.NONE;
  #count = 0;

  add(code: ErrorCode, batchIndex: number, message: string): void {
    if (this.#count === 0) this.#code = code;
    this.#count += 1;
    if (this.#errors.length < RECORD_ERRORS_MAX) this.#errors.push({ batchIndex, message });
  }

  throwIfAny(): void {
    const [first] = this.#errors;
    if (first === undefined) return;
    const message = `${this.#count} records are refused, the first at index ${first.batchIndex}: ${first.message}`;
    throw new RecordsRefusedError(this.#code, message, this.#errors);
  }
}

function unsupportedCompression(message: string): KafkaError {
  return new KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, message);
}

function invalidRecord(message: string): KafkaError {
  return new KafkaError(ErrorCode.INVALID_RECORD, message);
}

function corrupt(message: string): KafkaError {
  return new KafkaError(ErrorCode.CORRUPT_MESSAGE, message);
}
