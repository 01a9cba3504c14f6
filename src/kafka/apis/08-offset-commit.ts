// OffsetCommit, versions 0 to 10. Commits a group's offsets; the answer leaves once they are durable. Metadata and leader
// epoch come back from OffsetFetch as they were sent.
// It refuses: topics and partitions that do not exist (3; from version 10 on, where topics come by id, 100), text over
// 4,096 bytes (12), commits by strangers (25), of old generations (22), during a rebalance's second half (27), by a
// static member that was replaced (82), and of a generation of a group nobody knows (22; 69 from version 9 on).
// Version 0 kept offsets in ZooKeeper once; here it is a commit like any other.
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import type {
  OffsetCommitRequestPartition,
  OffsetCommitRequestTopic,
} from "../../../generated/kafka/offset-commit-request.ts";
import {
  createOffsetCommitResponse,
  createOffsetCommitResponsePartition,
  createOffsetCommitResponseTopic,
} from "../../../generated/kafka/offset-commit-response.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { Topic } from "../../cluster/topic.ts";
import type { CommitPartition } from "../../group/group.ts";
import type { ApiHandler, RequestOf, ResponseOf } from "../api-handler.ts";
import { hasTopic } from "../partition-lookup.ts";

const FIRST_VERSION_BY_ID = 10;
const FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND = 9;

type CodeOf = (topic: OffsetCommitRequestTopic, partition: OffsetCommitRequestPartition) => ErrorCode;

/** Handler of key 8. */
export const offsetCommit: ApiHandler<8> = {
  apiKey: 8,
  minVersion: 0,
  maxVersion: 10,

  knowsTopics(request, image) {
    return request.topics.every(({ name, topicId }) => hasTopic(image, name, topicId));
  },

  async respond(request, context, broker) {
    const isById = context.apiVersion >= FIRST_VERSION_BY_ID;
    const image = broker.image();
    const partitions: CommitPartition[] = [];
    const positions = new Map<OffsetCommitRequestPartition, number>();
    for (const asked of request.topics) {
      const topic = topicOf(image, asked, isById);
      for (const partition of asked.partitions) {
        if (!topic || !hasPartition(topic, partition.partitionIndex)) continue;
        positions.set(partition, partitions.length);
        partitions.push(commitPartition(topic, partition));
      }
    }
    const errorCodes = partitions.length === 0 ? [] : await commit(partitions);
    const unknownCode = isById ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    return answer(request, (asked, partition) => {
      const code = errorCodes[positions.get(partition) ?? -1];
      return code ?? (topicOf(image, asked, isById) ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION : unknownCode);
    });

    async function commit(known: readonly CommitPartition[]): Promise<readonly ErrorCode[]> {
      const hasNotFound = context.apiVersion >= FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND;
      const reply = await broker.groups.ask(request.groupId, {
        type: "commit",
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        generation: request.generationIdOrMemberEpoch,
        unknownGroupCode: hasNotFound ? ErrorCode.GROUP_ID_NOT_FOUND : ErrorCode.ILLEGAL_GENERATION,
        retentionMs: request.retentionTimeMs,
        partitions: known,
      });
      return reply.errorCodes;
    }
  },

  refuse(request, error) {
    return answer(request, () => error.code);
  },
};

function topicOf(image: MetadataImage, asked: OffsetCommitRequestTopic, isById: boolean): Topic | undefined {
  return isById ? image.topicById(asked.topicId) : image.topic(asked.name);
}

function hasPartition(topic: Topic, partition: number): boolean {
  return partition >= 0 && partition < topic.partitionCount;
}

function commitPartition(topic: Topic, partition: OffsetCommitRequestPartition): CommitPartition {
  return {
    topic: topic.name,
    topicId: topic.topicId,
    partition: partition.partitionIndex,
    offset: partition.committedOffset,
    leaderEpoch: partition.committedLeaderEpoch,
    metadata: partition.committedMetadata ?? "",
    commitTimestampMs: partition.commitTimestamp,
  };
}

function answer(request: RequestOf<8>, codeOf: CodeOf): ResponseOf<8> {
  const topics = request.topics.map((topic) =>
    createOffsetCommitResponseTopic({
      name: topic.name,
      topicId: topic.topicId,
      partitions: topic.partitions.map((partition) =>
        createOffsetCommitResponsePartition({
          partitionIndex: partition.partitionIndex,
          errorCode: codeOf(topic, partition),
        }),
      ),
    }),
  );
  return createOffsetCommitResponse({ topics });
}
