// One shard's part of a checkpoint: everything an owner needs to go on from flush `covers` without the flushes before.
// A section is read from the object it was first written to; its lists may lie in still earlier objects.
import type { LeaderEpoch, Offset, TimestampMs, TopicId } from "../topic-partition.ts";
import { DecodeError } from "../wire/decode-error.ts";
import type { Reader } from "../wire/reader.ts";
import { Writer } from "../wire/writer.ts";
import { BlockKind, blockPlace, encodeBlock, openBlock } from "./block.ts";
import {
  type FoldEntry,
  foldList,
  type ListChanges,
  type ListCodec,
  type PendingExtent,
  type ProducerEntry,
  pendingList,
  producerList,
  type SegmentEntry,
  type SubBlockRef,
  segmentList,
} from "./checkpoint-lists.ts";
import { readList, readNatural, readSessionId, readSize, writeList, writeSessionId, writeSize } from "./fields.ts";
import { decodeAt } from "./format-error.ts";
import { requireEnd } from "./object-tail.ts";

/** Every extent of the shard in flushes up to `n` of the session is in the section. */
export interface Covered {
  readonly sessionId: string;
  readonly n: number;
}

/** The first offset written under an epoch. */
export interface LeaderEpochStart {
  readonly leaderEpoch: LeaderEpoch;
  readonly startOffset: Offset;
}

/** A transaction that has begun and not ended. */
export interface OpenTransaction {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly firstOffset: Offset;
  readonly startTimestampMs: TimestampMs;
}

/** One partition as of the checkpoint. */
export interface SectionPartition {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly logStart: Offset;
  readonly logEnd: Offset;
  /** Pending extents that end at or below this offset are pending no more. */
  readonly pendingFrom: Offset;
  /** Ascending in both fields. */
  readonly leaderEpochs: readonly LeaderEpochStart[];
  readonly pending: ListChanges<PendingExtent, never>;
  readonly producers: ListChanges<ProducerEntry, number>;
  /** Empty for partitions that are not internal. */
  readonly fold: ListChanges<FoldEntry, Uint8Array>;
  readonly segments: ListChanges<SegmentEntry, Offset>;
  readonly openTransactions: readonly OpenTransaction[];
}

/** A shard as of the checkpoint. */
export interface CheckpointSection {
  readonly shard: number;
  /** The shard's epoch under which the section was made: a claim takes it only if `a/` names the same. */
  readonly epoch: LeaderEpoch;
  readonly covers: readonly Covered[];
  readonly partitions: readonly SectionPartition[];
  /** Keys of replaced or expired objects whose deletion is not confirmed. */
  readonly dropped: readonly string[];
}

/** A list without a sub-block and without entries. */
export const emptyList: ListChanges<never, never> = { stored: undefined, removed: [], added: [] };

/** The framed bytes of a section. */
export function encodeSection(section: CheckpointSection): Uint8Array {
  const writer = new Writer();
  writeSize(writer, section.shard);
  writeSize(writer, section.epoch);
  writeList(writer, section.covers, ({ sessionId, n }) => {
    writeSessionId(writer, sessionId);
    writer.varlong(n);
  });
  writeList(writer, section.partitions, (partition) => writePartition(writer, partition));
  writeList(writer, section.dropped, (key) => writer.string(key));
  return encodeBlock(BlockKind.SECTION, writer);
}

/**
 * Reads a section.
 * @param bytes exactly the section
 * @throws FormatError on any truncation or changed bit
 */
export function decodeSection(bytes: Uint8Array): CheckpointSection {
  const place = blockPlace(BlockKind.SECTION);
  const { reader, version } = openBlock(BlockKind.SECTION, bytes);
  return decodeAt(place, () => {
    const section: CheckpointSection = {
      shard: readSize(reader),
      epoch: readSize(reader),
      covers: readList(reader, 13, (from) => ({ sessionId: readSessionId(from), n: readNatural(from) })),
      partitions: readList(reader, 33, (from) => readPartition(from, version)),
      dropped: readList(reader, 2, (from) => from.string()),
    };
    requireEnd(reader, place);
    return section;
  });
}

function writePartition(writer: Writer, partition: SectionPartition): void {
  writer.uuid(partition.topicId);
  writeSize(writer, partition.partition);
  writer.varlong(partition.logStart);
  writer.varlong(partition.logEnd);
  writer.varlong(partition.pendingFrom);
  writeList(writer, partition.leaderEpochs, ({ leaderEpoch, startOffset }) => {
    writeSize(writer, leaderEpoch);
    writer.varlong(startOffset);
  });
  writeChanges(writer, pendingList, partition.pending);
  writeChanges(writer, producerList, partition.producers);
  writeChanges(writer, foldList, partition.fold);
  writeChanges(writer, segmentList, partition.segments);
  writeList(writer, partition.openTransactions, (transaction) => {
    writer.varlong(transaction.producerId);
    writer.varint(transaction.producerEpoch);
    writer.varlong(transaction.firstOffset);
    writer.varlong(transaction.startTimestampMs);
  });
}

function readPartition(reader: Reader, version: number): SectionPartition {
  const start = reader.position;
  const topicId = reader.uuid();
  const partition = readSize(reader);
  const logStart = readNatural(reader);
  const logEnd = readNatural(reader);
  if (logStart > logEnd) throw new DecodeError(`log start ${logStart} lies past log end ${logEnd}`, start);
  return {
    topicId,
    partition,
    logStart,
    logEnd,
    pendingFrom: readNatural(reader),
    leaderEpochs: readList(reader, 2, (from) => ({ leaderEpoch: readSize(from), startOffset: readNatural(from) })),
    pending: readChanges(reader, pendingList, version),
    producers: readChanges(reader, producerList, version),
    fold: readChanges(reader, foldList, version),
    segments: readChanges(reader, segmentList, version),
    openTransactions: readList(reader, 4, readOpenTransaction),
  };
}

function readOpenTransaction(reader: Reader): OpenTransaction {
  return {
    producerId: readNatural(reader),
    producerEpoch: reader.varint(),
    firstOffset: readNatural(reader),
    startTimestampMs: reader.varlong(),
  };
}

function writeChanges<Entry, Removed>(
  writer: Writer,
  codec: ListCodec<Entry, Removed>,
  changes: ListChanges<Entry, Removed>,
): void {
  writer.bool(changes.stored !== undefined);
  if (changes.stored) {
    writer.varlong(changes.stored.k);
    writeSize(writer, changes.stored.position);
    writeSize(writer, changes.stored.length);
    writer.varlong(changes.stored.upTo);
  }
  writeList(writer, changes.removed, (removed) => codec.writeRemoved(writer, removed));
  codec.writeEntries(writer, changes.added);
}

function readChanges<Entry, Removed>(
  reader: Reader,
  codec: ListCodec<Entry, Removed>,
  version: number,
): ListChanges<Entry, Removed> {
  const stored = reader.bool() ? readSubBlockRef(reader) : undefined;
  return { stored, removed: readList(reader, 1, codec.readRemoved), added: codec.readEntries(reader, version) };
}

function readSubBlockRef(reader: Reader): SubBlockRef {
  const k = readNatural(reader);
  const position = readSize(reader);
  return { k, position, length: readSize(reader), upTo: readNatural(reader) };
}
