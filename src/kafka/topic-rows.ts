// Topics and partitions as Metadata and DescribeTopicPartitions show them. Records live in shared storage: the one
// replica of a partition is its leader, or the broker that should lead it while nobody does.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { MetadataImage } from "../cluster/image.ts";
import { ownerFor, shardOf } from "../cluster/placement.ts";
import type { Topic } from "../cluster/topic.ts";

/** The fields that partitions have in both answers. */
export interface PartitionRow {
  readonly errorCode: ErrorCode;
  readonly partitionIndex: number;
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly replicaNodes: readonly number[];
  readonly isrNodes: readonly number[];
}

/** One partition of a topic. Without a live leader it has the code LEADER_NOT_AVAILABLE and leader -1. */
export function partitionRow(image: MetadataImage, topic: Topic, partitionIndex: number): PartitionRow {
  const shard = shardOf(topic.topicId, partitionIndex);
  const owner = image.ownerOf(shard);
  if (owner) {
    const replicas = [owner.brokerId];
    const { brokerId: leaderId, epoch: leaderEpoch } = owner;
    return { errorCode: 0, partitionIndex, leaderId, leaderEpoch, replicaNodes: replicas, isrNodes: replicas };
  }
  const designated = ownerFor(shard, image.placementBrokerIds()) ?? image.brokers()[0]?.brokerId;
  const replicas = designated === undefined ? [] : [designated];
  const leaderEpoch = image.claim(shard)?.claim.epoch ?? 0;
  const errorCode = ErrorCode.LEADER_NOT_AVAILABLE;
  return { errorCode, partitionIndex, leaderId: -1, leaderEpoch, replicaNodes: replicas, isrNodes: replicas };
}

/** Bits of the operations a client may do, where nothing is refused: without an authorizer Kafka answers all that exist. */
export const allOperations = {
  // READ 3, WRITE 4, CREATE 5, DELETE 6, ALTER 7, DESCRIBE 8, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11
  topic: bits(3, 4, 5, 6, 7, 8, 10, 11),
  // CREATE 5, ALTER 7, DESCRIBE 8, CLUSTER_ACTION 9, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11, IDEMPOTENT_WRITE 12
  cluster: bits(5, 7, 8, 9, 10, 11, 12),
} as const;

/** What stands in place of operations that were not asked for. */
export const OPERATIONS_NOT_ASKED = -2_147_483_648;

function bits(...positions: readonly number[]): number {
  return positions.reduce((mask, position) => mask | (1 << position), 0);
}
