// Builds batches of magic 2 from records: for the broker's own records (groups, transactions), for messages of older
// formats, and for tests. Refuses what a batch cannot carry; what a producer may send is judged by validate.ts.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";
import { type Offset, relativeOffset, type TimestampMs } from "../topic-partition.ts";
import { varintSize, varlongSize } from "../wire/varint.ts";
import { Writer } from "../wire/writer.ts";
import { Compression, compress } from "./compression.ts";
import { joinBytes, totalBytes } from "./join-bytes.ts";
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  BATCH_OVERHEAD_BYTES,
  BATCH_RECORDS_MAX,
  BatchAttribute,
  NO_PRODUCER,
  NO_TIMESTAMP,
  type TimestampType,
} from "./record-batch.ts";
import type { RecordHeader } from "./record-iterator.ts";
import { writeCrc } from "./restamp.ts";

/** A record to be put into a batch. */
export interface BatchRecord {
  /** If missing, one more than that of the record before, from the base offset on. */
  readonly offset?: Offset;
  readonly timestampMs: TimestampMs;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: readonly RecordHeader[];
}

/** The header fields of a batch; what is missing is as a plain producer sends it. */
export interface BatchOptions {
  readonly baseOffset?: Offset;
  readonly partitionLeaderEpoch?: number;
  readonly compression?: Compression;
  readonly timestampType?: TimestampType;
  readonly isTransactional?: boolean;
  readonly isControl?: boolean;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  /** Last offset less base offset, where compaction took the last records away; else that of the last record. */
  readonly lastOffsetDelta?: number;
}

/** One batch of these records, as bytes of its own, with its CRC. Offsets must ascend from the base offset on. */
export function encodeBatch(records: readonly BatchRecord[], options: BatchOptions = {}): Uint8Array {
  if (records.length > BATCH_RECORDS_MAX) {
    throw new KafkaError(ErrorCode.INVALID_RECORD, `${records.length} records are more than a batch may have`);
  }
  const baseTimestamp = records[0]?.timestampMs ?? NO_TIMESTAMP;
  const codec = options.compression ?? Compression.NONE;
  const body = encodeRecords(records, options.baseOffset ?? 0, baseTimestamp);
  const compressed = codec === Compression.NONE ? undefined : [compress(codec, joinBytes(body.parts))];
  const maxTimestamp = records.reduce((max, { timestampMs }) => Math.max(max, timestampMs), NO_TIMESTAMP);
  const parts = compressed ?? body.parts;
  const header = encodeHeader(options, {
    bodyBytes: totalBytes(parts),
    lastOffsetDelta: options.lastOffsetDelta ?? body.lastOffsetDelta,
    baseTimestamp,
    maxTimestamp,
    recordCount: records.length,
  });
  const bytes = joinBytes([header, ...parts]);
  writeCrc(bytes);
  return bytes;
}

interface Measured {
  readonly bodyBytes: number;
  readonly lastOffsetDelta: number;
  readonly baseTimestamp: TimestampMs;
  readonly maxTimestamp: TimestampMs;
  readonly recordCount: number;
}

// One for all batches: encoding is synchronous, and what it returns is copied.
const writer = new Writer();

function encodeHeader(options: BatchOptions, measured: Measured): Uint8Array {
  return written(() => {
    writer.int64(options.baseOffset ?? 0);
    writer.int32(BATCH_HEADER_BYTES - BATCH_OVERHEAD_BYTES + measured.bodyBytes);
    writer.int32(options.partitionLeaderEpoch ?? -1);
    writer.int8(BATCH_MAGIC);
    writer.int32(0);
    writer.int16(attributesOf(options));
    writer.int32(measured.lastOffsetDelta);
    writer.int64(measured.baseTimestamp);
    writer.int64(measured.maxTimestamp);
    writer.int64(options.producerId ?? NO_PRODUCER);
    writer.int16(options.producerEpoch ?? NO_PRODUCER);
    writer.int32(options.baseSequence ?? NO_PRODUCER);
    writer.int32(measured.recordCount);
  });
}

function attributesOf(options: BatchOptions): number {
  return (
    (options.compression ?? Compression.NONE) |
    (options.timestampType === "LogAppendTime" ? BatchAttribute.LOG_APPEND_TIME : 0) |
    (options.isTransactional === true ? BatchAttribute.TRANSACTIONAL : 0) |
    (options.isControl === true ? BatchAttribute.CONTROL : 0)
  );
}

function encodeRecords(
  records: readonly BatchRecord[],
  baseOffset: Offset,
  baseTimestamp: TimestampMs,
): { parts: readonly Uint8Array[]; lastOffsetDelta: number } {
  let lastOffsetDelta = -1;
  try {
    for (const record of records) {
      const offsetDelta = record.offset === undefined ? lastOffsetDelta + 1 : relativeOffset(baseOffset, record.offset);
      if (offsetDelta <= lastOffsetDelta) {
        throw new KafkaError(ErrorCode.INVALID_RECORD, `offset delta ${offsetDelta} follows ${lastOffsetDelta}`);
      }
      writeRecord(record, offsetDelta, record.timestampMs - baseTimestamp);
      lastOffsetDelta = offsetDelta;
    }
    return { parts: writer.finish(), lastOffsetDelta: Math.max(lastOffsetDelta, 0) };
  } catch (error) {
    writer.discard();
    throw error;
  }
}

interface EncodedHeader {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

const noHeaders: readonly EncodedHeader[] = [];

function encodeHeaders(headers: readonly RecordHeader[]): readonly EncodedHeader[] {
  if (headers.length === 0) return noHeaders;
  return headers.map(({ key, value }) => ({ key: Buffer.from(key, "utf8"), value }));
}

function writeRecord(record: BatchRecord, offsetDelta: number, timestampDelta: number): void {
  const headers = record.headers === undefined ? noHeaders : encodeHeaders(record.headers);
  let size = 1 + varlongSize(timestampDelta) + varintSize(offsetDelta) + varintSize(headers.length);
  size += sizeOf(record.key) + sizeOf(record.value);
  for (const { key, value } of headers) size += sizeOf(key) + sizeOf(value);
  writer.varint(size);
  writer.int8(0);
  writer.varlong(timestampDelta);
  writer.varint(offsetDelta);
  writeNullable(record.key);
  writeNullable(record.value);
  writer.varint(headers.length);
  for (const { key, value } of headers) {
    writeNullable(key);
    writeNullable(value);
  }
}

function sizeOf(bytes: Uint8Array | null): number {
  return bytes === null ? varintSize(-1) : varintSize(bytes.length) + bytes.length;
}

function writeNullable(bytes: Uint8Array | null): void {
  writer.varint(bytes === null ? -1 : bytes.length);
  if (bytes !== null) writer.raw(bytes);
}

function written(write: () => void): Uint8Array {
  try {
    write();
    return joinBytes(writer.finish());
  } catch (error) {
    writer.discard();
    throw error;
  }
}
