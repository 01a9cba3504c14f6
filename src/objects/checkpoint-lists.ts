// The four lists of a partition that a checkpoint may keep as a sub-block of an earlier object: pending extents,
// producers, fold, segments. A section then holds only what changed since; `apply…` puts the two together.
import { invariant } from "../invariant.ts";
import type { LeaderEpoch, Offset, TimestampMs, TopicIdPartition } from "../topic-partition.ts";
import { DecodeError } from "../wire/decode-error.ts";
import type { Reader } from "../wire/reader.ts";
import { Writer } from "../wire/writer.ts";
import { BlockKind, type BlockRef, blockPlace, encodeBlock, openBlock } from "./block.ts";
import {
  readCount,
  readDistance,
  readList,
  readNatural,
  readSessionId,
  readSize,
  SESSION_ID_BYTES,
  writeDistance,
  writeList,
  writeSessionId,
  writeSize,
} from "./fields.ts";
import { decodeAt, FormatError } from "./format-error.ts";
import { requireEnd } from "./object-tail.ts";

/** A sub-block of an earlier checkpoint object of the same session. */
export interface SubBlockRef extends BlockRef {
  /** The block holds what was committed up to this head of the session; later changes are in the section. */
  readonly upTo: number;
}

/** A list as its last sub-block and the changes since; without a block, `added` is the list and `removed` is empty. */
export interface ListChanges<Entry, Removed> {
  readonly stored: SubBlockRef | undefined;
  readonly removed: readonly Removed[];
  readonly added: readonly Entry[];
}

/** An extent that no segment holds yet: it is read in place, from `wal/<session>/<n>`. Ascending without a gap. */
export interface PendingExtent {
  readonly sessionId: string;
  readonly n: number;
  readonly shardEpoch: LeaderEpoch;
  readonly baseOffset: Offset;
  readonly offsetCount: number;
  readonly position: number;
  readonly length: number;
  readonly firstTimestampMs: TimestampMs;
  readonly lastTimestampMs: TimestampMs;
  readonly maxTimestampMs: TimestampMs;
  readonly crc32c: number;
}

/** A batch that a duplicate is recognised by. */
export interface ProducerBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: Offset;
  readonly timestampMs: TimestampMs;
}

/** Committed state of one producer in one partition. One per producer id. */
export interface ProducerEntry {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly lastTimestampMs: TimestampMs;
  /** Oldest first; the log keeps at most five. */
  readonly batches: readonly ProducerBatch[];
}

/** The newest committed record of a key of an internal partition. One per key; the bytes are the decoder's own copy. */
export interface FoldEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/**
 * Reconciled records: a segment of their own or a part of a group. Ascending by base offset, without a gap between the
 * end of one and the base of the next.
 */
export interface SegmentEntry {
  readonly baseOffset: Offset;
  /** First offset after the segment. */
  readonly endOffset: Offset;
  /** Size of the `.kfs` object, or of the part of a group. */
  readonly bytes: number;
  readonly maxTimestampMs: TimestampMs;
  readonly key: string;
  readonly form: SegmentForm;
}

/** What stands at the key of a {@link SegmentEntry}. */
export type SegmentForm =
  | {
      /** A `.kfs` object with an index. */
      readonly type: "segment";
      readonly indexKey: string;
      /** Size of the index, at most: entries of version 1 do not tell. */
      readonly indexBytes: number;
    }
  | {
      /** An object that holds batches of several partitions, laid out as a WAL object. */
      readonly type: "group";
      /** Where in it those of this partition begin. */
      readonly position: number;
      readonly crc32c: number;
    };

/** How one kind of list lies in bytes. `Removed` is what names an entry that went. */
export interface ListCodec<Entry, Removed> {
  readonly kind: BlockKind;
  readonly writeEntries: (writer: Writer, entries: readonly Entry[]) => void;
  /** @param version of the block they stand in; lists that have only one version ignore it */
  readonly readEntries: (reader: Reader, version: number) => Entry[];
  readonly writeRemoved: (writer: Writer, removed: Removed) => void;
  readonly readRemoved: (reader: Reader) => Removed;
}

/** Pending extents. They leave by offset (`pendingFrom` of the partition), never one by one. */
export const pendingList: ListCodec<PendingExtent, never> = {
  kind: BlockKind.PENDING,
  writeEntries: writePending,
  readEntries: readPending,
  writeRemoved: () => invariant(false, "a pending extent is never removed by name"),
  readRemoved: (reader) => {
    throw new DecodeError("a pending extent is removed by name", reader.position);
  },
};

/** Producers, named by producer id. */
export const producerList: ListCodec<ProducerEntry, number> = {
  kind: BlockKind.PRODUCERS,
  writeEntries: (writer, entries) => writeList(writer, entries, (entry) => writeProducer(writer, entry)),
  readEntries: (reader) => readList(reader, 4, readProducer),
  writeRemoved: (writer, producerId) => writer.varlong(producerId),
  readRemoved: readNatural,
};

