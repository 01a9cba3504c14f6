// A checkpoint object: blocks (sections and sub-blocks), an index of sections, a trailer. What did not change since an
// earlier checkpoint of the session is a reference to that object, so a checkpoint costs no more than what changed.
// Refuses an index whose own blocks lie outside the object or whose references lead to later objects.
import { invariant } from "../invariant.ts";
import type { LeaderEpoch, TopicIdPartition } from "../topic-partition.ts";
import { DecodeError } from "../wire/decode-error.ts";
import type { Reader } from "../wire/reader.ts";
import { Writer } from "../wire/writer.ts";
import type { BlockRef } from "./block.ts";
import {
  encodeListBlock,
  type FoldEntry,
  foldList,
  type PendingExtent,
  type ProducerEntry,
  pendingList,
  producerList,
  type SegmentEntry,
  type SubBlockRef,
  segmentList,
} from "./checkpoint-lists.ts";
import { type CheckpointSection, encodeSection } from "./checkpoint-section.ts";
import { readList, readNatural, readSize, writeList, writeSize } from "./fields.ts";
import { decodeAt } from "./format-error.ts";
import {
  decodeTrailer,
  encodeTail,
  openTail,
  requireEnd,
  type TailRange,
  TRAILER_BYTES,
  tailFormat,
} from "./object-tail.ts";

/** Bytes at the end of a checkpoint that {@link decodeCheckpointTrailer} needs. */
export const CHECKPOINT_TRAILER_BYTES = TRAILER_BYTES;

/** Where a shard's section lies. */
export interface SectionRow {
  readonly shard: number;
  readonly epoch: LeaderEpoch;
  readonly ref: BlockRef;
  /** Lowest flush of the checkpoint's own session in which the section has a pending extent, if there is one. */
  readonly lowestPendingN: number | undefined;
}

/** What a checkpoint's index says. */
export interface CheckpointIndex {
  /** Number of the checkpoint in its session. */
  readonly k: number;
  /** The session's head when it was made: it holds everything of flushes up to `n`, for every shard it has a row of. */
  readonly n: number;
  /** By shard. */
  readonly sections: readonly SectionRow[];
}

const format = tailFormat({ magic: "KFSCKPT1", version: 1, place: "checkpoint index" });
const ROW_BYTES_MIN = 6;
// A varlong that no flush number is.
const NONE = -1;

/** Builds one checkpoint object in memory, block by block. */
export class CheckpointWriter {
  readonly #k: number;
  readonly #n: number;
  readonly #parts: Uint8Array[] = [];
  readonly #rows = new Map<number, SectionRow>();
  #bytes = 0;

  /** @param at number of the checkpoint (1 and up) and head at which it is made (0 and up) */
  constructor(at: { readonly k: number; readonly n: number }) {
    invariant(at.k >= 1 && at.n >= 0, `checkpoint ${at.k} at head ${at.n}`);
    this.#k = at.k;
    this.#n = at.n;
  }

  /** Bytes of the blocks so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds the whole list of pending extents as a sub-block for this and later sections to name. */
  addPendingBlock(address: TopicIdPartition, entries: readonly PendingExtent[]): SubBlockRef {
    return this.#addSubBlock(encodeListBlock(pendingList, address, entries));
  }

  /** Adds the whole producer snapshot as a sub-block. */
  addProducerBlock(address: TopicIdPartition, entries: readonly ProducerEntry[]): SubBlockRef {
    return this.#addSubBlock(encodeListBlock(producerList, address, entries));
  }

  /** Adds the whole fold as a sub-block. */
  addFoldBlock(address: TopicIdPartition, entries: readonly FoldEntry[]): SubBlockRef {
    return this.#addSubBlock(encodeListBlock(foldList, address, entries));
  }

  /** Adds the whole segment list as a sub-block. */
  addSegmentBlock(address: TopicIdPartition, entries: readonly SegmentEntry[]): SubBlockRef {
    return this.#addSubBlock(encodeListBlock(segmentList, address, entries));
  }

