// From the way a request names a partition to its log here, with the codes Kafka gives where that ends; and who else to
// ask when the partition is led elsewhere.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { BrokerEndpoint, MetadataImage } from "../cluster/image.ts";
import { shardOf } from "../cluster/placement.ts";
import type { Topic } from "../cluster/topic.ts";
import { KafkaError } from "../kafka-error.ts";
import type { BrokerLog } from "../log/broker-log.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import { type TopicId, ZERO_TOPIC_ID } from "../topic-partition.ts";

/** How a request names a topic: by id from some version on, by name before. */
export type TopicName = { readonly name: string } | { readonly topicId: TopicId };

/** The topic as the image has it. @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION for a name, UNKNOWN_TOPIC_ID for an id */
export function findTopic(image: MetadataImage, named: TopicName): Topic {
  const topic = "name" in named ? image.topic(named.name) : image.topicById(named.topicId);
  if (topic) return topic;
  if ("name" in named) throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `there is no topic "${named.name}"`);
  throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_ID, `there is no topic with id ${named.topicId}`);
}

/**
 * Whether the image has a topic as a request names it: by id where there is one, else by name. A row that names nothing
 * lacks nothing.
 */
export function hasTopic(image: MetadataImage, name: string | null, topicId: TopicId = ZERO_TOPIC_ID): boolean {
  if (topicId !== ZERO_TOPIC_ID) return image.topicById(topicId) !== undefined;
  return name === null || name === "" || image.topic(name) !== undefined;
}

/** The log of a partition led here. @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR */
export function findLog(brokerLog: BrokerLog, topic: Topic, partition: number): PartitionLog {
  if (partition >= 0 && partition < topic.partitionCount) return brokerLog.partition(topic.topicId, partition);
  const text = `topic "${topic.name}" has partitions 0 to ${topic.partitionCount - 1}, not ${partition}`;
  throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, text);
}

/** The same for an answer out of the log: only while the session is proven alive. @throws KafkaError as {@link findLog} */
export function findReadableLog(brokerLog: BrokerLog, topic: Topic, partition: number): PartitionLog {
  const log = findLog(brokerLog, topic, partition);
  log.requireReadable();
  return log;
}

/** Compares the leader epoch a client knows with ours. @throws KafkaError FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH */
export function requireLeaderEpoch(log: PartitionLog, currentLeaderEpoch: number): void {
  if (currentLeaderEpoch < 0 || currentLeaderEpoch === log.leaderEpoch) return;
  const isOlder = currentLeaderEpoch < log.leaderEpoch;
  const text = `partition ${log.topicId}-${log.partition} is at leader epoch ${log.leaderEpoch}, not ${currentLeaderEpoch}`;
  throw new KafkaError(isOlder ? ErrorCode.FENCED_LEADER_EPOCH : ErrorCode.UNKNOWN_LEADER_EPOCH, text);
}

/** The live leader of a partition as the image has it. */
export interface Leader {
  readonly endpoint: BrokerEndpoint;
  readonly leaderEpoch: number;
}

/** Who leads a partition, alive as far as the image knows. */
export function leaderOf(image: MetadataImage, topicId: TopicId, partition: number): Leader | undefined {
  const owner = image.ownerOf(shardOf(topicId, partition));
  const endpoint = owner && image.brokers().find((broker) => broker.brokerId === owner.brokerId);
  return endpoint && { endpoint, leaderEpoch: owner.epoch };
}

/** Whether a code tells a client that another broker leads: such answers carry a hint who (KIP-951). */
export function asksForLeader(errorCode: number): boolean {
  return errorCode === ErrorCode.NOT_LEADER_OR_FOLLOWER || errorCode === ErrorCode.FENCED_LEADER_EPOCH;
}

/** Collects the leaders an answer names, each endpoint once. */
export class LeaderHints {
  readonly #image: MetadataImage;
  readonly #ownBrokerId: number;
  readonly endpoints = new Map<number, BrokerEndpoint>();

  constructor(image: MetadataImage, ownBrokerId: number) {
    this.#image = image;
    this.#ownBrokerId = ownBrokerId;
  }

  /** The leader of a partition that this broker refused; undefined when nobody better is known. */
  hint(topicId: TopicId, partition: number): { leaderId: number; leaderEpoch: number } | undefined {
    const leader = leaderOf(this.#image, topicId, partition);
    if (!leader || leader.endpoint.brokerId === this.#ownBrokerId) return undefined;
    this.endpoints.set(leader.endpoint.brokerId, leader.endpoint);
    return { leaderId: leader.endpoint.brokerId, leaderEpoch: leader.leaderEpoch };
  }
}

/** Codes that clients of old versions do not know, told as one they retry on. */
export function knownErrorCode(errorCode: ErrorCode, options: { knowsStorageError: boolean }): ErrorCode {
  if (errorCode !== ErrorCode.KAFKA_STORAGE_ERROR || options.knowsStorageError) return errorCode;
  return ErrorCode.NOT_LEADER_OR_FOLLOWER;
}
