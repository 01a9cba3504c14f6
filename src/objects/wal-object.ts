// The end of a WAL object: what its extents are, which producers wrote them, and which log starts move with it.
// A footer is read on recovery by brokers that trust nothing but its checksum: whatever does not fit is a FormatError.
// Extents are in the order of their bytes, inside the object, without overlap; one is one partition's batches.
import { invariant } from "../invariant.ts";
import type { LeaderEpoch, Offset, TimestampMs, TopicId } from "../topic-partition.ts";
import { crc32c } from "../wire/crc32c.ts";
import { DecodeError } from "../wire/decode-error.ts";
import type { Reader } from "../wire/reader.ts";
import { Writer } from "../wire/writer.ts";
import { readDistance, readList, readNatural, readSize, writeDistance, writeList, writeSize } from "./fields.ts";
import { decodeAt, FormatError } from "./format-error.ts";
import {
  decodeTrailer,
  encodeTail,
  openTail,
  requireEnd,
  type TailRange,
  TRAILER_BYTES,
  tailFormat,
} from "./object-tail.ts";

/** Bytes at the end of a WAL object that {@link decodeWalTrailer} needs. */
export const WAL_TRAILER_BYTES = TRAILER_BYTES;

/** One partition's batches in one WAL object, and the index entry that finds them. */
export interface WalExtent {
  readonly topicId: TopicId;
  readonly partition: number;
  /** Epoch of the shard under which the offsets were given. */
  readonly shardEpoch: LeaderEpoch;
  readonly baseOffset: Offset;
  /** Offsets spanned, 1 and up: the next extent of the partition begins at `baseOffset + offsetCount`. */
  readonly offsetCount: number;
  /** First byte in the object. */
  readonly position: number;
  /** Bytes, 1 and up. */
  readonly length: number;
  /** Base timestamp of the first batch. */
  readonly firstTimestampMs: TimestampMs;
  /** Max timestamp of the last batch. */
  readonly lastTimestampMs: TimestampMs;
  /** Largest timestamp of the extent. */
  readonly maxTimestampMs: TimestampMs;
  /** CRC32C of the extent's bytes. */
  readonly crc32c: number;
}

/** A control batch ends a transaction; other batches have the marker `none`. */
export type TransactionMarker = "none" | "abort" | "commit";

/** A batch that names a producer: what its state is rebuilt from. */
export interface WalProducerBatch {
  /** Place of the extent in the footer. */
  readonly extentIndex: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  /** -1 for control batches. */
  readonly firstSequence: number;
  /** May be below `firstSequence`: sequences wrap after 2^31 - 1. */
  readonly lastSequence: number;
  readonly baseOffset: Offset;
  /** Max timestamp of the batch. */
  readonly timestampMs: TimestampMs;
  readonly isTransactional: boolean;
  readonly marker: TransactionMarker;
}

/** A new log start of a partition, in force once the flush is committed and after the extents of the same footer. */
export interface WalLogStart {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly shardEpoch: LeaderEpoch;
  readonly logStart: Offset;
}

/** All that a WAL object says about its bytes. */
export interface WalFooter {
  /** By position. */
  readonly extents: readonly WalExtent[];
  /** By extent, then base offset. */
  readonly producerBatches: readonly WalProducerBatch[];
  readonly logStarts: readonly WalLogStart[];
}

const format = tailFormat({ magic: "KFSWALOB", version: 1, place: "wal footer" });
// One for all footers: a buffer of its own would cost more than what a small flush writes into it.
const footerWriter = new Writer();
const MARKERS: readonly TransactionMarker[] = ["none", "abort", "commit"];
const TRANSACTIONAL = 0x4;
// The least an element takes: a flipped count is refused before anything is allocated for it.
const EXTENT_BYTES_MIN = 14;
const PRODUCER_BATCH_BYTES_MIN = 8;
const LOG_START_BYTES_MIN = 4;