  /** Adds a section, and its row. The reference serves later checkpoints as long as nothing of the shard changes. */
  addSection(section: CheckpointSection, at: { readonly lowestPendingN: number | undefined }): BlockRef {
    const ref = this.#addBlock(encodeSection(section));
    this.#addRow({ shard: section.shard, epoch: section.epoch, ref, lowestPendingN: at.lowestPendingN });
    return ref;
  }

  /** Adds the row of a section that lies in an earlier checkpoint object of the session. */
  addSectionReference(row: SectionRow): void {
    invariant(row.ref.k >= 1 && row.ref.k < this.#k, `checkpoint ${this.#k} refers to checkpoint ${row.ref.k}`);
    this.#addRow(row);
  }

  /** The object, as parts in order. The writer is not to be used afterwards. */
  finish(): Uint8Array[] {
    const writer = new Writer();
    writer.varlong(this.#k);
    writer.varlong(this.#n);
    const rows = [...this.#rows.values()].sort((a, b) => a.shard - b.shard);
    writeList(writer, rows, (row) => {
      writeSize(writer, row.shard);
      writeSize(writer, row.epoch);
      writer.varlong(row.ref.k);
      writeSize(writer, row.ref.position);
      writeSize(writer, row.ref.length);
      writer.varlong(row.lowestPendingN ?? NONE);
    });
    return [...this.#parts, encodeTail(format, writer.finish())];
  }

  #addBlock(block: Uint8Array): BlockRef {
    const ref = { k: this.#k, position: this.#bytes, length: block.length };
    this.#parts.push(block);
    this.#bytes += block.length;
    return ref;
  }

  #addSubBlock(block: Uint8Array): SubBlockRef {
    return { ...this.#addBlock(block), upTo: this.#n };
  }

  #addRow(row: SectionRow): void {
    invariant(!this.#rows.has(row.shard), `shard ${row.shard} has two sections in checkpoint ${this.#k}`);
    this.#rows.set(row.shard, row);
  }
}

/**
 * The range of the object that {@link decodeCheckpointIndex} needs.
 * @param tail the last bytes of the object, at least {@link CHECKPOINT_TRAILER_BYTES}
 */
export function decodeCheckpointTrailer(tail: Uint8Array, objectBytes: number): TailRange {
  return decodeTrailer(format, tail, objectBytes);
}

/**
 * Reads the index.
 * @param bytes exactly the range that {@link decodeCheckpointTrailer} names
 * @throws FormatError on any truncation or changed bit
 */
export function decodeCheckpointIndex(bytes: Uint8Array, objectBytes: number): CheckpointIndex {
  const { reader } = openTail(format, bytes, objectBytes);
  return decodeAt(format.place, () => {
    const k = readNatural(reader);
    const n = readNatural(reader);
    const blocksEnd = objectBytes - bytes.length;
    let before = -1;
    const sections = readList(reader, ROW_BYTES_MIN, (from) => {
      const row = readRow(from, k, blocksEnd);
      if (row.shard <= before) throw new DecodeError(`shard ${row.shard} follows shard ${before}`, from.position);
      before = row.shard;
      return row;
    });
    requireEnd(reader, format.place);
    return { k, n, sections };
  });
}

function readRow(reader: Reader, k: number, blocksEnd: number): SectionRow {
  const start = reader.position;
  const shard = readSize(reader);
  const epoch = readSize(reader);
  const ref = { k: readNatural(reader), position: readSize(reader), length: readSize(reader) };
  const lowestPendingN = reader.varlong();
  const isOutside = ref.k === k && ref.position + ref.length > blocksEnd;
  if (ref.k < 1 || ref.k > k || isOutside || lowestPendingN < NONE || lowestPendingN === 0) {
    throw new DecodeError(`section of shard ${shard} is at ${ref.position} of checkpoint ${ref.k}`, start);
  }
  return { shard, epoch, ref, lowestPendingN: lowestPendingN === NONE ? undefined : lowestPendingN };
}
