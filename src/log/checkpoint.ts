// Checkpoints of one session: what an owner would have to replay, written down so that nobody has to. Head and sections
// are taken in one synchronous step; a section that did not change is a reference, a long list is a sub-block plus changes.

import type { SectionInForce } from "../cluster/hand-over.ts";
import { moveCheckpointPointer } from "../cluster/head.ts";
import type { Session } from "../cluster/session.ts";
import type { ShardClaim, StoredClaim } from "../cluster/shard-claim.ts";
import { afterCheckpoint, rewriteClaims } from "../cluster/shards.ts";
import type { Log } from "../host/log.ts";
import { CheckpointWriter } from "../objects/checkpoint.ts";
import type {
  FoldEntry,
  ListChanges,
  PendingExtent,
  ProducerEntry,
  SegmentEntry,
  SubBlockRef,
} from "../objects/checkpoint-lists.ts";
import { emptyList, type SectionPartition } from "../objects/checkpoint-section.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";
import type { Offset } from "../topic-partition.ts";
import type { Extent } from "./extents.ts";
import { type NeededBySection, type NeededObjects, neededBy, SectionBlocks } from "./needed-objects.ts";
import type { PartitionLog } from "./partition-log.ts";
import type { ProducerState } from "./producer-states.ts";
import type { ShardLog } from "./shard-log.ts";
import type { WalWriter } from "./wal-writer.ts";

/** Parts of a {@link Checkpointer}. */
export interface CheckpointComponents {
  readonly session: Session;
  readonly wal: WalWriter;
  readonly objectKeys: ObjectKeys;
  readonly log: Log;
}

/** Lists up to this many entries stand in the section whole; longer ones get a sub-block. */
const INLINE_ENTRIES_MAX = 256;
/** Segments: each is some 200 bytes, and there is a new one every few minutes at most. */
const INLINE_SEGMENTS_MAX = 16;
/** Folds up to this many bytes stand in the section whole. */
const INLINE_FOLD_BYTES_MAX = 16 * 1024;
/** A sub-block is written anew when the changes since exceed this part of it, so that the cost stays proportional. */
const REWRITE_SHARE = 0.25;
/** ... or this many bytes. */
const REWRITE_BYTES = 1024 * 1024;

/** A section as it was last written. */
interface WrittenSection extends NeededBySection {
  readonly version: number;
  /** Objects that it lists as dropped. */
  readonly dropped: readonly string[];
}

/** Where the long lists of a partition were last written whole. */
interface WrittenBlocks {
  pending?: { readonly ref: SubBlockRef; readonly count: number; readonly endOffset: Offset };
  producers?: { readonly ref: SubBlockRef; readonly count: number };
  fold?: { readonly ref: SubBlockRef; readonly bytes: number };
  segments?: { readonly ref: SubBlockRef; readonly list: ReadonlySet<SegmentEntry> };
}

/** A checkpoint in RAM: the object, and the claims to shorten once it is in force. */
interface TakenCheckpoint {
  readonly objectKey: string;
  readonly parts: readonly Uint8Array[];
  /** The claims as the checkpoint lets them be shortened, by what they were when it was taken. */
  readonly shortened: ReadonlyMap<ShardLog, { readonly before: StoredClaim; readonly claim: ShardClaim }>;
  readonly needed: NeededObjects;
}

/** Writes the checkpoints of one session, one at a time. */
export class Checkpointer {
  readonly #parts: CheckpointComponents;
  /** By log, not by shard: one that left and came back has a section of its own. */
  readonly #sections = new WeakMap<ShardLog, WrittenSection>();
  readonly #blocks = new WeakMap<PartitionLog, WrittenBlocks>();
  #lastNumber = 0;
  /** Until its pointer has moved, nothing may be taken that would refer to a checkpoint's object. */
  #isInForce = true;
  #inForce: NeededObjects | undefined;
  /** Where the long lists of its sections lie. */
  readonly sectionBlocks = new SectionBlocks();

  constructor(components: CheckpointComponents) {
    this.#parts = components;
  }

