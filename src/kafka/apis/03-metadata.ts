// Metadata, versions 0 to 13. Version 0 takes an empty list for all topics, later ones null; from version 10 topics may be
// named by id. Creates topics that are named and absent when the request (before version 4 every one) and the settings
// allow it, and answers them at once. Every broker calls itself the controller: any may be asked to change topics.
// Refuses the whole request: more topics than the limit, ids or null names in versions 10 and 11 (INVALID_REQUEST).
// Refuses per topic: names Kafka does not allow, unknown names (3) and ids (100).
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createMetadataResponse,
  createMetadataResponseBroker,
  createMetadataResponsePartition,
  createMetadataResponseTopic,
} from "../../../generated/kafka/metadata-response.ts";
import { isInternal, type Topic, validateTopicName } from "../../cluster/topic.ts";
import { errorCodeOf, KafkaError } from "../../kafka-error.ts";
import { type TopicId, ZERO_TOPIC_ID } from "../../topic-partition.ts";
import { withAdminDeadline } from "../admin-deadline.ts";
import type { ApiHandler, BrokerServices, RequestContext, RequestOf, ResponseOf } from "../api-handler.ts";
import { hasTopic } from "../partition-lookup.ts";
import { allOperations, OPERATIONS_NOT_ASKED, partitionRow } from "../topic-rows.ts";

type MetadataRequest = RequestOf<3>;
type TopicRow = ResponseOf<3>["topics"][number];

const FIRST_NULL_FOR_ALL_VERSION = 1;
const FIRST_AUTO_CREATE_FLAG_VERSION = 4;
const FIRST_TOPIC_ID_VERSION = 12;
const FIRST_TOP_LEVEL_ERROR_VERSION = 13;

/** What a request names: a topic that is there, or why it is not. */
type Named =
  | { readonly topic: Topic }
  | { readonly name: string | null; readonly topicId: TopicId; readonly errorCode: ErrorCode };

/** Metadata. */
export const metadata: ApiHandler<3> = {
  apiKey: 3,
  minVersion: 0,
  maxVersion: 13,

  knowsTopics(request, image) {
    return (request.topics ?? []).every(({ name, topicId }) => hasTopic(image, name, topicId));
  },

  async respond(request, context, broker) {
    const asked = askedTopics(request, context);
    if (!asked)
      return responseOf(
        request,
        broker
          .image()
          .topics()
          .map((topic) => ({ topic })),
        broker,
      );
    requireAllowed(asked, context, broker);
    const isCreating =
      broker.settings.isAutoCreateEnabled &&
      (context.apiVersion < FIRST_AUTO_CREATE_FLAG_VERSION || request.allowAutoTopicCreation);
    const named = await Promise.all(
      asked.map(async ({ name, topicId }) =>
        name === null ? byId(topicId, broker) : byName(name, { isCreating, context, broker }),
      ),
    );
    return responseOf(request, named, broker);
  },

  refuse(request, error, { apiVersion }) {
    const errorCode = apiVersion >= FIRST_TOP_LEVEL_ERROR_VERSION ? error.code : ErrorCode.NONE;
    const topics = (request.topics ?? []).map(({ name, topicId }) =>
      createMetadataResponseTopic({ name: nameIn(apiVersion, name), topicId, errorCode: error.code }),
    );
    return createMetadataResponse({ errorCode, topics });
  },
};

/** The topics a request names; undefined for all. */
function askedTopics(
  { topics }: MetadataRequest,
  { apiVersion }: RequestContext,
): MetadataRequest["topics"] | undefined {
  if (topics === null) return undefined;
  return topics.length === 0 && apiVersion < FIRST_NULL_FOR_ALL_VERSION ? undefined : topics;
}

function requireAllowed(
  asked: NonNullable<MetadataRequest["topics"]>,
  { apiVersion }: RequestContext,
  { settings }: BrokerServices,
): void {
  if (asked.length > settings.metadataTopicsMax) {
    const text = `the request names ${asked.length} topics, the limit is ${settings.metadataTopicsMax}`;
    throw new KafkaError(ErrorCode.INVALID_REQUEST, text);
  }
  if (apiVersion >= FIRST_TOPIC_ID_VERSION) return;
  if (asked.some(({ name, topicId }) => name === null || topicId !== ZERO_TOPIC_ID)) {
    throw new KafkaError(ErrorCode.INVALID_REQUEST, `version ${apiVersion} cannot name topics by id`);
  }
}

function byId(topicId: TopicId, broker: BrokerServices): Named {
  const topic = broker.image().topicById(topicId);
  return topic ? { topic } : { name: null, topicId, errorCode: ErrorCode.UNKNOWN_TOPIC_ID };
}

async function byName(
  name: string,
  options: { isCreating: boolean; context: RequestContext; broker: BrokerServices },
): Promise<Named> {
  const { isCreating, context, broker } = options;
  const known = broker.image().topic(name);
  if (known) return { topic: known };
  try {
    validateTopicName(name);
    if (!isCreating || isInternal(name)) return unknownName(name);
    const partitionCount = broker.settings.defaultPartitionCount;
    const topic = await withAdminDeadline({ broker, context }, (signal) =>
      broker.topics.create({ name, partitionCount, configs: new Map() }, { signal }),
    );
    broker.log.info("topic created on first use", { topic: name, topicId: topic.topicId, partitionCount });
    return { topic };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    // Somebody else was faster: the topic is there, here as well as soon as the image shows it.
    const topic = error.code === ErrorCode.TOPIC_ALREADY_EXISTS ? broker.image().topic(name) : undefined;
    if (topic) return { topic };
    const isWaiting = error.code === ErrorCode.TOPIC_ALREADY_EXISTS || error.code === ErrorCode.REQUEST_TIMED_OUT;
    return { name, topicId: ZERO_TOPIC_ID, errorCode: isWaiting ? ErrorCode.LEADER_NOT_AVAILABLE : errorCodeOf(error) };
  }
}

function unknownName(name: string): Named {
  return { name, topicId: ZERO_TOPIC_ID, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
}

/** Before version 12 the name of a topic is never null. */
function nameIn(apiVersion: number, name: string | null): string | null {
  return name ?? (apiVersion >= FIRST_TOPIC_ID_VERSION ? null : "");
}

function responseOf(request: MetadataRequest, named: readonly Named[], broker: BrokerServices): ResponseOf<3> {
  const image = broker.image();
  const topicAuthorizedOperations = request.includeTopicAuthorizedOperations
    ? allOperations.topic
    : OPERATIONS_NOT_ASKED;
  const topics = named.map((each): TopicRow => {
    if (!("topic" in each)) return createMetadataResponseTopic(each);
    const { name, topicId, isInternal: isInternalTopic, partitionCount } = each.topic;
    const partitions = Array.from({ length: partitionCount }, (_, index) =>
      createMetadataResponsePartition(partitionRow(image, each.topic, index)),
    );
    return createMetadataResponseTopic({
      name,
      topicId,
      isInternal: isInternalTopic,
      partitions,
      topicAuthorizedOperations,
    });
  });
  return createMetadataResponse({
    brokers: image
      .brokers()
      .map(({ brokerId, host, port, rack }) =>
        createMetadataResponseBroker({ nodeId: brokerId, host, port, rack: rack === "" ? null : rack }),
      ),
    clusterId: image.clusterId,
    controllerId: broker.brokerId,
    topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
      ? allOperations.cluster
      : OPERATIONS_NOT_ASKED,
  });
}