/**
 * Footer and trailer: the object is its extents followed by these bytes.
 * @throws EncodeError or InvariantError if the footer breaks a rule of its own: a bug of the caller
 */
export function encodeWalFooter(footer: WalFooter): Uint8Array {
  const writer = footerWriter;
  // Drops what a footer that was refused left behind.
  writer.discard();
  const topics = new Map<TopicId, number>();
  for (const { topicId } of [...footer.extents, ...footer.logStarts]) {
    if (!topics.has(topicId)) topics.set(topicId, topics.size);
  }
  writeList(writer, [...topics.keys()], (topicId) => writer.uuid(topicId));
  let end = 0;
  writeList(writer, footer.extents, (extent) => {
    invariant(
      extent.position >= end,
      `an extent begins at ${extent.position}, before the end ${end} of its predecessor`,
    );
    writeExtent(writer, extent, { topic: topics.get(extent.topicId) as number, previousEnd: end });
    end = extent.position + extent.length;
  });
  let before = 0;
  writeList(writer, footer.producerBatches, (batch) => {
    const extent = footer.extents[batch.extentIndex];
    invariant(extent && batch.extentIndex >= before, `batch of extent ${batch.extentIndex} after one of ${before}`);
    writeSize(writer, batch.extentIndex - before);
    writeProducerBatch(writer, batch, extent);
    before = batch.extentIndex;
  });
  writeList(writer, footer.logStarts, (change) => {
    writeSize(writer, topics.get(change.topicId) as number);
    writeSize(writer, change.partition);
    writeSize(writer, change.shardEpoch);
    writer.varlong(change.logStart);
  });
  return encodeTail(format, writer.finish());
}

/**
 * The range of the object that {@link decodeWalFooter} needs.
 * @param tail the last bytes of the object, at least {@link WAL_TRAILER_BYTES}
 */
export function decodeWalTrailer(tail: Uint8Array, objectBytes: number): TailRange {
  return decodeTrailer(format, tail, objectBytes);
}

/**
 * Reads a footer.
 * @param bytes exactly the range that {@link decodeWalTrailer} names
 * @throws FormatError on any truncation or changed bit
 */
export function decodeWalFooter(bytes: Uint8Array, objectBytes: number): WalFooter {
  const { reader } = openTail(format, bytes, objectBytes);
  return decodeAt(format.place, () => {
    const topics = readList(reader, 16, (from) => from.uuid());
    let end = 0;
    const extents = readList(reader, EXTENT_BYTES_MIN, (from) => {
      const extent = readExtent(from, topics, end);
      end = extent.position + extent.length;
      if (end > objectBytes - bytes.length) {
        throw new FormatError(
          format.place,
          `an extent ends at ${end}, past the ${objectBytes - bytes.length} of all extents`,
        );
      }
      return extent;
    });
    let before = 0;
    const producerBatches = readList(reader, PRODUCER_BATCH_BYTES_MIN, (from) => {
      const batch = readProducerBatch(from, extents, before);
      before = batch.extentIndex;
      return batch;
    });
    const logStarts = readList(reader, LOG_START_BYTES_MIN, (from) => readLogStart(from, topics));
    requireEnd(reader, format.place);
    return { extents, producerBatches, logStarts };
  });
}

/** Checks the bytes of an extent as they were read. @throws FormatError if they are not the ones that were written */
export function verifyExtent(extent: { readonly length: number; readonly crc32c: number }, bytes: Uint8Array): void {
  if (bytes.length !== extent.length) {
    throw new FormatError("wal extent", `${bytes.length} bytes were read, ${extent.length} belong to it`);
  }
  const found = crc32c(bytes);
  if (found !== extent.crc32c) throw new FormatError("wal extent", `the checksum is ${found}, not ${extent.crc32c}`);
}

