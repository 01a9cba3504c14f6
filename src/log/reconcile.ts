// Turns pending extents of WAL objects into segments and groups, and small segments into larger ones, one at a time in the
// background. Inputs stay what they are until a list in a checkpoint in force names the output. Decides with the lists as
// they are in the step in which it changes them, and changes no shard that is not served; what it put in vain is dropped,
// or left under a name that nobody else uses.
import type { ImageFeed } from "../cluster/image-feed.ts";
import type { Session } from "../cluster/session.ts";
import { topicConfigNumber } from "../cluster/topic-configs.ts";
import { type Clock, sleep } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Counter, Metrics } from "../host/metrics.ts";
import { brokenInvariant } from "../invariant.ts";
import { type ObjectStore, ObjectStoreError } from "../object-store/object-store.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import type { ObjectKeys, SegmentName } from "../objects/object-keys.ts";
import { type EncodedSegment, encodeSegment } from "../objects/segment.ts";
import { BackgroundReads } from "./background-reads.ts";
import type { Extent } from "./extents.ts";
import type { LogSettings } from "./log-settings.ts";
import type { PartitionLog } from "./partition-log.ts";
import {
  batchesOf,
  fitting,
  oldestExtents,
  type Piece,
  planReconcile,
  type ReconcilePlan,
  type ReconcileSettings,
  segmentBytesOf,
  segmentsToMerge,
} from "./reconcile-plan.ts";
import { encodeGroup, type GroupMember, segmentEntry } from "./reconciled-objects.ts";
import { inOrderOfPlaces } from "./seal.ts";
import type { ShardLog } from "./shard-log.ts";
import type { Stretch } from "./stretch.ts";
import type { WalReader } from "./wal-reader.ts";
import type { WalWriter } from "./wal-writer.ts";

/** Parts of a {@link Reconciler}. */
export interface ReconcilerComponents {
  readonly session: Session;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: ReconcileCounters;
  readonly feed: ImageFeed;
  readonly objectKeys: ObjectKeys;
  readonly wal: WalWriter;
  readonly walReader: WalReader;
  readonly settings: LogSettings;
  /** Shards of the session, in whatever state. */
  readonly shards: () => readonly ShardLog[];
  /** A shard of the session as it is now. */
  readonly shard: (shard: number) => ShardLog | undefined;
  /** Called when a list has changed: a checkpoint has to say so. */
  readonly onChange: () => void;
}

/** What reconciling counts, over all sessions of a process. */
export interface ReconcileCounters {
  readonly segments: Counter;
  readonly groups: Counter;
  readonly merges: Counter;
  readonly failures: Counter;
}

/** Registers the counters of reconciling. */
export function reconcileCounters(metrics: Metrics): ReconcileCounters {
  const counter = (name: string, text: string) => metrics.counter(`kafscale_reconcile_${name}_total`, text);
  return {
    segments: counter("segments", "Segments made of records that lay in write-ahead objects."),
    groups: counter("groups", "Objects made of the few such records of several partitions."),
    merges: counter("merges", "Segments made of smaller ones."),
    failures: counter("failures", "Attempts to make one of these that failed and are made again."),
  };
}

/** A partition, and the log of its shard under the claim under which work on it began. */
interface Target {
  readonly shardLog: ShardLog;
  readonly partition: PartitionLog;
}

/** Pending extents that were read ahead, checked. */
type HeldExtents = ReadonlyMap<Extent, Uint8Array>;

/** A shard whose claim names more earlier terms is reconciled at once. */
const PREV_TERMS_MAX = 16;
/** Pause before a partition that could not be reconciled is tried again. */
const FAILURE_PAUSE_MS = 30_000;

/** Reconciles the partitions of one session. */
export class Reconciler {
  readonly #parts: ReconcilerComponents;
  readonly #settings: ReconcileSettings;
  readonly #reads: BackgroundReads;
  readonly #pausedUntilMs = new WeakMap<PartitionLog, number>();
  /** Objects with a suffix, and groups, that this session has begun to put. */
  #lastNumber = 0;