/** Fold of an internal partition, named by record key. */
export const foldList: ListCodec<FoldEntry, Uint8Array> = {
  kind: BlockKind.FOLD,
  writeEntries: (writer, entries) =>
    writeList(writer, entries, (entry) => {
      writeBytes(writer, entry.key);
      writeBytes(writer, entry.value);
    }),
  readEntries: (reader) => readList(reader, 2, (from) => ({ key: readBytes(from), value: readBytes(from) })),
  writeRemoved: writeBytes,
  readRemoved: readBytes,
};

/** Segments, named by base offset. */
export const segmentList: ListCodec<SegmentEntry, Offset> = {
  kind: BlockKind.SEGMENTS,
  writeEntries: (writer, entries) => writeList(writer, entries, (entry) => writeSegment(writer, entry)),
  readEntries: (reader, version) => readList(reader, 8, version === 1 ? readSegmentV1 : readSegment),
  writeRemoved: (writer, baseOffset) => writer.varlong(baseOffset),
  readRemoved: readNatural,
};

/** A sub-block: the partition it belongs to, then the whole list. */
export function encodeListBlock<Entry>(
  codec: ListCodec<Entry, never> | ListCodec<Entry, number> | ListCodec<Entry, Uint8Array>,
  address: TopicIdPartition,
  entries: readonly Entry[],
): Uint8Array {
  const writer = new Writer();
  writer.uuid(address.topicId);
  writeSize(writer, address.partition);
  codec.writeEntries(writer, entries);
  return encodeBlock(codec.kind, writer);
}

/**
 * Reads a sub-block.
 * @param bytes exactly the block
 * @throws FormatError if it is damaged, of another kind or of another partition
 */
export function decodeListBlock<Entry>(
  codec: ListCodec<Entry, never> | ListCodec<Entry, number> | ListCodec<Entry, Uint8Array>,
  bytes: Uint8Array,
  address: TopicIdPartition,
): Entry[] {
  const place = blockPlace(codec.kind);
  const { reader, version } = openBlock(codec.kind, bytes);
  return decodeAt(place, () => {
    const topicId = reader.uuid();
    const partition = readSize(reader);
    if (topicId !== address.topicId || partition !== address.partition) {
      throw new FormatError(
        place,
        `it belongs to ${topicId}-${partition}, not ${address.topicId}-${address.partition}`,
      );
    }
    const entries = codec.readEntries(reader, version);
    requireEnd(reader, place);
    return entries;
  });
}

/** All pending extents: of the stored ones those that end above `pendingFrom`, then the added ones. */
export function applyPending(
  stored: readonly PendingExtent[],
  changes: ListChanges<PendingExtent, never>,
  pendingFrom: Offset,
): PendingExtent[] {
  const list = stored.filter((extent) => extent.baseOffset + extent.offsetCount > pendingFrom);
  for (const extent of changes.added) {
    if (extent.baseOffset + extent.offsetCount > pendingFrom) list.push(extent);
  }
  return list;
}

/** All producers by id: an added entry replaces the stored one. */
export function applyProducers(
  stored: readonly ProducerEntry[],
  changes: ListChanges<ProducerEntry, number>,
): Map<number, ProducerEntry> {
  const byId = new Map(stored.map((entry) => [entry.producerId, entry]));
  for (const producerId of changes.removed) byId.delete(producerId);
  for (const entry of changes.added) byId.set(entry.producerId, entry);
  return byId;
}

/** The whole fold by the key's bytes in latin1: an added entry replaces the stored one. */
export function applyFold(
  stored: readonly FoldEntry[],
  changes: ListChanges<FoldEntry, Uint8Array>,
): Map<string, FoldEntry> {
  const byKey = new Map(stored.map((entry) => [foldKey(entry.key), entry]));
  for (const key of changes.removed) byKey.delete(foldKey(key));
  for (const entry of changes.added) byKey.set(foldKey(entry.key), entry);
  return byKey;
}

/** All segments, ascending. */
export function applySegments(
  stored: readonly SegmentEntry[],
  changes: ListChanges<SegmentEntry, Offset>,
): SegmentEntry[] {
  const removed = new Set(changes.removed);
  const list = stored.filter((segment) => !removed.has(segment.baseOffset));
  return [...list, ...changes.added].sort((a, b) => a.baseOffset - b.baseOffset);
}