function writeExtent(
  writer: Writer,
  extent: WalExtent,
  { topic, previousEnd }: { readonly topic: number; readonly previousEnd: number },
): void {
  invariant(extent.offsetCount >= 1 && extent.length >= 1, "an extent has at least one offset and one byte");
  writeSize(writer, topic);
  writeSize(writer, extent.partition);
  writeSize(writer, extent.shardEpoch);
  writer.varlong(extent.baseOffset);
  writeSize(writer, extent.offsetCount);
  writeSize(writer, extent.position - previousEnd);
  writeSize(writer, extent.length);
  writer.varlong(extent.firstTimestampMs);
  writeDistance(writer, extent.firstTimestampMs, extent.lastTimestampMs);
  writeDistance(writer, extent.firstTimestampMs, extent.maxTimestampMs);
  writer.uint32(extent.crc32c);
}

function readExtent(reader: Reader, topics: readonly TopicId[], previousEnd: number): WalExtent {
  const topicId = readTopic(reader, topics);
  const partition = readSize(reader);
  const shardEpoch = readSize(reader);
  const baseOffset = readNatural(reader);
  const offsetCount = readPositive(reader);
  const position = previousEnd + readSize(reader);
  const length = readPositive(reader);
  const firstTimestampMs = reader.varlong();
  const lastTimestampMs = readDistance(reader, firstTimestampMs);
  const maxTimestampMs = readDistance(reader, firstTimestampMs);
  return {
    topicId,
    partition,
    shardEpoch,
    baseOffset,
    offsetCount,
    position,
    length,
    firstTimestampMs,
    lastTimestampMs,
    maxTimestampMs,
    crc32c: reader.uint32(),
  };
}

function writeProducerBatch(writer: Writer, batch: WalProducerBatch, extent: WalExtent): void {
  const offset = batch.baseOffset - extent.baseOffset;
  invariant(offset >= 0 && offset < extent.offsetCount, `batch at ${batch.baseOffset} lies outside its extent`);
  writer.int8(MARKERS.indexOf(batch.marker) | (batch.isTransactional ? TRANSACTIONAL : 0));
  writer.varlong(batch.producerId);
  writer.varint(batch.producerEpoch);
  writer.varint(batch.firstSequence);
  writer.varint(batch.lastSequence);
  writeSize(writer, offset);
  writeDistance(writer, extent.firstTimestampMs, batch.timestampMs);
}

function readProducerBatch(reader: Reader, extents: readonly WalExtent[], before: number): WalProducerBatch {
  const start = reader.position;
  const extentIndex = before + readSize(reader);
  const extent = extents[extentIndex];
  const marks = reader.int8();
  const marker = MARKERS[marks & ~TRANSACTIONAL];
  if (!extent || marker === undefined) throw new DecodeError(`batch of extent ${extentIndex}, marks ${marks}`, start);
  const producerId = readNatural(reader);
  const producerEpoch = reader.varint();
  const firstSequence = reader.varint();
  const lastSequence = reader.varint();
  const offset = readSize(reader);
  if (offset >= extent.offsetCount) throw new DecodeError("a batch begins past its extent", start);
  return {
    extentIndex,
    producerId,
    producerEpoch,
    firstSequence,
    lastSequence,
    baseOffset: extent.baseOffset + offset,
    timestampMs: readDistance(reader, extent.firstTimestampMs),
    isTransactional: (marks & TRANSACTIONAL) !== 0,
    marker,
  };
}

function readLogStart(reader: Reader, topics: readonly TopicId[]): WalLogStart {
  const topicId = readTopic(reader, topics);
  const partition = readSize(reader);
  const shardEpoch = readSize(reader);
  return { topicId, partition, shardEpoch, logStart: readNatural(reader) };
}

function readTopic(reader: Reader, topics: readonly TopicId[]): TopicId {
  const start = reader.position;
  const topic = topics[readSize(reader)];
  if (topic === undefined) throw new DecodeError("a topic is not in the table of topics", start);
  return topic;
}

function readPositive(reader: Reader): number {
  const start = reader.position;
  const value = readSize(reader);
  if (value === 0) throw new DecodeError("a length or count is 0", start);
  return value;
}
