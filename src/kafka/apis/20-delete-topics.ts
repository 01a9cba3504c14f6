// DeleteTopics, versions 0 to 6. By name, from version 6 also by id. Answered when this broker's image no longer has the
// topic; a topic of the same name created afterwards has another id and shares nothing with it.
// Refuses per topic: unknown names (3) and ids (100), internal topics (17), a topic named by both or by neither or twice
// (INVALID_REQUEST), and changes that are not done in time (REQUEST_TIMED_OUT: the outcome is unknown).
import {
  createDeletableTopicResult,
  createDeleteTopicsResponse,
} from "../../../generated/kafka/delete-topics-response.ts";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { KafkaError } from "../../kafka-error.ts";
import { type TopicId, ZERO_TOPIC_ID } from "../../topic-partition.ts";
import { withAdminDeadline } from "../admin-deadline.ts";
import type { ApiHandler, BrokerServices, RequestContext, RequestOf, ResponseOf } from "../api-handler.ts";
import { findTopic, hasTopic } from "../partition-lookup.ts";

type DeleteTopicsRequest = RequestOf<20>;
type TopicResponse = ResponseOf<20>["responses"][number];

const FIRST_TOPIC_ID_VERSION = 6;

/** A topic as the request names it. */
interface Target {
  readonly name: string | null;
  readonly topicId: TopicId;
}

/** DeleteTopics. */
export const deleteTopics: ApiHandler<20> = {
  apiKey: 20,
  minVersion: 0,
  maxVersion: 6,

  knowsTopics(request, image) {
    return [...request.topicNames.map((name) => ({ name, topicId: undefined })), ...request.topics].every(
      ({ name, topicId }) => hasTopic(image, name, topicId),
    );
  },

  async respond(request, context, broker) {
    const targets = targetsOf(request, context);
    const responses = targets.map((target) =>
      deleteOne(target, { targets, timeoutMs: request.timeoutMs, context, broker }),
    );
    return createDeleteTopicsResponse({ responses: await Promise.all(responses) });
  },

  refuse(request, error, context) {
    return createDeleteTopicsResponse({
      responses: targetsOf(request, context).map((target) => refused(target, error)),
    });
  },
};

function targetsOf(request: DeleteTopicsRequest, { apiVersion }: RequestContext): readonly Target[] {
  if (apiVersion >= FIRST_TOPIC_ID_VERSION) return request.topics;
  return request.topicNames.map((name) => ({ name, topicId: ZERO_TOPIC_ID }));
}

async function deleteOne(
  target: Target,
  asked: { targets: readonly Target[]; timeoutMs: number; context: RequestContext; broker: BrokerServices },
): Promise<TopicResponse> {
  const { targets, timeoutMs, context, broker } = asked;
  const { name, topicId } = target;
  try {
    requireUnambiguous(target, targets);
    const topic = findTopic(broker.image(), name === null ? { topicId } : { name });
    const named = name === null ? { topicId } : { name };
    await withAdminDeadline({ broker, context, timeoutMs }, (signal) => broker.topics.delete(named, { signal }));
    broker.log.info("topic deleted", { topic: topic.name, topicId: topic.topicId });
    return createDeletableTopicResult({ name: topic.name, topicId: topic.topicId });
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return refused(target, error);
  }
}

function requireUnambiguous({ name, topicId }: Target, targets: readonly Target[]): void {
  if ((name === null) === (topicId === ZERO_TOPIC_ID)) {
    throw new KafkaError(
      ErrorCode.INVALID_REQUEST,
      "a topic is named by its name or by its id, not by both or neither",
    );
  }
  const same = targets.filter((other) => (name === null ? other.topicId === topicId : other.name === name));
  if (same.length > 1)
    throw new KafkaError(ErrorCode.INVALID_REQUEST, `the request names a topic ${same.length} times`);
}

function refused({ name, topicId }: Target, error: KafkaError): TopicResponse {
  return createDeletableTopicResult({ name, topicId, errorCode: error.code, errorMessage: error.message });
}
