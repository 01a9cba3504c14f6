// Turns pending extents of WAL objects into segments and groups, one at a time in the background. Inputs stay what they are
// until a list in a checkpoint in force names the output. Decides with the lists as they are in the step in which it changes
// them, and changes no shard that is not served; what it put in vain is dropped, or left under a name that nobody else uses.
import type { ImageFeed } from "../cluster/image-feed.ts";
import type { Session } from "../cluster/session.ts";
import { type Clock, sleep } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Counter, Metrics } from "../host/metrics.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import type { ObjectKeys, SegmentName } from "../objects/object-keys.ts";
import { encodeSegment } from "../objects/segment.ts";
import { BackgroundReads } from "./background-reads.ts";
import type { Extent } from "./extents.ts";
import { type GatheredExtents, gatherExtents, type WantedExtents } from "./gathered-extents.ts";
import type { LogSettings } from "./log-settings.ts";
import type { PartitionLog } from "./partition-log.ts";
import {
  batchesOf,
  fitting,
  oldestExtents,
  type Piece,
  planReconcile,
  type ReconcileSettings,
  segmentBytesOf,
} from "./reconcile-plan.ts";
import { type ReconcileTarget, ReconcileTargets } from "./reconcile-targets.ts";
import type { GroupMember } from "./reconciled-objects.ts";
import { ReconciledPuts } from "./reconciled-puts.ts";
import { inOrderOfPlaces } from "./seal.ts";
import { SegmentMerger } from "./segment-merger.ts";
import type { ShardLog } from "./shard-log.ts";
import { SmallPuts } from "./small-puts.ts";
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

/** What is reconciled together. */
type Lot = ReadonlyMap<PartitionLog, GatheredExtents>;

/** A shard whose claim names more earlier terms is reconciled at once. */
const PREV_TERMS_MAX = 16;
/** So long at a time segments are merged before it is looked at again what is pending. */
const MERGE_MS_MAX = 5_000;
/** Reconciles the partitions of one session. */
export class Reconciler {
  readonly #parts: ReconcilerComponents;
  readonly #settings: ReconcileSettings;
  readonly #reads: BackgroundReads;
  readonly #targets: ReconcileTargets;
  readonly #puts: ReconciledPuts;
  readonly #merger: SegmentMerger;
  readonly #smallPuts: SmallPuts;

