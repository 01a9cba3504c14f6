// Between record batches and the formats before them: up for Produce 0 to 2, down for Fetch 0 to 3. Up-conversion
// verifies every checksum and refuses what Kafka refuses of old clients; down-conversion loses headers and what says
// whose transaction a record belongs to, and skips control batches, because old formats have no place for them.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";
import type { Offset } from "../topic-partition.ts";
import { Compression, compress, DECOMPRESSED_BYTES_MAX, decompress } from "./compression.ts";
import { type BatchRecord, encodeBatch } from "./encode-batch.ts";
import { joinBytes } from "./join-bytes.ts";
import {
  encodeMessages,
  iterateMessages,
  type Message,
  MessageAttribute,
  type MessageMagic,
  type ReadMessage,
} from "./message-set.ts";
import { BATCH_HEADER_BYTES, BATCH_OVERHEAD_BYTES, iterateBatches, type RecordBatchView } from "./record-batch.ts";
import { iterateRecords, type KafkaRecord } from "./record-iterator.ts";
import { RecordsRefusedError } from "./validate.ts";

/**
 * Most messages of one produced set, and most records of one batch that is down-converted: a message costs about a
 * microsecond, and the loop waits for all of them. A set of 1 MiB has at most 40,000 if it is not compressed.
 */
export const CONVERTED_RECORDS_MAX = 50_000;

/**
 * A message set of magic 0 or 1 as one batch of magic 2 with base offset 0, compressed as its messages were. Throws
 * KafkaError: CORRUPT_MESSAGE for damage, INVALID_RECORD for a set that may not be produced, INVALID_TIMESTAMP for one
 * that sets the broker's timestamp type, UNSUPPORTED_COMPRESSION_TYPE for a codec these formats do not have. What is
 * cut off behind the last message is left out.
 */
export function upConvert(messageSet: Uint8Array): Uint8Array {
  const conversion = new UpConversion();
  for (const message of iterateMessages(messageSet)) conversion.addOuter(message);
  return conversion.finish(messageSet.length);
}

/** Collects the records of a set, flat, in order. */
class UpConversion {
  readonly #records: BatchRecord[] = [];
  #magic: MessageMagic | undefined;
  /** That of the last compressed message, as in Kafka. */
  #compression: Compression = Compression.NONE;
  #bytesLeft = DECOMPRESSED_BYTES_MAX;

