// Which shards and partitions a session may reconcile at a moment, and what becomes of work on one that fails: nothing was
// changed, and it is tried again after a pause.
import type { ImageFeed } from "../cluster/image-feed.ts";
import type { Session } from "../cluster/session.ts";
import { topicConfigNumber } from "../cluster/topic-configs.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Counter } from "../host/metrics.ts";
import { brokenInvariant } from "../invariant.ts";
import { ObjectStoreError } from "../object-store/object-store.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import type { SegmentName } from "../objects/object-keys.ts";
import type { Extent } from "./extents.ts";
import type { PartitionLog } from "./partition-log.ts";
import type { ReconcileSettings } from "./reconcile-plan.ts";
import type { ShardLog } from "./shard-log.ts";
import type { WalReader } from "./wal-reader.ts";

/** Parts of {@link ReconcileTargets}. */
export interface ReconcileTargetComponents {
  readonly session: Session;
  readonly clock: Clock;
  readonly log: Log;
  readonly feed: ImageFeed;
  readonly failures: Counter;
  readonly settings: ReconcileSettings;
  readonly walReader: WalReader;
  /** A shard of the session as it is now. */
  readonly shard: (shard: number) => ShardLog | undefined;
}

/** A partition, and the log of its shard under the claim under which work on it began. */
export interface ReconcileTarget {
  readonly shardLog: ShardLog;
  readonly partition: PartitionLog;
}

/** Pause before a partition that could not be reconciled is tried again. */
const FAILURE_PAUSE_MS = 30_000;

/** The shards of one session, as reconciling sees them. */
export class ReconcileTargets {
  readonly #parts: ReconcileTargetComponents;
  readonly #pausedUntilMs = new WeakMap<PartitionLog, number>();

  constructor(components: ReconcileTargetComponents) {
    this.#parts = components;
  }

  /** Whether the shard is this session's to change now. */
  isServed(shardLog: ShardLog): boolean {
    const { session, shard } = this.#parts;
    return !session.signal.aborted && shardLog.status === "ready" && shard(shardLog.shard) === shardLog;
  }

  /** Whether the partition is, besides, the one that the shard has now. */
  isListed({ shardLog, partition }: ReconcileTarget): boolean {
    return this.isServed(shardLog) && shardLog.partition(partition.topicId, partition.partition) === partition;
  }

  /** Partitions of a shard, without those that failed a short while ago. */
  unpaused({ partitions }: ShardLog): readonly PartitionLog[] {
    const nowMs = this.#parts.clock.monotonicMs();
    return [...partitions.values()].filter((partition) => (this.#pausedUntilMs.get(partition) ?? 0) <= nowMs);
  }

  /** Runs one piece of work. What fails is tried again later: nothing was changed, and the inputs are still there. */
  async attempt(partitions: readonly PartitionLog[], signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      signal.throwIfAborted();
      if (brokenInvariant(error)) throw error;
      const { clock, log, failures } = this.#parts;
      const [first] = partitions;
      failures.value++;
      log.warn("reconciling failed", { topicId: first?.topicId, partition: first?.partition, error });
      for (const partition of partitions) this.#pausedUntilMs.set(partition, clock.monotonicMs() + FAILURE_PAUSE_MS);
    }
  }

  /** Passes `bytes` on. An object that is gone is told of only if a list still refers to it: it may have been dropped. */
  async input(at: ReconcileTarget, unit: Extent | SegmentEntry, bytes: Promise<Uint8Array>): Promise<Uint8Array> {
    try {
      return await bytes;
    } catch (error) {
      const { segments, extents } = at.partition.stored;
      const isGone = error instanceof ObjectStoreError && error.kind === "not-found";
      const isReferredTo = segments.at(unit.baseOffset) === unit || extents.at(unit.baseOffset) === unit;
      if (isGone && isReferredTo && this.isListed(at)) {
        this.#parts.walReader.noteDangling({ offset: unit.baseOffset, error });
      }
      throw error;
    }
  }

  /** Undefined for a topic that is being deleted. */
  nameOf({ topicId, partition }: PartitionLog): Omit<SegmentName, "baseOffset"> | undefined {
    const topic = this.#parts.feed.current.topicById(topicId);
    return topic && { topic: topic.name, topicId, partition };
  }

  /** `segment.bytes` of the topic counts where it asks for smaller segments, but none is cut below what is worth its PUTs. */
  segmentBytes({ topicId }: PartitionLog): number {
    const { segmentBytes, pendingBytes } = this.#parts.settings;
    const topic = this.#parts.feed.current.topicById(topicId);
    if (!topic) return segmentBytes;
    return Math.max(pendingBytes, Math.min(segmentBytes, topicConfigNumber(topic.configs, "segment.bytes")));
  }
}
