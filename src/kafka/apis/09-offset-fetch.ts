// OffsetFetch, versions 0 to 10. Reads a group's committed offsets: the ones asked for, or all of them for null topics
// (version 2 and up), of several groups from version 8 on, by topic id from version 10 on. What is not committed has
// offset -1 and no error, so that `auto.offset.reset` applies; a group nobody knows has nothing committed. An offset of
// a deleted topic's id does not exist for a new topic of that name. Nothing is pending without transactions, so
// `requireStable` asks for what is always so.
// It refuses: a topic id nobody has (100), a group that is coordinated elsewhere or being loaded (16, 15, 14).
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createOffsetFetchResponse,
  createOffsetFetchResponseGroup,
  createOffsetFetchResponsePartition,
  createOffsetFetchResponsePartitions,
  createOffsetFetchResponseTopic,
  createOffsetFetchResponseTopics,
  type OffsetFetchResponseGroup,
} from "../../../generated/kafka/offset-fetch-response.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { FetchOffsetsReply } from "../../group/group.ts";
import { isOfTopic } from "../../group/group-offsets.ts";
import { KafkaError } from "../../kafka-error.ts";
import { type TopicId, ZERO_TOPIC_ID } from "../../topic-partition.ts";
import type { ApiHandler, BrokerServices, RequestContext, RequestOf, ResponseOf } from "../api-handler.ts";
import { hasTopic } from "../partition-lookup.ts";

const FIRST_VERSION_WITH_TOP_LEVEL_CODE = 2;
const FIRST_VERSION_WITH_GROUPS = 8;
const FIRST_VERSION_BY_ID = 10;

/** A topic as it was asked for, with what the broker knows of it. */
interface AskedTopic {
  readonly name: string;
  readonly topicId: TopicId | undefined;
  /** As the client sent it, to be sent back. */
  readonly askedTopicId: TopicId;
  readonly partitions: readonly number[];
  /** Why nothing of the topic can be read, or NONE. */
  readonly errorCode: ErrorCode;
}

interface ReadTopic {
  readonly name: string;
  readonly topicId: TopicId;
  readonly partitions: readonly {
    readonly partitionIndex: number;
    readonly committedOffset: number;
    readonly committedLeaderEpoch: number;
    readonly metadata: string;
    readonly errorCode: ErrorCode;
  }[];
}

/** Handler of key 9. */
export const offsetFetch: ApiHandler<9> = {
  apiKey: 9,
  minVersion: 0,
  maxVersion: 10,

  knowsTopics(request, image) {
    const topics = request.groups.flatMap((group) => group.topics ?? []);
    const byName = request.topics ?? [];
    return (
      topics.every(({ name, topicId }) => hasTopic(image, name, topicId)) &&
      byName.every(({ name }) => hasTopic(image, name))
    );
  },

  async respond(request, context, broker) {
    if (context.apiVersion < FIRST_VERSION_WITH_GROUPS) {
      const image = broker.image();
      const asked = request.topics?.map((topic) => askedByName(image, topic.name, topic.partitionIndexes)) ?? null;
      return singleAnswer(await readGroup(request.groupId, asked, broker));
    }
    const groups = await Promise.all(request.groups.map((group) => readOneOfMany(group, context, broker)));
    return createOffsetFetchResponse({ groups });
  },

  refuse(request, error, context) {
    if (context.apiVersion >= FIRST_VERSION_WITH_GROUPS) {
      const groups = request.groups.map(({ groupId }) =>
        createOffsetFetchResponseGroup({ groupId, errorCode: error.code }),
      );
      return createOffsetFetchResponse({ groups });
    }
    if (context.apiVersion >= FIRST_VERSION_WITH_TOP_LEVEL_CODE)
      return createOffsetFetchResponse({ errorCode: error.code });
    const topics = request.topics?.map(({ name, partitionIndexes }) => ({
      name,
      topicId: ZERO_TOPIC_ID,
      partitions: partitionIndexes.map((partition) => missing(partition, error.code)),
    }));
    return singleAnswer(topics ?? []);
  },
};

