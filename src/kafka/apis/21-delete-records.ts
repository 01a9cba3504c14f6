// DeleteRecords, versions 0 to 2. Moves the log start of each partition up to the offset asked for, -1 for the high
// watermark, and answers the log start (Kafka's low watermark) when the flush that carries the move is committed. An
// offset at or below the log start changes nothing. The records are unreadable from the answer on; what they occupy in
// the store goes later.
// Refuses per partition: unknown ones, internal topics (INVALID_TOPIC_EXCEPTION), topics whose cleanup.policy has no
// "delete" (POLICY_VIOLATION), offsets below -1 or above the high watermark (OFFSET_OUT_OF_RANGE), partitions led
// elsewhere, and moves that are not committed in time (REQUEST_TIMED_OUT: the outcome is unknown).
import {
  createDeleteRecordsPartitionResult,
  createDeleteRecordsResponse,
  createDeleteRecordsTopicResult,
} from "../../../generated/kafka/delete-records-response.ts";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import type { Topic } from "../../cluster/topic.ts";
import { topicConfigText } from "../../cluster/topic-configs.ts";
import { KafkaError } from "../../kafka-error.ts";
import type { Offset } from "../../topic-partition.ts";
import { withAdminDeadline } from "../admin-deadline.ts";
import type { ApiHandler, BrokerServices, RequestOf, ResponseOf } from "../api-handler.ts";
import { findReadableLog, findTopic, hasTopic } from "../partition-lookup.ts";

type PartitionRequest = RequestOf<21>["topics"][number]["partitions"][number];
type PartitionResponse = ResponseOf<21>["topics"][number]["partitions"][number];

/** Stands for the high watermark. */
const HIGH_WATERMARK = -1;

/** One partition of the request, and its answer once it is known. */
interface Removal {
  readonly request: PartitionRequest;
  answer: PartitionResponse | undefined;
}

/** DeleteRecords. */
export const deleteRecords: ApiHandler<21> = {
  apiKey: 21,
  minVersion: 0,
  maxVersion: 2,

  knowsTopics(request, image) {
    return request.topics.every(({ name }) => hasTopic(image, name));
  },

  async respond(request, context, broker) {
    const topics = request.topics.map(({ name, partitions }) => ({
      name,
      removals: partitions.map((partition): Removal => ({ request: partition, answer: undefined })),
    }));
    try {
      await withAdminDeadline({ broker, context, timeoutMs: request.timeoutMs }, () =>
        Promise.all(topics.flatMap(({ name, removals }) => removals.map((removal) => remove(name, removal, broker)))),
      );
    } catch (error) {
      // What is done by then is answered as such; the rest is on its way, and nobody knows how it ends.
      if (!(error instanceof KafkaError)) throw error;
    }
    return createDeleteRecordsResponse({
      topics: topics.map(({ name, removals }) =>
        createDeleteRecordsTopicResult({
          name,
          partitions: removals.map(
            ({ request: { partitionIndex }, answer }) => answer ?? refused(partitionIndex, ErrorCode.REQUEST_TIMED_OUT),
          ),
        }),
      ),
    });
  },

  refuse(request, error) {
    return createDeleteRecordsResponse({
      topics: request.topics.map(({ name, partitions }) =>
        createDeleteRecordsTopicResult({
          name,
          partitions: partitions.map(({ partitionIndex }) => refused(partitionIndex, error.code)),
        }),
      ),
    });
  },
};

/** Settles with the partition's answer, also when that is a refusal. */
async function remove(topicName: string, removal: Removal, broker: BrokerServices): Promise<void> {
  const { partitionIndex, offset } = removal.request;
  try {
    const topic = findTopic(broker.image(), { name: topicName });
    requireDeletable(topic);
    const log = findReadableLog(broker.brokerLog, topic, partitionIndex);
    const lowWatermark = await log.moveLogStart(requireOffset(offset === HIGH_WATERMARK ? log.highWatermark : offset));
    removal.answer = createDeleteRecordsPartitionResult({ partitionIndex, lowWatermark });
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    removal.answer = refused(partitionIndex, error.code);
  }
}

function requireDeletable({ name, configs, isInternal }: Topic): void {
  if (isInternal) {
    throw new KafkaError(
      ErrorCode.INVALID_TOPIC_EXCEPTION,
      `records of the internal topic "${name}" cannot be deleted`,
    );
  }
  const policies = topicConfigText(configs, "cleanup.policy").split(",");
  if (policies.some((policy) => policy.trim() === "delete")) return;
  const text = `records of topic "${name}" cannot be deleted: its cleanup.policy is "${policies.join(",")}"`;
  throw new KafkaError(ErrorCode.POLICY_VIOLATION, text);
}

function requireOffset(offset: Offset): Offset {
  if (offset >= 0) return offset;
  throw new KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, `${offset} is not an offset`);
}

function refused(partitionIndex: number, errorCode: ErrorCode): PartitionResponse {
  return createDeleteRecordsPartitionResult({ partitionIndex, errorCode, lowWatermark: -1 });
}
