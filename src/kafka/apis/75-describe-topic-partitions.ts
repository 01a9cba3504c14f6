// DescribeTopicPartitions, version 0. The named topics in the order of their names, all topics for an empty list, at most
// as many partitions as the request and the broker allow; the rest is asked for with the cursor of the answer. Creates
// nothing. Refuses per topic: unknown names (3), names Kafka does not allow (17).
import {
  createCursor,
  createDescribeTopicPartitionsResponse,
  createDescribeTopicPartitionsResponsePartition,
  createDescribeTopicPartitionsResponseTopic,
} from "../../../generated/kafka/describe-topic-partitions-response.ts";
import type { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import { validateTopicName } from "../../cluster/topic.ts";
import { errorCodeOf, KafkaError } from "../../kafka-error.ts";
import type { ApiHandler, RequestOf, ResponseOf } from "../api-handler.ts";
import { findTopic, hasTopic } from "../partition-lookup.ts";
import { allOperations, partitionRow } from "../topic-rows.ts";

type TopicRow = ResponseOf<75>["topics"][number];

/** DescribeTopicPartitions. */
export const describeTopicPartitions: ApiHandler<75> = {
  apiKey: 75,
  minVersion: 0,
  maxVersion: 0,

  knowsTopics(request, image) {
    return request.topics.every(({ name }) => hasTopic(image, name));
  },

  respond(request, _context, broker) {
    const image = broker.image();
    const { responsePartitionLimit, cursor } = request;
    const { describePartitionsMax } = broker.settings;
    let left = Math.max(1, Math.min(responsePartitionLimit, describePartitionsMax));
    const topics: TopicRow[] = [];
    for (const name of namesOf(request, image)) {
      const from = name === cursor?.topicName ? Math.max(0, cursor.partitionIndex) : 0;
      if (left === 0) {
        const nextCursor = createCursor({ topicName: name, partitionIndex: from });
        return createDescribeTopicPartitionsResponse({ topics, nextCursor });
      }
      const row = topicRow(image, name, { from, count: left });
      topics.push(row.topic);
      left -= row.topic.partitions.length;
      if (row.next !== undefined) {
        const nextCursor = createCursor({ topicName: name, partitionIndex: row.next });
        return createDescribeTopicPartitionsResponse({ topics, nextCursor });
      }
    }
    return createDescribeTopicPartitionsResponse({ topics });
  },

  refuse(request, error) {
    return createDescribeTopicPartitionsResponse({
      topics: request.topics.map(({ name }) => refused(name, error.code)),
    });
  },
};

/** The names to answer, ascending, from the cursor on. */
function namesOf({ topics, cursor }: RequestOf<75>, image: MetadataImage): readonly string[] {
  const asked = topics.length > 0 ? topics.map(({ name }) => name) : image.topics().map(({ name }) => name);
  const names = [...new Set(asked)].sort();
  return cursor ? names.filter((name) => name >= cursor.topicName) : names;
}

/** A topic with up to `count` partitions from `from` on, and the first partition left over. */
function topicRow(
  image: MetadataImage,
  name: string,
  { from, count }: { from: number; count: number },
): { topic: TopicRow; next: number | undefined } {
  try {
    validateTopicName(name);
    const topic = findTopic(image, { name });
    const end = Math.min(topic.partitionCount, from + count);
    const partitions = Array.from({ length: Math.max(0, end - from) }, (_, index) =>
      createDescribeTopicPartitionsResponsePartition({
        ...partitionRow(image, topic, from + index),
        offlineReplicas: [],
        // Nullable in the schema, and the Java admin client fails on null.
        eligibleLeaderReplicas: [],
        lastKnownElr: [],
      }),
    );
    const { topicId, isInternal } = topic;
    const row = createDescribeTopicPartitionsResponseTopic({
      name,
      topicId,
      isInternal,
      partitions,
      topicAuthorizedOperations: allOperations.topic,
    });
    return { topic: row, next: end < topic.partitionCount ? end : undefined };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return { topic: refused(name, errorCodeOf(error)), next: undefined };
  }
}

function refused(name: string, errorCode: ErrorCode): TopicRow {
  return createDescribeTopicPartitionsResponseTopic({ name, errorCode });
}