async function readOneOfMany(
  group: RequestOf<9>["groups"][number],
  context: RequestContext,
  broker: BrokerServices,
): Promise<OffsetFetchResponseGroup> {
  const { groupId } = group;
  const image = broker.image();
  const isById = context.apiVersion >= FIRST_VERSION_BY_ID;
  const asked =
    group.topics?.map(({ name, topicId, partitionIndexes }) =>
      isById ? askedById(image, topicId, partitionIndexes) : askedByName(image, name, partitionIndexes),
    ) ?? null;
  try {
    const topics = await readGroup(groupId, asked, broker);
    return createOffsetFetchResponseGroup({
      groupId,
      topics: topics.map(({ name, topicId, partitions }) =>
        createOffsetFetchResponseTopics({
          name,
          topicId,
          partitions: partitions.map((partition) => createOffsetFetchResponsePartitions(partition)),
        }),
      ),
    });
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return createOffsetFetchResponseGroup({ groupId, errorCode: error.code });
  }
}

function askedByName(image: MetadataImage, name: string, partitions: readonly number[]): AskedTopic {
  const topicId = image.topic(name)?.topicId;
  return { name, topicId, askedTopicId: topicId ?? ZERO_TOPIC_ID, partitions, errorCode: ErrorCode.NONE };
}

function askedById(image: MetadataImage, askedTopicId: TopicId, partitions: readonly number[]): AskedTopic {
  const topic = image.topicById(askedTopicId);
  const errorCode = topic ? ErrorCode.NONE : ErrorCode.UNKNOWN_TOPIC_ID;
  return { name: topic?.name ?? "", topicId: topic?.topicId, askedTopicId, partitions, errorCode };
}

/** Reads one group; `asked` null for everything it has. */
async function readGroup(
  groupId: string,
  asked: readonly AskedTopic[] | null,
  broker: BrokerServices,
): Promise<ReadTopic[]> {
  const partitions =
    asked?.flatMap(({ name: topic, topicId, partitions: numbers }) =>
      numbers.map((partition) => ({ topic, topicId, partition })),
    ) ?? null;
  const reply = await broker.groups.fetchOffsets(groupId, { type: "fetch-offsets", partitions });
  return asked ? readAsked(asked, reply) : readAll(broker.image(), reply);
}

function readAsked(asked: readonly AskedTopic[], reply: FetchOffsetsReply): ReadTopic[] {
  let position = 0;
  return asked.map(({ name, askedTopicId, partitions, errorCode }) => ({
    name,
    topicId: askedTopicId,
    partitions: partitions.map((partition) => {
      const committed = reply.partitions[position++]?.committed;
      return committed ? found(partition, committed) : missing(partition, errorCode);
    }),
  }));
}

/** Every offset whose topic still exists under the id it was committed for. */
function readAll(image: MetadataImage, reply: FetchOffsetsReply): ReadTopic[] {
  const topics = new Map<string, ReadTopic & { partitions: ReadTopic["partitions"][number][] }>();
  for (const { topic: name, partition, committed } of reply.partitions) {
    const topicId = image.topic(name)?.topicId;
    if (topicId === undefined || !committed || !isOfTopic(committed, topicId)) continue;
    const known = topics.get(name);
    if (known) known.partitions.push(found(partition, committed));
    else topics.set(name, { name, topicId, partitions: [found(partition, committed)] });
  }
  return [...topics.values()];
}

function found(
  partitionIndex: number,
  committed: { readonly offset: number; readonly leaderEpoch: number; readonly metadata: string },
): ReadTopic["partitions"][number] {
  const { offset, leaderEpoch, metadata } = committed;
  return {
    partitionIndex,
    committedOffset: offset,
    committedLeaderEpoch: leaderEpoch,
    metadata,
    errorCode: ErrorCode.NONE,
  };
}

function missing(partitionIndex: number, errorCode: ErrorCode): ReadTopic["partitions"][number] {
  return { partitionIndex, committedOffset: -1, committedLeaderEpoch: -1, metadata: "", errorCode };
}

function singleAnswer(topics: readonly ReadTopic[]): ResponseOf<9> {
  return createOffsetFetchResponse({
    topics: topics.map(({ name, partitions }) =>
      createOffsetFetchResponseTopic({
        name,
        partitions: partitions.map((partition) => createOffsetFetchResponsePartition(partition)),
      }),
    ),
  });
}