/** A record key as the key of a map: one character a byte. */
export function foldKey(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

function writePending(writer: Writer, entries: readonly PendingExtent[]): void {
  const sessions = [...new Set(entries.map((entry) => entry.sessionId))];
  const places = new Map(sessions.map((sessionId, index) => [sessionId, index]));
  writeList(writer, sessions, (sessionId) => writeSessionId(writer, sessionId));
  let before = { n: 0, end: 0, firstTimestampMs: 0 };
  writeList(writer, entries, (entry) => {
    writeSize(writer, places.get(entry.sessionId) as number);
    writer.varlong(entry.n - before.n);
    writeSize(writer, entry.shardEpoch);
    writer.varlong(entry.baseOffset - before.end);
    writeSize(writer, entry.offsetCount);
    writeSize(writer, entry.position);
    writeSize(writer, entry.length);
    writeDistance(writer, before.firstTimestampMs, entry.firstTimestampMs);
    writeDistance(writer, entry.firstTimestampMs, entry.lastTimestampMs);
    writeDistance(writer, entry.firstTimestampMs, entry.maxTimestampMs);
    writer.uint32(entry.crc32c);
    before = { n: entry.n, end: entry.baseOffset + entry.offsetCount, firstTimestampMs: entry.firstTimestampMs };
  });
}

function readPending(reader: Reader): PendingExtent[] {
  const sessions = readList(reader, SESSION_ID_BYTES, readSessionId);
  const count = readCount(reader, 14);
  const list: PendingExtent[] = [];
  let before = { n: 0, end: 0, firstTimestampMs: 0 };
  for (let index = 0; index < count; index += 1) {
    const start = reader.position;
    const sessionId = sessions[readSize(reader)];
    const n = before.n + reader.varlong();
    const shardEpoch = readSize(reader);
    const baseOffset = before.end + reader.varlong();
    const offsetCount = readSize(reader);
    if (sessionId === undefined || n < 1 || baseOffset < 0 || offsetCount < 1) {
      throw new DecodeError(`a pending extent has flush ${n}, offset ${baseOffset}, ${offsetCount} offsets`, start);
    }
    const position = readSize(reader);
    const length = readSize(reader);
    const firstTimestampMs = readDistance(reader, before.firstTimestampMs);
    const lastTimestampMs = readDistance(reader, firstTimestampMs);
    const maxTimestampMs = readDistance(reader, firstTimestampMs);
    const times = { firstTimestampMs, lastTimestampMs, maxTimestampMs };
    const crc32c = reader.uint32();
    list.push({ sessionId, n, shardEpoch, baseOffset, offsetCount, position, length, ...times, crc32c });
    before = { n, end: baseOffset + offsetCount, firstTimestampMs };
  }
  return list;
}

function writeProducer(writer: Writer, entry: ProducerEntry): void {
  writer.varlong(entry.producerId);
  writer.varint(entry.producerEpoch);
  writer.varlong(entry.lastTimestampMs);
  writeList(writer, entry.batches, (batch) => {
    writer.varint(batch.firstSequence);
    writer.varint(batch.lastSequence);
    writer.varlong(batch.baseOffset);
    writeDistance(writer, entry.lastTimestampMs, batch.timestampMs);
  });
}

function readProducer(reader: Reader): ProducerEntry {
  const producerId = readNatural(reader);
  const producerEpoch = reader.varint();
  const lastTimestampMs = reader.varlong();
  const batches = readList(reader, 4, (from) => ({
    firstSequence: from.varint(),
    lastSequence: from.varint(),
    baseOffset: readNatural(from),
    timestampMs: readDistance(from, lastTimestampMs),
  }));
  return { producerId, producerEpoch, lastTimestampMs, batches };
}

const SEGMENT_FORM = 0;
const GROUP_FORM = 1;

function writeSegment(writer: Writer, entry: SegmentEntry): void {
  writer.varlong(entry.baseOffset);
  writer.varlong(entry.endOffset);
  writer.varlong(entry.bytes);
  writer.varlong(entry.maxTimestampMs);
  writer.string(entry.key);
  const { form } = entry;
  writer.int8(form.type === "segment" ? SEGMENT_FORM : GROUP_FORM);
  if (form.type === "segment") {
    writer.string(form.indexKey);
    writeSize(writer, form.indexBytes);
  } else {
    writeSize(writer, form.position);
    writer.uint32(form.crc32c);
  }
}

function readSegment(reader: Reader): SegmentEntry {
  const range = readSegmentRange(reader);
  const key = reader.string();
  return { ...range, key, form: readForm(reader) };
}

/** An index is always smaller than its segment. */
function readSegmentV1(reader: Reader): SegmentEntry {
  const range = readSegmentRange(reader);
  const key = reader.string();
  return { ...range, key, form: { type: "segment", indexKey: reader.string(), indexBytes: range.bytes } };
}

function readSegmentRange(reader: Reader): Omit<SegmentEntry, "key" | "form"> {
  const start = reader.position;
  const baseOffset = readNatural(reader);
  const endOffset = readNatural(reader);
  if (endOffset <= baseOffset) throw new DecodeError(`a segment of offsets ${baseOffset} to ${endOffset}`, start);
  return { baseOffset, endOffset, bytes: readNatural(reader), maxTimestampMs: reader.varlong() };
}

function readForm(reader: Reader): SegmentForm {
  const start = reader.position;
  const form = reader.int8();
  if (form === SEGMENT_FORM) return { type: "segment", indexKey: reader.string(), indexBytes: readSize(reader) };
  if (form === GROUP_FORM) return { type: "group", position: readSize(reader), crc32c: reader.uint32() };
  throw new DecodeError(`${form} is no form of a segment`, start);
}

function writeBytes(writer: Writer, bytes: Uint8Array): void {
  writeSize(writer, bytes.length);
  writer.raw(bytes);
}

function readBytes(reader: Reader): Uint8Array {
  return reader.take(readSize(reader)).slice();
}
