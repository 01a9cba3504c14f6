// ListOffsets, versions 0 to 11. Latest (-1) is the high watermark, or the last stable offset for read_committed; earliest
// (-2) and earliest local (-4, from 8) are the log start; -3 (from 7) the record with the largest timestamp; -5 (from 9)
// and -6 (from 11) speak of tiers, of which there are none: offset -1. A time of 0 or more gives the first record at or
// after it, exactly, or offset -1. Version 0 gives up to max_num_offsets offsets, the newest first.
// Refuses per partition: unknown ones, a partition listed twice (INVALID_REQUEST), a special time that the version does
// not know (UNSUPPORTED_VERSION), leader epochs that are not ours, partitions led elsewhere.
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createListOffsetsPartitionResponse,
  createListOffsetsResponse,
  createListOffsetsTopicResponse,
} from "../../../generated/kafka/list-offsets-response.ts";
import { KafkaError } from "../../kafka-error.ts";
import type { PartitionLog } from "../../log/partition-log.ts";
import type { Offset, TimestampMs } from "../../topic-partition.ts";
import type { ApiHandler, BrokerServices, RequestContext, RequestOf, ResponseOf } from "../api-handler.ts";
import { findReadableLog, findTopic, hasTopic, requireLeaderEpoch } from "../partition-lookup.ts";

type TopicRequest = RequestOf<2>["topics"][number];
type PartitionRequest = TopicRequest["partitions"][number];
type PartitionResponse = ResponseOf<2>["topics"][number]["partitions"][number];

const LATEST = -1;
const EARLIEST = -2;
const MAX_TIMESTAMP = -3;
const EARLIEST_LOCAL = -4;
const LATEST_TIERED = -5;
const EARLIEST_PENDING_UPLOAD = -6;
const READ_COMMITTED = 1;

/** The first version that knows each special time. */
const firstVersionOf: ReadonlyMap<number, number> = new Map([
  [LATEST, 0],
  [EARLIEST, 0],
  [MAX_TIMESTAMP, 7],
  [EARLIEST_LOCAL, 8],
  [LATEST_TIERED, 9],
  [EARLIEST_PENDING_UPLOAD, 11],
]);

/** What is known of the record or place asked for; -1 where there is none. */
interface Place {
  readonly offset: Offset;
  readonly timestampMs: TimestampMs;
  readonly leaderEpoch: number;
}

const NOWHERE: Place = { offset: -1, timestampMs: -1, leaderEpoch: -1 };

/** ListOffsets. */
export const listOffsets: ApiHandler<2> = {
  apiKey: 2,
  minVersion: 0,
  maxVersion: 11,

  knowsTopics(request, image) {
    return request.topics.every(({ name }) => hasTopic(image, name));
  },

  async respond(request, context, broker) {
    const isCommitted = request.isolationLevel === READ_COMMITTED;
    const topics = request.topics.map(async (topic) => {
      const twice = listedTwice(request.topics, topic.name);
      const partitions = topic.partitions.map((partition) =>
        answerOne(partition, { topic: topic.name, twice, isCommitted, context, broker }),
      );
      return createListOffsetsTopicResponse({ name: topic.name, partitions: await Promise.all(partitions) });
    });
    return createListOffsetsResponse({ topics: await Promise.all(topics) });
  },

  refuse(request, error) {
    return createListOffsetsResponse({
      topics: request.topics.map(({ name, partitions }) =>
        createListOffsetsTopicResponse({
          name,
          partitions: partitions.map(({ partitionIndex }) => refused(partitionIndex, error.code)),
        }),
      ),
    });
  },
};

/** The partitions of a topic that the request names more than once. */
function listedTwice(topics: readonly TopicRequest[], name: string): ReadonlySet<number> {
  const once = new Set<number>();
  const twice = new Set<number>();
  for (const topic of topics) {
    if (topic.name !== name) continue;
    for (const { partitionIndex } of topic.partitions) (once.has(partitionIndex) ? twice : once).add(partitionIndex);
  }
  return twice;
}