  constructor(components: ReconcilerComponents) {
    const { store, clock, settings, session, counters } = components;
    const { reconcile } = settings;
    this.#parts = components;
    this.#settings = reconcile;
    this.#reads = new BackgroundReads({
      store,
      clock,
      attemptTimeoutMs: settings.storeAttemptTimeoutMs,
      bytesPerSecond: reconcile.bytesPerSecond,
    });
    this.#targets = new ReconcileTargets({ ...components, failures: counters.failures, settings: reconcile });
    this.#puts = new ReconciledPuts({ ...components, sessionId: session.sessionId });
    this.#merger = new SegmentMerger({
      ...components,
      settings: reconcile,
      reads: this.#reads,
      targets: this.#targets,
      puts: this.#puts,
      merges: counters.merges,
    });
    this.#smallPuts = new SmallPuts(reconcile.smallPutsPerSecond);
  }

  /** Looks at every partition again and again, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let merging: readonly ShardLog[] = [];
    let isMergingSmall = false;
    for (;;) {
      await sleep(this.#parts.clock, this.#settings.intervalMs, signal);
      const isSmallPaid = this.#smallPuts.isOpen(this.#parts.clock.monotonicMs());
      let isMore = true;
      while (isMore) isMore = await this.#reconcilePending(isSmallPaid, signal);
      if (merging.length === 0) [merging, isMergingSmall] = [this.#servedShards(), isSmallPaid];
      merging = await this.#mergeSome(merging, isMergingSmall, signal);
    }
  }

  /** Merges in the shards of the list, one after the other, for a while; what is left of it. */
  async #mergeSome(
    shardLogs: readonly ShardLog[],
    isSmallPaid: boolean,
    signal: AbortSignal,
  ): Promise<readonly ShardLog[]> {
    const { clock } = this.#parts;
    const endMs = clock.monotonicMs() + MERGE_MS_MAX;
    for (const [index, shardLog] of shardLogs.entries()) {
      // What is pending must not wait for all of it.
      if (clock.monotonicMs() >= endMs) return shardLogs.slice(index);
      const count = await this.#merger.merge(shardLog, { isSmallPaid }, signal);
      this.#smallPuts.spend(clock.monotonicMs(), count);
    }
    return [];
  }

  /** One segment for each partition whose time has come; whether some of them have enough for another one. */
  async #reconcilePending(isSmallPaid: boolean, signal: AbortSignal): Promise<boolean> {
    const { counters, clock } = this.#parts;
    const madeBefore = counters.segments.value;
    const pieces = this.#duePieces(isSmallPaid);
    for (const batch of batchesOf(pieces, this.#settings.heldBytes)) {
      const lot = await this.#gather(batch, signal);
      // A store that does not answer has nothing for the others either.
      if (!lot) return false;
      for (const piece of batch) {
        const { shardLog, wanted } = piece;
        if (!this.#targets.isServed(shardLog)) continue;
        const putBefore = this.#puts.count;
        await this.#targets.attempt(partitionsOf(wanted), signal, () =>
          piece.isGroup ? this.#makeGroup(piece, lot, signal) : this.#makeSegment(piece, lot, signal),
        );
        if (piece.isSmall) this.#smallPuts.spend(clock.monotonicMs(), this.#puts.count - putBefore);
      }
    }
    return counters.segments.value > madeBefore && pieces.some(({ isMore }) => isMore);
  }

  /** What is to be done now, in the order of {@link inOrderOfPlaces}. */
  #duePieces(isSmallPaid: boolean): readonly Piece[] {
    const groups: Piece[] = [];
    const alone: (ReconcileTarget & { readonly isUrgent: boolean })[] = [];
    for (const { shardLog, plan, isUrgent, isSmallTaken } of this.#plans(isSmallPaid)) {
      const small = isSmallTaken ? plan.small : [];
      const isTiny = ({ extents }: PartitionLog) => extents.bytes < this.#settings.groupBytes;
      for (const partition of plan.large) alone.push({ shardLog, partition, isUrgent });
      for (const partition of small) if (!isTiny(partition)) alone.push({ shardLog, partition, isUrgent });
      const partitions = fitting(small.filter(isTiny), this.#settings.segmentBytes);
      const wanted = partitions.map((partition) => this.#wanted(partition, partition.extents.bytes));
      const bytes = partitions.reduce((sum, { extents }) => sum + extents.bytes, 0);
      if (bytes > 0) groups.push({ shardLog, wanted, isGroup: true, isSmall: !isUrgent, bytes, isMore: false });
    }
    const shareBytes = segmentBytesOf(alone.length, this.#settings);
    const segments = alone.map(({ shardLog, partition, isUrgent }): Piece => {
      const pendingBytes = partition.extents.bytes;
      const bytesMax = Math.min(shareBytes, this.#targets.segmentBytes(partition));
      return {
        shardLog,
        wanted: [this.#wanted(partition, bytesMax)],
        isGroup: false,
        // What is urgent has no price, or a broker that was overrun for an hour would make nothing small for a day.
        isSmall: !isUrgent && pendingBytes < this.#settings.pendingBytes,
        bytes: Math.min(pendingBytes, bytesMax),
        isMore: pendingBytes >= 2 * bytesMax,
      };
    });
    return inOrderOfPlaces([...segments, ...groups], ({ wanted: [first] }) => first?.partition);
  }

  #wanted(partition: PartitionLog, bytesMax: number): WantedExtents {
    const { all } = partition.extents;
    const extents = oldestExtents(all, bytesMax);
    const isAll = extents.length === all.length;
    const restSinceMs = isAll ? this.#parts.clock.monotonicMs() : partition.pendingSinceMs;
    return { partition, extents, restSinceMs };
  }

  /** Those that have partitions: most shards of an idle broker have none, and are looked at every few seconds. */
  #servedShards(): readonly ShardLog[] {
    return this.#parts.shards().filter((shardLog) => shardLog.partitions.size > 0 && this.#targets.isServed(shardLog));
  }

  /** What could be done in each shard, and whether that includes what is small. */
  #plans(isSmallPaid: boolean) {
    const plans = this.#servedShards().map((shardLog) => ({ shardLog, partitions: this.#targets.unpaused(shardLog) }));
    const extentCount = plans.reduce(
      (sum, { partitions }) => sum + partitions.reduce((count, { extents }) => count + extents.all.length, 0),
      0,
    );
    const isFull = extentCount > this.#settings.pendingExtentsMax;
    const planned = plans.map(({ shardLog, partitions }) => {
      // A broker that is restarted again and again must not make claims grow for ever: then nothing is too young.
      const isUrgent = isFull || shardLog.claim.claim.prev.length > PREV_TERMS_MAX;
      const nowMs = isUrgent ? Number.POSITIVE_INFINITY : this.#parts.clock.monotonicMs();
      return { shardLog, isUrgent, plan: planReconcile(partitions, nowMs, this.#settings) };
    });
    // Small ones are taken together wherever they are: their records lie in the same write-ahead objects.
    const isDue = isSmallPaid && planned.some(({ plan }) => plan.isSmallDue);
    return planned.map((one) => ({ ...one, isSmallTaken: one.isUrgent || isDue }));
  }

  /** What a batch is made of, and its bytes; undefined when the store does not answer. */
  async #gather(batch: readonly Piece[], signal: AbortSignal): Promise<Lot | undefined> {
    const { clock, walReader } = this.#parts;
    const stretchOf = (extent: Extent) => walReader.stretchOf(extent);
    const wanted = batch.flatMap((piece) => piece.wanted);
    let lot: Lot | undefined;
    await this.#targets.attempt(partitionsOf(wanted), signal, async () => {
      lot = await gatherExtents({ clock, reads: this.#reads, stretchOf }, wanted, signal);
    });
    return lot;
  }

  /** A segment of the oldest that was pending. */
  async #makeSegment({ shardLog, wanted }: Piece, lot: Lot, signal: AbortSignal): Promise<void> {
    const [partition] = partitionsOf(wanted);
    const gathered = partition && lot.get(partition);
    if (!gathered || !this.#targets.isListed({ shardLog, partition })) return;
    const name = this.#targets.nameOf(partition);
    const pending = gathered.stillPending();
    const [first] = pending.extents;
    if (!name || !first) return;
    const at = { shardLog, partition };
    const parts = await this.#bytesOf(at, pending, signal);
    const { restSinceMs: sinceMs } = gathered.wanted;
    await this.#installSegment(at, { name: { ...name, baseOffset: first.baseOffset }, parts, sinceMs }, signal);
  }

  async #installSegment(
    at: ReconcileTarget,
    { name, parts, sinceMs }: { name: SegmentName; parts: readonly Uint8Array[]; sinceMs: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { shardLog, partition } = at;
    const { segment, unlisted } = await this.#puts.plain(name, encodeSegment(parts), signal);
    const inVain = unlisted ? [unlisted] : [];
    if (this.#targets.isListed(at) && partition.installSegment(segment, sinceMs)) {
      this.#parts.counters.segments.value++;
      shardLog.dropUnlisted(inVain);
      this.#parts.onChange();
    } else if (this.#targets.isServed(shardLog) && !this.#mayBeNamedAgain(at, segment)) {
      shardLog.dropUnlisted([segment, ...inVain]);
      this.#parts.onChange();
    }
  }

  /** Whether these offsets are still pending here: then a plain name of theirs is written again, and must not be deleted. */
  #mayBeNamedAgain(at: ReconcileTarget, { endOffset }: SegmentEntry): boolean {
    return this.#targets.isListed(at) && endOffset > at.partition.logStart;
  }

  /** One object for what is left of partitions that have too little for one of their own. */
  async #makeGroup({ shardLog, wanted }: Piece, lot: Lot, signal: AbortSignal): Promise<void> {
    const { counters } = this.#parts;
    const read: GatheredExtents[] = [];
    const members: GroupMember[] = [];
    for (const partition of partitionsOf(wanted)) {
      // Who cannot be read waits by himself: the others must not keep their objects for ever because of him.
      await this.#targets.attempt([partition], signal, async () => {
        const gathered = lot.get(partition);
        const pending = gathered?.stillPending();
        const [first, last] = [pending?.extents[0], pending?.extents.at(-1)];
        // The log start may have passed all of it while it was read.
        if (!gathered || !pending || !first || !last) return;
        const parts = await this.#bytesOf({ shardLog, partition }, pending, signal);
        const { topicId, partition: index } = partition;
        const { baseOffset } = first;
        const { endOffset } = last;
        const maxTimestampMs = pending.extents.reduce((max, extent) => Math.max(max, extent.maxTimestampMs), -1);
        members.push({ topicId, partition: index, baseOffset, endOffset, maxTimestampMs, parts });
        read.push(gathered);
      });
    }
    if (members.length === 0) return;
    const { key, entries } = await this.#puts.group(shardLog, members, signal);
    if (!this.#targets.isServed(shardLog)) return;
    const listed = read.filter(({ wanted: { partition, restSinceMs } }, index) => {
      const entry = entries[index];
      return entry && this.#targets.isListed({ shardLog, partition }) && partition.installSegment(entry, restSinceMs);
    });
    if (listed.length > 0) counters.groups.value++;
    else shardLog.dropped.add(key);
    this.#parts.onChange();
  }

  async #bytesOf(
    at: ReconcileTarget,
    { bytes, unread }: { readonly bytes: Uint8Array; readonly unread: readonly Extent[] },
    signal: AbortSignal,
  ): Promise<Uint8Array[]> {
    const { walReader } = this.#parts;
    const parts = bytes.length > 0 ? [bytes] : [];
    for (const extent of unread) {
      const read = () => this.#targets.input(at, extent, this.#reads.stretch(walReader.stretchOf(extent), signal));
      parts.push(extent.tailBytes ?? (await read()));
    }
    return parts;
  }
}

function partitionsOf(wanted: readonly WantedExtents[]): readonly PartitionLog[] {
  return wanted.map(({ partition }) => partition);
}
