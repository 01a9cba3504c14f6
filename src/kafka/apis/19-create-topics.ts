// CreateTopics, versions 0 to 7. Any broker serves it. A count of -1 (from version 4) takes the default; a replication
// factor is accepted up to the number of brokers and answered as 1, because records are in shared storage and a partition
// has one server. From version 5 the answer carries all configurations, from 7 the id.
// Refuses per topic: what cluster/topics refuses (names, existing ones, counts, configurations), the same name twice
// (INVALID_REQUEST), assignments together with counts (42), with gaps or unknown brokers (39), and changes that are not
// done in time (REQUEST_TIMED_OUT: the outcome is unknown).
import {
  createCreatableTopicConfigs,
  createCreatableTopicResult,
  createCreateTopicsResponse,
} from "../../../generated/kafka/create-topics-response.ts";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import type { Topic } from "../../cluster/topic.ts";
import { KafkaError } from "../../kafka-error.ts";
import { withAdminDeadline } from "../admin-deadline.ts";
import type { ApiHandler, BrokerServices, RequestContext, RequestOf, ResponseOf } from "../api-handler.ts";
import { topicConfigRows } from "../config-entries.ts";

type CreateTopicsRequest = RequestOf<19>;
type TopicRequest = CreateTopicsRequest["topics"][number];
type TopicResponse = ResponseOf<19>["topics"][number];

const FIRST_DEFAULTS_VERSION = 4;
const DEFAULT_COUNT = -1;
/** Servers of a partition. */
const REPLICATION_FACTOR = 1;

/** CreateTopics. */
export const createTopics: ApiHandler<19> = {
  apiKey: 19,
  minVersion: 0,
  maxVersion: 7,

  async respond(request, context, broker) {
    const names = request.topics.map(({ name }) => name);
    const topics = [...new Set(names)].map(async (name) => {
      const [topic, ...others] = request.topics.filter((each) => each.name === name);
      if (topic && others.length === 0) return createOne(topic, { request, context, broker });
      const text = `topic "${name}" is named ${others.length + 1} times`;
      return refused(name, new KafkaError(ErrorCode.INVALID_REQUEST, text));
    });
    return createCreateTopicsResponse({ topics: await Promise.all(topics) });
  },

  refuse(request, error) {
    return createCreateTopicsResponse({ topics: request.topics.map(({ name }) => refused(name, error)) });
  },
};

async function createOne(
  topicRequest: TopicRequest,
  asked: { request: CreateTopicsRequest; context: RequestContext; broker: BrokerServices },
): Promise<TopicResponse> {
  const { request, context, broker } = asked;
  const { name } = topicRequest;
  const { timeoutMs, validateOnly } = request;
  try {
    const partitionCount = partitionCountOf(topicRequest, context, broker);
    const configs = configsOf(topicRequest);
    const topic = await withAdminDeadline({ broker, context, timeoutMs }, (signal) =>
      broker.topics.create({ name, partitionCount, configs }, { signal, validateOnly }),
    );
    if (!validateOnly) broker.log.info("topic created", { topic: name, topicId: topic.topicId, partitionCount });
    return created(topic);
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return refused(name, error);
  }
}

function partitionCountOf(topic: TopicRequest, { apiVersion }: RequestContext, broker: BrokerServices): number {
  const { name, numPartitions, replicationFactor, assignments } = topic;
  if (assignments.length > 0) return assignedCount(topic, broker);
  const allowsDefault = apiVersion >= FIRST_DEFAULTS_VERSION;
  const brokerCount = broker.image().brokers().length;
  const isFactorAllowed =
    replicationFactor === DEFAULT_COUNT ? allowsDefault : replicationFactor >= 1 && replicationFactor <= brokerCount;
  if (!isFactorAllowed) {
    const text = `topic "${name}" with replication factor ${replicationFactor}: 1 to ${brokerCount} brokers are there`;
    throw new KafkaError(ErrorCode.INVALID_REPLICATION_FACTOR, text);
  }
  if (numPartitions === DEFAULT_COUNT && allowsDefault) return broker.settings.defaultPartitionCount;
  return numPartitions;
}

function assignedCount(
  { name, numPartitions, replicationFactor, assignments }: TopicRequest,
  broker: BrokerServices,
): number {
  if (numPartitions !== DEFAULT_COUNT || replicationFactor !== DEFAULT_COUNT) {
    throw new KafkaError(ErrorCode.INVALID_REQUEST, `topic "${name}" has both assignments and counts`);
  }
  const brokerIds = new Set(
    broker
      .image()
      .brokers()
      .map(({ brokerId }) => brokerId),
  );
  const partitions = new Set(assignments.map(({ partitionIndex }) => partitionIndex));
  const isWhole = assignments.every(({ partitionIndex, brokerIds: replicas }) => {
    const isKnown = replicas.length > 0 && replicas.every((brokerId) => brokerIds.has(brokerId));
    return (
      isKnown &&
      new Set(replicas).size === replicas.length &&
      partitionIndex >= 0 &&
      partitionIndex < assignments.length
    );
  });
  if (isWhole && partitions.size === assignments.length) return assignments.length;
  const text = `the assignments of topic "${name}" have gaps, duplicates or unknown brokers`;
  throw new KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, text);
}

function configsOf({ name, configs }: TopicRequest): Map<string, string> {
  const overrides = new Map<string, string>();
  for (const config of configs) {
    if (config.value === null) {
      throw new KafkaError(ErrorCode.INVALID_CONFIG, `configuration ${config.name} of topic "${name}" has no value`);
    }
    overrides.set(config.name, config.value);
  }
  return overrides;
}

function created(topic: Topic): TopicResponse {
  return createCreatableTopicResult({
    name: topic.name,
    topicId: topic.topicId,
    errorMessage: null,
    numPartitions: topic.partitionCount,
    replicationFactor: REPLICATION_FACTOR,
    configs: topicConfigRows(topic).map(({ name, value, isReadOnly, source }) =>
      createCreatableTopicConfigs({ name, value, readOnly: isReadOnly, configSource: source }),
    ),
  });
}

function refused(name: string, error: KafkaError): TopicResponse {
  return createCreatableTopicResult({ name, errorCode: error.code, errorMessage: error.message, configs: [] });
}