async function answerOne(
  request: PartitionRequest,
  asked: {
    topic: string;
    twice: ReadonlySet<number>;
    isCommitted: boolean;
    context: RequestContext;
    broker: BrokerServices;
  },
): Promise<PartitionResponse> {
  const { partitionIndex, timestamp, currentLeaderEpoch } = request;
  const { context, broker } = asked;
  try {
    if (asked.twice.has(partitionIndex)) {
      throw new KafkaError(
        ErrorCode.INVALID_REQUEST,
        `partition ${partitionIndex} of "${asked.topic}" is listed twice`,
      );
    }
    const log = findReadableLog(broker.brokerLog, findTopic(broker.image(), { name: asked.topic }), partitionIndex);
    requireLeaderEpoch(log, currentLeaderEpoch);
    const timestampMs = requireKnownTime(timestamp, context.apiVersion);
    const end = asked.isCommitted ? log.lastStableOffset : log.highWatermark;
    if (context.apiVersion === 0) {
      const oldStyleOffsets = await offsetsBefore(log, { timestampMs, end, signal: context.signal });
      return createListOffsetsPartitionResponse({
        partitionIndex,
        oldStyleOffsets: oldStyleOffsets.slice(0, Math.max(0, request.maxNumOffsets)),
      });
    }
    const place = await placeOf(log, { timestampMs, end, signal: context.signal });
    return createListOffsetsPartitionResponse({
      partitionIndex,
      offset: place.offset,
      timestamp: place.timestampMs,
      // Not ignorable in the schema: older versions refuse to be written with it.
      leaderEpoch: context.apiVersion >= 4 ? place.leaderEpoch : -1,
    });
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return refused(partitionIndex, error.code);
  }
}

function refused(partitionIndex: number, errorCode: ErrorCode): PartitionResponse {
  return createListOffsetsPartitionResponse({ partitionIndex, errorCode });
}

/** The time as a number: one past the safe range is later than every record, so it is as good as the last safe one. */
function requireKnownTime(timestamp: bigint, apiVersion: number): number {
  if (timestamp >= 0n) return Number(timestamp > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : timestamp);
  const firstVersion = firstVersionOf.get(Number(timestamp));
  if (firstVersion !== undefined && firstVersion <= apiVersion) return Number(timestamp);
  throw new KafkaError(ErrorCode.UNSUPPORTED_VERSION, `version ${apiVersion} knows no special time ${timestamp}`);
}

interface Search {
  readonly timestampMs: number;
  /** The end of what the client may see. */
  readonly end: Offset;
  readonly signal: AbortSignal;
}

async function placeOf(log: PartitionLog, { timestampMs, end, signal }: Search): Promise<Place> {
  switch (timestampMs) {
    case LATEST:
      return { offset: end, timestampMs: -1, leaderEpoch: log.leaderEpoch };
    case EARLIEST:
    case EARLIEST_LOCAL:
      return { offset: log.logStart, timestampMs: -1, leaderEpoch: epochAt(log, log.logStart) };
    case LATEST_TIERED:
    case EARLIEST_PENDING_UPLOAD:
      return NOWHERE;
    case MAX_TIMESTAMP:
      return within(await log.findMaxTimestamp({ signal }), end);
    default:
      return within(await log.findByTimestamp(timestampMs, { signal }), end);
  }
}

function within(place: Place | undefined, end: Offset): Place {
  return place && place.offset < end ? place : NOWHERE;
}

function epochAt(log: PartitionLog, offset: Offset): number {
  return log.leaderEpochs.all.findLast(({ startOffset }) => startOffset <= offset)?.leaderEpoch ?? log.leaderEpoch;
}

/** Version 0: where to start reading for the time asked for, the newest offset first. */
async function offsetsBefore(log: PartitionLog, { timestampMs, end, signal }: Search): Promise<Offset[]> {
  if (timestampMs === EARLIEST) return [log.logStart];
  if (timestampMs === LATEST) return end > log.logStart ? [end, log.logStart] : [end];
  const hit = await log.findByTimestamp(timestampMs, { signal });
  return [hit?.offset ?? end];
}