  constructor(components: ReconcilerComponents) {
    const { store, clock, settings } = components;
    this.#parts = components;
    this.#settings = settings.reconcile;
    const { bytesPerSecond } = settings.reconcile;
    this.#reads = new BackgroundReads({
      store,
      clock,
      attemptTimeoutMs: settings.storeAttemptTimeoutMs,
      bytesPerSecond,
    });
  }

  /** Looks at every partition again and again, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(this.#parts.clock, this.#settings.intervalMs, signal);
      let isMore = true;
      while (isMore) isMore = await this.#reconcilePending(signal);
      for (const shardLog of this.#parts.shards()) {
        if (shardLog.partitions.size > 0) await this.#mergeSegments(shardLog, signal);
      }
    }
  }

  /** One segment for each partition whose time has come; whether some of them have enough for another one. */
  async #reconcilePending(signal: AbortSignal): Promise<boolean> {
    const { counters } = this.#parts;
    const madeBefore = counters.segments.value;
    const pieces = this.#duePieces();
    for (const batch of batchesOf(pieces, this.#settings.heldBytes)) {
      const held = await this.#gather(batch, signal);
      for (const piece of batch) {
        const { partitions, shardLog } = piece;
        if (!this.#isServed(shardLog)) continue;
        await this.#attempt(partitions, signal, () =>
          piece.isGroup ? this.#makeGroup(piece, held, signal) : this.#makeSegment(piece, held, signal),
        );
      }
    }
    return counters.segments.value > madeBefore && pieces.some(({ isMore }) => isMore);
  }

  /** What is to be done now, in the order of {@link inOrderOfPlaces}. */
  #duePieces(): readonly Piece[] {
    const groups: Piece[] = [];
    const alone: { readonly shardLog: ShardLog; readonly partition: PartitionLog }[] = [];
    for (const shardLog of this.#parts.shards()) {
      // Most shards of an idle broker have nothing, and are looked at every few seconds.
      if (shardLog.partitions.size === 0 || !this.#isServed(shardLog)) continue;
      const plan = this.#planOf(shardLog);
      for (const partition of plan.alone) alone.push({ shardLog, partition });
      const partitions = fitting(plan.grouped, this.#settings.segmentBytes);
      const bytes = partitions.reduce((sum, { extents }) => sum + extents.bytes, 0);
      if (bytes > 0) groups.push({ shardLog, partitions, isGroup: true, bytes, bytesMax: bytes, isMore: false });
    }
    const shareBytes = segmentBytesOf(alone.length, this.#settings);
    const segments = alone.map(({ shardLog, partition }): Piece => {
      const pendingBytes = partition.extents.bytes;
      const bytesMax = Math.min(shareBytes, this.#segmentBytes(partition));
      const bytes = Math.min(pendingBytes, bytesMax);
      return {
        shardLog,
        partitions: [partition],
        isGroup: false,
        bytes,
        bytesMax,
        isMore: pendingBytes >= 2 * bytesMax,
      };
    });
    return inOrderOfPlaces([...segments, ...groups], ({ partitions: [first] }) => first);
  }

  #planOf(shardLog: ShardLog): ReconcilePlan {
    // A broker that is restarted again and again must not make claims grow for ever: then nothing is too young.
    const isUrgent = shardLog.claim.claim.prev.length > PREV_TERMS_MAX;
    const nowMs = isUrgent ? Number.POSITIVE_INFINITY : this.#parts.clock.monotonicMs();
    return planReconcile(this.#unpaused(shardLog), nowMs, this.#settings);
  }

  #unpaused({ partitions }: ShardLog): readonly PartitionLog[] {
    const nowMs = this.#parts.clock.monotonicMs();
    return [...partitions.values()].filter((partition) => (this.#pausedUntilMs.get(partition) ?? 0) <= nowMs);
  }

  /** The bytes of what a batch is made of, as far as the tail does not hold them and they could be read. */
  async #gather(batch: readonly Piece[], signal: AbortSignal): Promise<HeldExtents> {
    const byStretch = new Map<Stretch, Extent>();
    for (const piece of batch) {
      for (const { extents } of piece.partitions) {
        for (const extent of piece.isGroup ? extents.all : oldestExtents(extents.all, piece.bytesMax)) {
          if (!extent.tailBytes) byStretch.set(this.#parts.walReader.stretchOf(extent), extent);
        }
      }
    }
    const held = new Map<Extent, Uint8Array>();
    for (const [stretch, bytes] of await this.#reads.gather([...byStretch.keys()], signal)) {
      const extent = byStretch.get(stretch);
      if (extent) held.set(extent, bytes);
    }
    return held;
  }

  async #mergeSegments(shardLog: ShardLog, signal: AbortSignal): Promise<void> {
    if (!this.#isServed(shardLog)) return;
    for (const partition of this.#unpaused(shardLog)) {
      const merged = segmentsToMerge(partition.stored.segments.all, this.#segmentBytes(partition), this.#settings);
      if (merged) await this.#attempt([partition], signal, () => this.#merge({ shardLog, partition }, merged, signal));
    }
  }

  /** Runs one piece of work. What fails is tried again later: nothing was changed, and the inputs are still there. */
  async #attempt(partitions: readonly PartitionLog[], signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      signal.throwIfAborted();
      if (brokenInvariant(error)) throw error;
      const { clock, log, counters } = this.#parts;
      const [first] = partitions;
      counters.failures.value++;
      log.warn("reconciling failed", { topicId: first?.topicId, partition: first?.partition, error });
      for (const partition of partitions) this.#pausedUntilMs.set(partition, clock.monotonicMs() + FAILURE_PAUSE_MS);
    }
  }

  /** A segment of the oldest that is pending. */
  async #makeSegment({ shardLog, partitions, bytesMax }: Piece, held: HeldExtents, signal: AbortSignal): Promise<void> {
    const [partition] = partitions;
    if (!partition || !this.#isListed({ shardLog, partition })) return;
    const at = { shardLog, partition };
    const name = this.#nameOf(partition);
    const extents = oldestExtents(partition.extents.all, bytesMax);
    const [first] = extents;
    if (!name || !first) return;
    const isAll = extents.length === partition.extents.all.length;
    const sinceMs = isAll ? this.#parts.clock.monotonicMs() : partition.pendingSinceMs;
    const parts = await this.#bytesOf(at, { extents, held }, signal);
    await this.#installSegment(at, { name: { ...name, baseOffset: first.baseOffset }, parts, sinceMs }, signal);
  }

  async #installSegment(
    at: Target,
    { name, parts, sinceMs }: { name: SegmentName; parts: readonly Uint8Array[]; sinceMs: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { objectKeys } = this.#parts;
    const { shardLog, partition } = at;
    const encoded = encodeSegment(parts);
    const plain = segmentEntry(objectKeys, name, encoded);
    const put = [plain];
    // Somebody has cut the same records in another way, and his list never came into force.
    if (!(await this.#putSegment(plain, encoded, signal))) put.unshift(await this.#putSuffixed(name, encoded, signal));
    const [segment = plain, ...unlisted] = put;
    if (this.#isListed(at) && partition.installSegment(segment, sinceMs)) {
      this.#parts.counters.segments.value++;
      this.#changed(shardLog, unlisted);
    } else if (this.#isServed(shardLog) && !this.#mayBeNamedAgain(at, segment)) {
      this.#changed(shardLog, put);
    }
  }

  /** Whether these offsets are still pending here: then a plain name of theirs is written again, and must not be deleted. */
  #mayBeNamedAgain(at: Target, { endOffset }: SegmentEntry): boolean {
    return this.#isListed(at) && endOffset > at.partition.logStart;
  }

  async #putSuffixed(name: SegmentName, encoded: EncodedSegment, signal: AbortSignal): Promise<SegmentEntry> {
    const { session, objectKeys, wal } = this.#parts;
    const writer = { sessionId: session.sessionId, n: ++this.#lastNumber };
    const segment = segmentEntry(objectKeys, { ...name, writer }, encoded);
    const { form } = segment;
    await wal.putInBackground(segment.key, encoded.segment, signal);
    if (form.type === "segment") await wal.putInBackground(form.indexKey, [encoded.index], signal);
    return segment;
  }

  /** Puts segment and index under names that others may use; whether these bytes stand there. */
  async #putSegment({ key, form }: SegmentEntry, encoded: EncodedSegment, signal: AbortSignal): Promise<boolean> {
    const { wal } = this.#parts;
    if (form.type !== "segment" || !(await wal.putIfAbsent(key, encoded.segment, signal))) return false;
    return wal.putIfAbsent(form.indexKey, [encoded.index], signal);
  }

  /** One object for what is left of partitions that have too little for one of their own. */
  async #makeGroup({ shardLog, partitions }: Piece, held: HeldExtents, signal: AbortSignal): Promise<void> {
    const { clock, session, objectKeys, wal, counters } = this.#parts;
    const sinceMs = clock.monotonicMs();
    const read: PartitionLog[] = [];
    const members: GroupMember[] = [];
    for (const partition of partitions) {
      // Who cannot be read waits by himself: the others must not keep their objects for ever because of him.
      await this.#attempt([partition], signal, async () => {
        const extents = partition.extents.all.slice();
        // The log start may have passed all of it while those before were read.
        if (extents.length === 0) return;
        const parts = await this.#bytesOf({ shardLog, partition }, { extents, held }, signal);
        members.push({ topicId: partition.topicId, partition: partition.partition, extents, parts });
        read.push(partition);
      });
    }
    if (members.length === 0) return;
    const key = objectKeys.group(shardLog.shard, session.sessionId, ++this.#lastNumber);
    const { object, entries } = encodeGroup(key, shardLog.claim.claim.epoch, members);
    await wal.putInBackground(key, object, signal);
    if (!this.#isServed(shardLog)) return;
    const listed = read.filter((partition, index) => {
      const entry = entries[index];
      return entry && this.#isListed({ shardLog, partition }) && partition.installSegment(entry, sinceMs);
    });
    if (listed.length > 0) counters.groups.value++;
    else shardLog.dropped.add(key);
    this.#parts.onChange();
  }

  /** One segment for several: under a name of its own, because where the others end is no function of the log. */
  async #merge(at: Target, merged: readonly SegmentEntry[], signal: AbortSignal): Promise<void> {
    const { shardLog, partition } = at;
    const name = this.#nameOf(partition);
    const [first] = merged;
    if (!name || !first) return;
    const parts: Uint8Array[] = [];
    for (const segment of merged) parts.push(await this.#input(at, segment, this.#reads.segment(segment, signal)));
    const encoded = encodeSegment(parts);
    const segment = await this.#putSuffixed({ ...name, baseOffset: first.baseOffset }, encoded, signal);
    if (!this.#isServed(shardLog)) return;
    const isListed = this.#isListed(at) && partition.replaceSegments(merged, segment);
    if (isListed) {
      this.#parts.counters.merges.value++;
      this.#parts.log.debug("segments merged", { key: segment.key, count: merged.length });
    }
    this.#changed(shardLog, isListed ? [] : [segment]);
  }

  /** A list has changed, or could not be: `unlisted` are segments to which nothing will ever refer. */
  #changed(shardLog: ShardLog, unlisted: readonly SegmentEntry[]): void {
    for (const { key, form } of unlisted) {
      shardLog.dropped.add(key);
      if (form.type === "segment") shardLog.dropped.add(form.indexKey);
    }
    this.#parts.onChange();
  }

  async #bytesOf(
    at: Target,
    { extents, held }: { readonly extents: readonly Extent[]; readonly held: HeldExtents },
    signal: AbortSignal,
  ): Promise<Uint8Array[]> {
    const { walReader } = this.#parts;
    const parts: Uint8Array[] = [];
    for (const extent of extents) {
      const read = () => this.#input(at, extent, this.#reads.stretch(walReader.stretchOf(extent), signal));
      parts.push(extent.tailBytes ?? held.get(extent) ?? (await read()));
    }
    return parts;
  }

  /** Passes `bytes` on. An object that is gone is told of only if a list still refers to it: it may have been dropped. */
  async #input(at: Target, unit: Extent | SegmentEntry, bytes: Promise<Uint8Array>): Promise<Uint8Array> {
    try {
      return await bytes;
    } catch (error) {
      const { segments, extents } = at.partition.stored;
      const isGone = error instanceof ObjectStoreError && error.kind === "not-found";
      const isReferredTo = segments.at(unit.baseOffset) === unit || extents.at(unit.baseOffset) === unit;
      if (isGone && isReferredTo && this.#isListed(at)) {
        this.#parts.walReader.noteDangling({ offset: unit.baseOffset, error });
      }
      throw error;
    }
  }

  /** Whether the shard is this session's to change now. */
  #isServed(shardLog: ShardLog): boolean {
    const { session, shard } = this.#parts;
    return !session.signal.aborted && shardLog.status === "ready" && shard(shardLog.shard) === shardLog;
  }

  /** Whether the partition is, besides, the one that the shard has now. */
  #isListed({ shardLog, partition }: Target): boolean {
    return this.#isServed(shardLog) && shardLog.partition(partition.topicId, partition.partition) === partition;
  }

  /** Undefined for a topic that is being deleted. */
  #nameOf({ topicId, partition }: PartitionLog): Omit<SegmentName, "baseOffset"> | undefined {
    const topic = this.#parts.feed.current.topicById(topicId);
    return topic && { topic: topic.name, topicId, partition };
  }

  /** `segment.bytes` of the topic counts where it asks for smaller segments, but none is cut below what is worth its PUTs. */
  #segmentBytes({ topicId }: PartitionLog): number {
    const { segmentBytes, pendingBytes } = this.#settings;
    const topic = this.#parts.feed.current.topicById(topicId);
    if (!topic) return segmentBytes;
    return Math.max(pendingBytes, Math.min(segmentBytes, topicConfigNumber(topic.configs, "segment.bytes")));
  }
}