  /**
   * Writes a checkpoint of `shards`, which must be all the session has loaded, at `head`, and puts it in force. Nothing
   * may be awaited between reading `head` and this call. Rejects when the object cannot be put or the session has ended.
   */
  async write(head: number, shards: readonly ShardLog[], signal: AbortSignal): Promise<void> {
    const { session, wal, log } = this.#parts;
    signal.throwIfAborted();
    if (!this.#isInForce) throw new Error(`checkpoint ${this.#lastNumber} never came into force: none may follow it`);
    this.#isInForce = false;
    const taken = this.#take(head, shards);
    await wal.putObject(taken.objectKey, taken.parts, signal);
    const outcome = await moveCheckpointPointer(session, { objectKey: taken.objectKey, signal });
    if (outcome === "fenced") {
      session.die("the checkpoint pointer was fenced");
      return;
    }
    this.#isInForce = true;
    this.#inForce = taken.needed;
    log.debug("checkpoint in force", { key: taken.objectKey, head });
    await this.#shortenClaims(taken.shortened, signal);
  }

  /** What the one in force needs; undefined before the first. Whichever follows needs no object of the session besides. */
  get inForce(): NeededObjects | undefined {
    return this.#inForce;
  }

  /**
   * What the checkpoint in force holds of a shard that takes no appends any more; undefined when it was never part of
   * one, or has changed since.
   */
  sectionInForce(shardLog: ShardLog): SectionInForce | undefined {
    const written = this.#sections.get(shardLog);
    if (!this.#isInForce || !this.#inForce || written?.version !== shardLog.version) return undefined;
    const { ref, lowestPendingN } = written;
    const objectKey = this.#parts.objectKeys.checkpoint(this.#parts.session.sessionId, ref.k);
    const place = { objectKey, position: ref.position, length: ref.length, lowestPendingN };
    return { place, n: this.#inForce.n, ...contentsOf(shardLog) };
  }

  /**
   * Objects of a shard that the checkpoint in force lists as dropped and refers to no more: these may be deleted. None
   * while another checkpoint is under way.
   */
  droppedInForce(shardLog: ShardLog): readonly string[] {
    return this.#isInForce ? (this.#sections.get(shardLog)?.dropped ?? []) : [];
  }

  #take(head: number, shards: readonly ShardLog[]): TakenCheckpoint {
    const k = ++this.#lastNumber;
    const objectKey = this.#parts.objectKeys.checkpoint(this.#parts.session.sessionId, k);
    const writer = new CheckpointWriter({ k, n: head });
    const rows: WrittenSection[] = [];
    for (const shardLog of shards) {
      const { shard, version, claim } = shardLog;
      const written = this.#sections.get(shardLog);
      if (written?.version === version) {
        const { ref, lowestPendingN } = written;
        writer.addSectionReference({ shard, epoch: claim.claim.epoch, ref, lowestPendingN });
        rows.push(written);
        continue;
      }
      const lowestPendingN = shardLog.pendingFlushes.lowest(this.#parts.session.sessionId);
      const covered = new Map(shardLog.covers).set(this.#parts.session.sessionId, head);
      const covers = [...covered].map(([sessionId, n]) => ({ sessionId, n }));
      const partitions = [...shardLog.partitions.values()].map((partition) => this.#partition(writer, partition));
      const section = { shard, epoch: claim.claim.epoch, covers, partitions, dropped: [...shardLog.dropped] };
      const ref = writer.addSection(section, { lowestPendingN });
      const blocks = this.sectionBlocks.note({ objectKey, ...ref }, partitions);
      const fresh = { version, ref, lowestPendingN, dropped: section.dropped, blocks };
      this.#sections.set(shardLog, fresh);
      rows.push(fresh);
    }
    const needed = neededBy({ k, n: head }, rows);
    return { objectKey, parts: writer.finish(), shortened: shortenedClaims(shards), needed };
  }

  #partition(writer: CheckpointWriter, partition: PartitionLog): SectionPartition {
    const blocks = this.#blocks.get(partition) ?? {};
    this.#blocks.set(partition, blocks);
    return {
      topicId: partition.topicId,
      partition: partition.partition,
      logStart: partition.logStart,
      logEnd: partition.highWatermark,
      pendingFrom: pendingFrom(partition),
      leaderEpochs: partition.leaderEpochs.all,
      pending: pendingChanges(writer, partition, blocks),
      producers: producerChanges(writer, partition, blocks),
      fold: partition.isInternal ? foldChanges(writer, partition, blocks) : emptyList,
      segments: segmentChanges(writer, partition, blocks),
      openTransactions: [],
    };
  }

  /** Clears `base` and shortens `prev` of every shard that the checkpoint in force now covers. */
  async #shortenClaims(shortened: TakenCheckpoint["shortened"], signal: AbortSignal): Promise<void> {
    const updates = [];
    const byShard = new Map<number, ShardLog>();
    for (const [shardLog, { before, claim }] of shortened) {
      // The claim of a shard on its way out is written by its hand-over alone.
      if (shardLog.status !== "ready" || shardLog.claim !== before) continue;
      updates.push({ shard: shardLog.shard, modRevision: before.modRevision, claim });
      byShard.set(shardLog.shard, shardLog);
    }
    if (updates.length === 0) return;
    const { rewritten, lost } = await rewriteClaims(this.#parts.session, updates, { signal });
    for (const stored of rewritten) {
      const shardLog = byShard.get(stored.shard);
      if (shardLog) shardLog.claim = stored;
    }
    if (lost.length > 0) this.#parts.log.warn("claims changed under a checkpoint", { shards: lost });
  }
}

/**
 * What the claims may become once a checkpoint of the logs as they are now is in force. Taken with the sections: what is
 * pending no more by then may still be pending in the checkpoint, and its objects have to stay named.
 */
function shortenedClaims(shards: readonly ShardLog[]): TakenCheckpoint["shortened"] {
  const shortened = new Map<ShardLog, { readonly before: StoredClaim; readonly claim: ShardClaim }>();
  for (const shardLog of shards) {
    const { claim: before } = shardLog;
    const claim = afterCheckpoint(before.claim, contentsOf(shardLog));
    if (claim !== before.claim) shortened.set(shardLog, { before, claim });
  }
  return shortened;
}

/** What a section of the log as it is now would hold, as the rules of claims ask it. */
function contentsOf({ covers, pendingFlushes }: ShardLog): Pick<SectionInForce, "coveredN" | "lowestPendingN"> {
  return {
    coveredN: (sessionId) => covers.get(sessionId) ?? 0,
    lowestPendingN: (sessionId, from, to) => pendingFlushes.lowest(sessionId, from, to),
  };
}

/** From where on extents are pending: what ends at or below is in a segment, or below the log start. */
function pendingFrom({ logStart, stored }: PartitionLog): Offset {
  return Math.max(logStart, stored.segments.all.at(-1)?.endOffset ?? 0);
}

function pendingChanges(
  writer: CheckpointWriter,
  partition: PartitionLog,
  blocks: WrittenBlocks,
): ListChanges<PendingExtent, never> {
  const extents = partition.extents.all;
  // Nothing of it is pending any more, so that nothing refers to its object.
  if (blocks.pending && blocks.pending.endOffset <= pendingFrom(partition)) delete blocks.pending;
  const since = blocks.pending ? extents.slice(partition.extents.indexOf(blocks.pending.endOffset)) : extents;
  const limit = Math.max(INLINE_ENTRIES_MAX, (blocks.pending?.count ?? 0) * REWRITE_SHARE);
  if (since.length > limit) {
    const ref = writer.addPendingBlock(partition, extents.map(pendingExtent));
    blocks.pending = { ref, count: extents.length, endOffset: partition.highWatermark };
    return { stored: ref, removed: [], added: [] };
  }
  return { stored: blocks.pending?.ref, removed: [], added: since.map(pendingExtent) };
}

function producerChanges(
  writer: CheckpointWriter,
  partition: PartitionLog,
  blocks: WrittenBlocks,
): ListChanges<ProducerEntry, number> {
  const { producers } = partition;
  if (!blocks.producers && producers.count <= INLINE_ENTRIES_MAX) {
    producers.resetChanges();
    return { stored: undefined, removed: [], added: producers.snapshot().map(producerEntry) };
  }
  const { removed, added } = producers.changes();
  const limit = Math.max(INLINE_ENTRIES_MAX, (blocks.producers?.count ?? 0) * REWRITE_SHARE);
  if (!blocks.producers || removed.length + added.length > limit) {
    const ref = writer.addProducerBlock(partition, producers.snapshot().map(producerEntry));
    blocks.producers = { ref, count: producers.count };
    producers.resetChanges();
    return { stored: ref, removed: [], added: [] };
  }
  return { stored: blocks.producers.ref, removed, added: added.map(producerEntry) };
}

function segmentChanges(
  writer: CheckpointWriter,
  partition: PartitionLog,
  blocks: WrittenBlocks,
): ListChanges<SegmentEntry, Offset> {
  const segments = partition.stored.segments.all;
  const stored = blocks.segments;
  const present = new Set(segments);
  const removed = [...(stored?.list ?? [])].filter((segment) => !present.has(segment));
  const added = segments.filter((segment) => !stored?.list.has(segment));
  const limit = Math.max(INLINE_SEGMENTS_MAX, (stored?.list.size ?? 0) * REWRITE_SHARE);
  if (segments.length > INLINE_SEGMENTS_MAX && removed.length + added.length > limit) {
    const ref = writer.addSegmentBlock(partition, segments);
    blocks.segments = { ref, list: present };
    return { stored: ref, removed: [], added: [] };
  }
  if (segments.length <= INLINE_SEGMENTS_MAX) {
    delete blocks.segments;
    return { stored: undefined, removed: [], added: segments };
  }
  return { stored: stored?.ref, removed: removed.map(({ baseOffset }) => baseOffset), added };
}

function foldChanges(
  writer: CheckpointWriter,
  partition: PartitionLog,
  blocks: WrittenBlocks,
): ListChanges<FoldEntry, Uint8Array> {
  const fold = partition.foldState;
  if (!blocks.fold && fold.bytes <= INLINE_FOLD_BYTES_MAX) {
    fold.resetChanges();
    return { stored: undefined, removed: [], added: [...fold.entries()] };
  }
  const removed: Uint8Array[] = [];
  const added: FoldEntry[] = [];
  let bytes = 0;
  for (const { key, value } of fold.changes()) {
    bytes += key.length + (value?.length ?? 0);
    if (value) added.push({ key, value });
    else removed.push(key);
  }
  const limit = Math.max(INLINE_FOLD_BYTES_MAX, Math.min(REWRITE_BYTES, (blocks.fold?.bytes ?? 0) * REWRITE_SHARE));
  if (!blocks.fold || bytes > limit) {
    const ref = writer.addFoldBlock(partition, [...fold.entries()]);
    blocks.fold = { ref, bytes: fold.bytes };
    fold.resetChanges();
    return { stored: ref, removed: [], added: [] };
  }
  return { stored: blocks.fold.ref, removed, added };
}

function pendingExtent(extent: Extent): PendingExtent {
  return {
    sessionId: extent.sessionId,
    n: extent.flush,
    shardEpoch: extent.leaderEpoch,
    baseOffset: extent.baseOffset,
    offsetCount: extent.endOffset - extent.baseOffset,
    position: extent.position,
    length: extent.length,
    firstTimestampMs: extent.firstTimestampMs,
    lastTimestampMs: extent.lastTimestampMs,
    maxTimestampMs: extent.maxTimestampMs,
    crc32c: extent.crc32c,
  };
}

function producerEntry(state: ProducerState): ProducerEntry {
  const { producerId, producerEpoch, batches } = state;
  return { producerId, producerEpoch, lastTimestampMs: batches.at(-1)?.timestampMs ?? -1, batches };
}
