// The logs of one shard under one leadership, and what its checkpoint section has to say about them.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { StoredClaim } from "../cluster/shard-claim.ts";
import { KafkaError } from "../kafka-error.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import { partitionKey, type TopicId } from "../topic-partition.ts";
import type { DroppedObjects } from "./dropped-objects.ts";
import type { FlushNumbers } from "./flush-numbers.ts";
import { PartitionLog, type PartitionTerm } from "./partition-log.ts";
import { ShardPlaces } from "./shard-places.ts";

/**
 * loading: being recovered; ready: serving; failed: its committed objects are unreadable, clients get 56. On its way to
 * another broker: leaving takes no appends and is still read, offered is neither, until it is known who owns it.
 */
export type ShardStatus = "loading" | "ready" | "failed" | "leaving" | "offered";

/** One shard that this broker's session owns. */
export class ShardLog {
  readonly shard: number;
  /** The claim under which it was loaded; checkpoints shorten it. */
  claim: StoredClaim;
  status: ShardStatus = "loading";
  #isLoaded = false;
  readonly partitions = new Map<string, PartitionLog>();
  /** The one asked for last: a shard has few partitions, and to spell a key costs more than to find it. */
  #latest: PartitionLog | undefined;
  /** What it needs of the store; its partitions keep it. */
  readonly places: ShardPlaces;
  /** Sessions whose flushes up to the number are wholly contained here: those of the loaded terms. */
  readonly covers = new Map<string, number>();
  /** Grows when partitions come or go; together with theirs it tells a checkpoint whether the section changed. */
  #membershipVersion = 0;

  /** @param onChange called when something changed that no commit tells of, and that a checkpoint has to write */
  constructor(claim: StoredClaim, onChange: () => void) {
    this.shard = claim.shard;
    this.claim = claim;
    this.places = new ShardPlaces(onChange);
  }

  /** Where the pending extents lie: of each session, the flushes that hold one. */
  get pendingFlushes(): FlushNumbers {
    return this.places.pendingFlushes;
  }

  /** Objects that its checkpoints keep naming until they are deleted. */
  get dropped(): DroppedObjects {
    return this.places.dropped;
  }

  /** Changes whenever the section does. */
  get version(): number {
    let version = this.#membershipVersion + this.dropped.version;
    for (const partition of this.partitions.values()) version += partition.version;
    return version;
  }

  /**
   * Whether recovery is done: a checkpoint has to hold it, also while it is being given away. Where it is not, nothing was
   * ever written under the claim: it takes no appends.
   */
  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** Recovery is done, and it serves. */
  becomeReady(): void {
    this.#isLoaded = true;
    this.status = "ready";
  }

  /** Recovery came to nothing, and so did what it had filled in. */
  fail(): void {
    this.status = "failed";
    this.partitions.clear();
    this.#latest = undefined;
  }

  /** Whether it never held anything that its next owner needs. */
  get isEmpty(): boolean {
    const { base, prev } = this.claim.claim;
    if (!this.isLoaded || this.partitions.size > 0 || this.dropped.size > 0) return false;
    return base === undefined && prev.length === 0;
  }

  /** @throws KafkaError NOT_LEADER_OR_FOLLOWER while loading or given away, KAFKA_STORAGE_ERROR when failed */
  requireReadable(): void {
    if (this.status === "ready" || this.status === "leaving") return;
    if (this.status === "failed") {
      throw new KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, `shard ${this.shard} could not be recovered`);
    }
    throw new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, `shard ${this.shard} is ${this.status}`);
  }

  /** @throws KafkaError as {@link requireReadable}, and NOT_LEADER_OR_FOLLOWER from the start of a hand-over */
  requireWritable(): void {
    this.requireReadable();
    if (this.status === "ready") return;
    throw new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, `shard ${this.shard} is ${this.status}`);
  }

  /** Wakes every waiter of its partitions. */
  wake(): void {
    for (const partition of this.partitions.values()) partition.wake();
  }

  /** The log of a partition; undefined when there is none yet. */
  partition(topicId: TopicId, partition: number): PartitionLog | undefined {
    const latest = this.#latest;
    if (latest?.partition === partition && latest.topicId === topicId) return latest;
    this.#latest = this.partitions.get(partitionKey(topicId, partition));
    return this.#latest;
  }

  /** The log of a partition, made empty when it is new. */
  ensurePartition(
    identity: { topicId: TopicId; partition: number; isInternal: boolean },
    term: PartitionTerm,
  ): PartitionLog {
    const key = partitionKey(identity.topicId, identity.partition);
    const known = this.partitions.get(key);
    if (known) return known;
    const made = new PartitionLog(identity, term);
    this.partitions.set(key, made);
    this.#membershipVersion++;
    return made;
  }

  /** Drops segments that were put and that no list will ever name. */
  dropUnlisted(segments: readonly SegmentEntry[]): void {
    for (const { key, form } of segments) {
      if (form.type === "segment") this.dropped.addSegment({ key, indexKey: form.indexKey });
    }
  }

  /** Forgets a partition whose topic is proven gone: its objects are dropped. */
  dropPartition(partition: PartitionLog): void {
    this.partitions.delete(partitionKey(partition.topicId, partition.partition));
    this.#latest = undefined;
    // Its own version leaves the sum, so the sum must still change.
    this.#membershipVersion += partition.version + 1;
    partition.release();
    partition.wake();
  }
}
