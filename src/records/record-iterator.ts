// The records of a batch, one at a time, decompressed when the first is asked for. Whatever validation lets pass may
// come here: offsets with gaps (compaction), compressed bodies nobody has looked into, counts that are not true. What
// cannot be read is KafkaError CORRUPT_MESSAGE, at the record where it shows.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";
import type { Offset, TimestampMs } from "../topic-partition.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { Reader } from "../wire/reader.ts";
import { decompress, isCompression } from "./compression.ts";
import type { RecordBatchView } from "./record-batch.ts";
import { RecordCursor } from "./record-cursor.ts";

/** A named value beside key and value of a record. */
export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** One record. Key and values are views, valid as long as the batch lives unchanged. */
export interface KafkaRecord {
  readonly offset: Offset;
  /** With LogAppendTime the time of the batch. */
  readonly timestampMs: TimestampMs;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** The records as bytes one after the other: a view if they are not compressed. Throws KafkaError CORRUPT_MESSAGE. */
export function uncompressedRecords(batch: RecordBatchView, bytesMax?: number): Uint8Array {
  const codec = batch.compression;
  if (!isCompression(codec)) throw new KafkaError(ErrorCode.CORRUPT_MESSAGE, `no codec has number ${codec}`);
  return decompress(codec, batch.recordBytes, bytesMax === undefined ? {} : { bytesMax });
}

/**
 * The records of `batch` in order. Throws KafkaError CORRUPT_MESSAGE where one is malformed, where fewer or more
 * follow than the header announces, and if the body becomes more than `bytesMax` or the bound of its codec.
 */
export function* iterateRecords(
  batch: RecordBatchView,
  options: { readonly bytesMax?: number } = {},
): Generator<KafkaRecord, void, undefined> {
  const cursor = new RecordCursor(uncompressedRecords(batch, options.bytesMax));
  const { baseOffset, baseTimestamp, recordCount } = batch;
  const appendTime = batch.timestampType === "LogAppendTime" ? batch.maxTimestamp : undefined;
  for (let left = recordCount; left > 0; left -= 1) {
    yield recordAt(cursor, baseOffset, { baseTimestamp, appendTime });
  }
  if (recordCount < 0 || !cursor.isAtEnd) {
    throw new KafkaError(ErrorCode.CORRUPT_MESSAGE, `a batch that announces ${recordCount} records holds more`);
  }
}

function recordAt(
  cursor: RecordCursor,
  baseOffset: Offset,
  times: { baseTimestamp: TimestampMs; appendTime: TimestampMs | undefined },
): KafkaRecord {
  try {
    cursor.next();
    const timestampMs = times.appendTime ?? times.baseTimestamp + cursor.timestampDelta;
    const offset = baseOffset + cursor.offsetDelta;
    if (!Number.isSafeInteger(timestampMs) || !Number.isSafeInteger(offset)) {
      throw new DecodeError("offset or timestamp of a record is outside the safe range", cursor.keyStart);
    }
    return { offset, timestampMs, key: cursor.key(), value: cursor.value(), headers: headersOf(cursor) };
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new KafkaError(
      ErrorCode.CORRUPT_MESSAGE,
      `record ${cursor.index + 1} of the batch at offset ${baseOffset}: ${cause.message}`,
      { cause },
    );
  }
}

const utf8 = new TextDecoder();
const noHeaders: readonly RecordHeader[] = [];

/** The headers of the record a cursor stands on. Bytes of a key that are not UTF-8 become U+FFFD, as in Java. */
function headersOf(cursor: RecordCursor): readonly RecordHeader[] {
  if (cursor.headerCount === 0) return noHeaders;
  const reader = new Reader(cursor.bytes, cursor.headersStart);
  const headers: RecordHeader[] = [];
  for (let left = cursor.headerCount; left > 0; left -= 1) {
    const key = utf8.decode(reader.take(reader.varint()));
    const valueLength = reader.varint();
    headers.push({ key, value: valueLength < 0 ? null : reader.take(valueLength) });
  }
  return headers;
}
