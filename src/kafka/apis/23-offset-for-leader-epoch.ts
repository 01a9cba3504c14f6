// OffsetForLeaderEpoch, versions 0 to 4. The largest epoch at or below the one asked for and where it ended: the start of
// the next epoch, or the high watermark for the present one; -1 and -1 for an epoch that is unknown.
// Refuses per partition: unknown ones, leader epochs that are not ours, partitions led elsewhere.

import { type ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createEpochEndOffset,
  createOffsetForLeaderEpochResponse,
  createOffsetForLeaderTopicResult,
} from "../../../generated/kafka/offset-for-leader-epoch-response.ts";
import { KafkaError } from "../../kafka-error.ts";
import type { ApiHandler, BrokerServices, RequestOf, ResponseOf } from "../api-handler.ts";
import { findReadableLog, findTopic, hasTopic, requireLeaderEpoch } from "../partition-lookup.ts";

type PartitionRequest = RequestOf<23>["topics"][number]["partitions"][number];
type PartitionResponse = ResponseOf<23>["topics"][number]["partitions"][number];

/** OffsetForLeaderEpoch. */
export const offsetForLeaderEpoch: ApiHandler<23> = {
  apiKey: 23,
  minVersion: 0,
  maxVersion: 4,

  knowsTopics(request, image) {
    return request.topics.every(({ topic }) => hasTopic(image, topic));
  },

  respond(request, _context, broker) {
    return createOffsetForLeaderEpochResponse({
      topics: request.topics.map(({ topic, partitions }) =>
        createOffsetForLeaderTopicResult({
          topic,
          partitions: partitions.map((partition) => answerOne(topic, partition, broker)),
        }),
      ),
    });
  },

  refuse(request, error) {
    return createOffsetForLeaderEpochResponse({
      topics: request.topics.map(({ topic, partitions }) =>
        createOffsetForLeaderTopicResult({
          topic,
          partitions: partitions.map(({ partition }) => refused(partition, error.code)),
        }),
      ),
    });
  },
};

function answerOne(topic: string, request: PartitionRequest, broker: BrokerServices): PartitionResponse {
  const { partition, currentLeaderEpoch, leaderEpoch } = request;
  try {
    const log = findReadableLog(broker.brokerLog, findTopic(broker.image(), { name: topic }), partition);
    requireLeaderEpoch(log, currentLeaderEpoch);
    return createEpochEndOffset({ partition, ...log.endOffsetForEpoch(leaderEpoch) });
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return refused(partition, error.code);
  }
}

function refused(partition: number, errorCode: ErrorCode): PartitionResponse {
  return createEpochEndOffset({ partition, errorCode, leaderEpoch: -1, endOffset: -1 });
}
