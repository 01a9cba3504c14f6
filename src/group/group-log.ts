// What the group room asks of the partition log and the cluster: narrow views of `log/broker-log.ts`,
// `log/partition-log.ts`, `cluster/image-feed.ts` and `cluster/topics.ts`, so that a test can hold a commit back and see
// that no reply runs ahead of it.
import type { RecordBatchView } from "../records/record-batch.ts";
import type { TopicId } from "../topic-partition.ts";

/** The log of one partition of `__consumer_offsets`. */
export interface GroupPartitionLog {
  /** Resolves after the commit of the batch; rejects with KafkaError. Batches commit in the order of the calls. */
  append(batch: RecordBatchView): Promise<unknown>;
  /** @throws KafkaError NOT_LEADER_OR_FOLLOWER when the leadership has ended or its liveness is unproven for too long */
  requireReadable(): void;
  /** Calls `wake` after commits, and when the log is no longer led here. Returns what ends that. */
  subscribe(wake: () => void): () => void;
  /** The newest committed record per key. */
  fold(): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>;
}

/** The partition logs this broker leads. */
export interface GroupLog {
  /**
   * The same object for as long as one leadership lasts.
   * @throws KafkaError NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR, UNKNOWN_TOPIC_OR_PARTITION
   */
  partition(topicId: TopicId, partition: number): GroupPartitionLog;
  /**
   * Resolves when a linearizable read that began after this call has shown this broker's session alive.
   * @throws KafkaError NOT_LEADER_OR_FOLLOWER otherwise
   */
  confirmSession(): Promise<void>;
  /** Calls `changed` whenever a session begins to serve. Returns what ends that. */
  onServing(changed: () => void): () => void;
}

/** A topic as the cluster knows it. */
export interface GroupTopic {
  readonly name: string;
  readonly topicId: TopicId;
  readonly partitionCount: number;
}

/** A broker that clients can dial. */
export interface CoordinatorNode {
  readonly brokerId: number;
  readonly host: string;
  readonly port: number;
}

/** The cluster as the group room needs it: an immutable snapshot. */
export interface GroupImage {
  /** Changes whenever a topic does. */
  revisionOf(collection: "topics"): number;
  topic(name: string): GroupTopic | undefined;
  topicById(topicId: TopicId): GroupTopic | undefined;
  topics(): Iterable<GroupTopic>;
  brokers(): readonly CoordinatorNode[];
  /** Who owns a shard of `cluster/placement.ts`. */
  ownerOf(shard: number): { readonly brokerId: number } | undefined;
}

/** The views of the cluster as they follow each other. */
export interface GroupFeed {
  readonly current: GroupImage;
  /** Calls `listener` with each new view and the one before it. Returns what ends that. */
  subscribe(listener: (image: GroupImage, previous: GroupImage) => void): () => void;
}

/** The writer of topics. */
export interface GroupTopics {
  /**
   * Creates an internal topic unless it exists.
   * @throws KafkaError when that did not succeed in time
   */
  ensureInternal(name: string, options: { signal: AbortSignal; partitionCount: number }): Promise<GroupTopic>;
}