  addOuter(message: ReadMessage): void {
    this.#magic ??= message.magic;
    if (message.magic !== this.#magic) {
      throw invalidRecord(`a message of magic ${message.magic} follows one of magic ${this.#magic}`);
    }
    if (message.magic === 1 && (message.attributes & MessageAttribute.LOG_APPEND_TIME) !== 0) {
      const text = "producers may not set the timestamp type LogAppendTime";
      throw new RecordsRefusedError(ErrorCode.INVALID_TIMESTAMP, text, [
        { batchIndex: this.#records.length, message: text },
      ]);
    }
    const codec = message.attributes & MessageAttribute.COMPRESSION_MASK;
    if (codec === Compression.NONE) this.#add(message);
    else this.#addInner(message, oldCodec(codec));
  }

  finish(setBytes: number): Uint8Array {
    if (this.#records.length === 0) throw invalidRecord(`${setBytes} bytes hold no whole message`);
    return encodeBatch(this.#records, { compression: this.#compression });
  }

  #addInner(wrapper: ReadMessage, codec: Compression): void {
    if (wrapper.value === null) throw invalidRecord("a compressed message has no value");
    const options = { isMagic0: wrapper.magic === 0, bytesMax: this.#bytesLeft };
    const inner = decompress(codec, wrapper.value, options);
    this.#bytesLeft -= inner.length;
    this.#compression = codec;
    const before = this.#records.length;
    for (const message of iterateMessages(inner)) {
      if (message.magic !== wrapper.magic) {
        throw invalidRecord(`a message of magic ${message.magic} lies within one of magic ${wrapper.magic}`);
      }
      if ((message.attributes & MessageAttribute.COMPRESSION_MASK) !== Compression.NONE) {
        throw invalidRecord("a compressed message lies within a compressed message");
      }
      this.#add(message);
    }
    if (this.#records.length === before) throw invalidRecord("a compressed message holds no message");
  }

  #add(message: ReadMessage): void {
    if (this.#records.length === CONVERTED_RECORDS_MAX) {
      throw invalidRecord(`the set has more than ${CONVERTED_RECORDS_MAX} messages`);
    }
    this.#records.push({ timestampMs: message.timestampMs, key: message.key, value: message.value });
  }
}

/** What a fetch of an old version wants. */
export interface DownConversion {
  /** 0 for Fetch 0 and 1, 1 for Fetch 2 and 3. */
  readonly magic: MessageMagic;
  /** Records before it are left out where they stand alone; a compressed message is delivered whole. */
  readonly fetchOffset: Offset;
}

/**
 * The batches as a message set. If none of them has a record to deliver, the head of a message larger than all of them,
 * so that an old client asks for more instead of spinning. Ends before a batch that old formats cannot carry (zstd) or
 * that would make it more than {@link CONVERTED_RECORDS_MAX} records; throws KafkaError if nothing comes before that:
 * UNSUPPORTED_COMPRESSION_TYPE or UNSUPPORTED_FOR_MESSAGE_FORMAT. CORRUPT_MESSAGE for damage.
 */
export function downConvert(batches: readonly Uint8Array[], options: DownConversion): Uint8Array {
  const parts: Uint8Array[] = [];
  let inputBytes = 0;
  let recordsLeft = CONVERTED_RECORDS_MAX;
  for (const batch of everyBatch(batches)) {
    inputBytes += batch.sizeInBytes;
    if (batch.isControl) continue;
    recordsLeft -= batch.recordCount;
    const refusal = refusalOf(batch, recordsLeft);
    if (refusal !== undefined && parts.length > 0) break;
    if (refusal !== undefined) throw refusal;
    const messages = convertBatch(batch, options);
    if (messages.length > 0) parts.push(messages);
  }
  return parts.length === 0 && inputBytes > 0 ? incompleteMessage(inputBytes) : joinBytes(parts);
}

function refusalOf(batch: RecordBatchView, recordsLeft: number): KafkaError | undefined {
  const { baseOffset, compression, recordCount } = batch;
  if (compression === Compression.ZSTD) {
    return new KafkaError(
      ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
      `the batch at offset ${baseOffset} is compressed with zstd, which magic 0 and 1 do not have`,
    );
  }
  if (recordsLeft >= 0) return undefined;
  return new KafkaError(
    ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    `the batch at offset ${baseOffset} has ${recordCount} records, more than ${CONVERTED_RECORDS_MAX} are not converted`,
  );
}

function* everyBatch(batches: readonly Uint8Array[]): Generator<RecordBatchView, void, undefined> {
  for (const bytes of batches) yield* iterateBatches(bytes);
}

function convertBatch(batch: RecordBatchView, { magic, fetchOffset }: DownConversion): Uint8Array {
  const isCompressed = batch.compression !== Compression.NONE;
  const timestampType = magic === 1 && batch.timestampType === "LogAppendTime" ? MessageAttribute.LOG_APPEND_TIME : 0;
  // Within a compressed message of magic 1 offsets count from the first of the batch.
  const innerBase = isCompressed && magic === 1 ? batch.baseOffset : 0;
  const messages: Message[] = [];
  for (const record of iterateRecords(batch)) {
    if (!isCompressed && record.offset < fetchOffset) continue;
    messages.push(messageOf(record, record.offset - innerBase, timestampType));
  }
  const last = messages.at(-1);
  if (!isCompressed || last === undefined) return encodeMessages(messages, magic);
  const inner = encodeMessages(messages, magic);
  const wrapper: Message = {
    offset: innerBase + last.offset,
    attributes: batch.compression | timestampType,
    timestampMs: batch.maxTimestamp,
    key: null,
    value: compress(oldCodec(batch.compression), inner, { isMagic0: magic === 0 }),
  };
  return encodeMessages([wrapper], magic);
}

function messageOf(record: KafkaRecord, offset: Offset, attributes: number): Message {
  return { offset, attributes, timestampMs: record.timestampMs, key: record.key, value: record.value };
}

/** Offset and length of a message that is not there, longer than anything that was read. */
function incompleteMessage(inputBytes: number): Uint8Array {
  const head = new Uint8Array(BATCH_OVERHEAD_BYTES);
  const view = new DataView(head.buffer);
  view.setBigInt64(0, -1n);
  view.setInt32(8, Math.max(inputBytes + 1, BATCH_HEADER_BYTES));
  return head;
}

/** The codecs that magic 0 and 1 know. */
function oldCodec(codec: number): Compression {
  if (codec === Compression.GZIP || codec === Compression.SNAPPY || codec === Compression.LZ4) return codec;
  throw new KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, `messages of magic 0 and 1 do not know codec ${codec}`);
}

function invalidRecord(message: string): KafkaError {
  return new KafkaError(ErrorCode.INVALID_RECORD, message);
}
