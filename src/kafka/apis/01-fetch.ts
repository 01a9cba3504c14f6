// Fetch, versions 0 to 18. Waits up to max_wait_ms for min_bytes over all partitions, for an error or a divergence, then
// answers with whole stored batches by reference; incremental sessions from version 7 (KIP-227), topic ids from 13.
// Versions 0 to 3 get message sets; zstd is refused below 10. The first partition with records gives a whole batch
// however large (from version 3); everything else stays within partition, request and broker limits.
// Refuses the whole request: more partitions than the limit (INVALID_REQUEST), replica ids of brokers
// (CLUSTER_AUTHORIZATION_FAILED), unknown sessions and epochs. Refuses per partition: unknown topics or ids, epochs,
// offsets out of range, partitions led elsewhere (from version 16 with the leader's address).
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createEpochEndOffset,
  createFetchableTopicResponse,
  createFetchResponse,
  createLeaderIdAndEpoch,
  createNodeEndpoint,
  createPartitionData,
} from "../../../generated/kafka/fetch-response.ts";
import { KafkaError } from "../../kafka-error.ts";
import { ZERO_TOPIC_ID } from "../../topic-partition.ts";
import type { ApiHandler, BrokerServices, RequestContext, RequestOf, ResponseOf } from "../api-handler.ts";
import { waitForNews } from "../delayed-fetch.ts";
import {
  type FetchedPartition,
  type FetchFormat,
  isAnswerDue,
  type JudgedPartition,
  judgePartition,
  planReads,
  readPlanned,
} from "../fetch-read.ts";
import type { FetchPartition, FetchScope, FetchTarget } from "../fetch-sessions.ts";
import { asksForLeader, hasTopic, knownErrorCode, LeaderHints } from "../partition-lookup.ts";

type FetchRequest = RequestOf<1>;
type PartitionResponse = ResponseOf<1>["responses"][number]["partitions"][number];

const FIRST_BATCH_VERSION = 4;
const FIRST_STORAGE_ERROR_VERSION = 6;
const FIRST_SESSION_VERSION = 7;
const FIRST_ZSTD_VERSION = 10;
const FIRST_TOPIC_ID_VERSION = 13;
const FIRST_LEADER_HINT_VERSION = 16;
const READ_COMMITTED = 1;
/** Replica ids below this are clients: consumers send -1, debugging tools -2. */
const FIRST_BROKER_REPLICA_ID = 0;
/** How long a Fetch that may not wait still waits for memory rather than come back at once with nothing. */
const MEMORY_WAIT_MS_MIN = 500;

/** Fetch. */
export const fetch: ApiHandler<1> = {
  apiKey: 1,
  minVersion: 0,
  maxVersion: 18,

  knowsTopics(request, image) {
    return request.topics.every(({ topic, topicId }) => hasTopic(image, topic, topicId));
  },

  async respond(request, context, broker) {
    requireAllowed(request, broker);
    const scope = openScope(request, context, broker);
    const untilMs = broker.clock.monotonicMs() + request.maxWaitMs;
    const judge = () => scope.partitions.map((each) => judgePartition(each, broker.image(), broker.brokerLog));
    let judged = judge();
    const minBytes = Math.max(0, Math.min(request.minBytes, request.maxBytes));
    if (request.maxWaitMs > 0 && judged.length > 0 && !isAnswerDue(judged, minBytes)) {
      await waitForNews({
        clock: broker.clock,
        sources: judged.flatMap(({ log }) => log ?? []),
        isReady: () => isAnswerDue(judge(), minBytes),
        waitMs: request.maxWaitMs,
        signal: context.signal,
      });
      judged = judge();
    }
    await confirmRanges(judged, broker);
    const fetched = await read(judged, { request, context, broker, untilMs });
    return responseOf(fetched, scope, { request, context, broker });
  },

  refuse(request, error, context) {
    if (context.apiVersion >= FIRST_SESSION_VERSION) return createFetchResponse({ errorCode: error.code });
    return createFetchResponse({
      responses: request.topics.map(({ topic, topicId, partitions }) =>
        createFetchableTopicResponse({
          topic,
          topicId,
          partitions: partitions.map(({ partition }) =>
            createPartitionData({ partitionIndex: partition, errorCode: error.code, highWatermark: -1, records: [] }),
          ),
        }),
      ),
    });
  },
};

function requireAllowed(request: FetchRequest, { settings }: BrokerServices): void {
  if (request.replicaId >= FIRST_BROKER_REPLICA_ID || request.replicaState.replicaId >= FIRST_BROKER_REPLICA_ID) {
    throw new KafkaError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "brokers do not fetch from each other here");
  }
  const count = request.topics.reduce((sum, { partitions }) => sum + partitions.length, 0);
  if (count > settings.fetchPartitionsMax) {
    const text = `the request names ${count} partitions, the limit is ${settings.fetchPartitionsMax}`;
    throw new KafkaError(ErrorCode.INVALID_REQUEST, text);
  }
}

function openScope(
  request: FetchRequest,
  { apiVersion }: RequestContext,
  { fetchSessions }: BrokerServices,
): FetchScope {
  const partitions = request.topics.flatMap((topic) => topic.partitions.map((each) => partitionOf(topic, each)));
  const forgotten = request.forgottenTopicsData.flatMap(({ topic, topicId, partitions: indexes }) =>
    indexes.map((partition): FetchTarget => ({ topic, topicId, partition })),
  );
  const isSessionless = apiVersion < FIRST_SESSION_VERSION;
  return fetchSessions.open({
    sessionId: isSessionless ? 0 : request.sessionId,
    sessionEpoch: isSessionless ? -1 : request.sessionEpoch,
    usesTopicIds: apiVersion >= FIRST_TOPIC_ID_VERSION,
    partitions,
    forgotten,
  });
}

function partitionOf(
  { topic, topicId }: FetchRequest["topics"][number],
  request: FetchRequest["topics"][number]["partitions"][number],
): FetchPartition {
  const { partition, fetchOffset, partitionMaxBytes, currentLeaderEpoch, lastFetchedEpoch } = request;
  return {
    topic,
    topicId,
    partition,
    fetchOffset,
    partitionBytesMax: partitionMaxBytes,
    currentLeaderEpoch,
    lastFetchedEpoch,
  };
}

/** A broker that is no longer the leader must not tell a consumer to reset: out of range needs a proof of leadership. */
async function confirmRanges(judged: JudgedPartition[], { brokerLog }: BrokerServices): Promise<void> {
  if (!judged.some(({ error }) => error?.code === ErrorCode.OFFSET_OUT_OF_RANGE)) return;
  try {
    await brokerLog.confirmSession();
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    for (const [index, each] of judged.entries()) {
      if (each.error?.code === ErrorCode.OFFSET_OUT_OF_RANGE) judged[index] = { ...each, error };
    }
  }
}

/** Reads within what the request, the broker's limit and the memory budget allow. */
async function read(
  judged: readonly JudgedPartition[],
  fetching: { request: FetchRequest; context: RequestContext; broker: BrokerServices; untilMs: number },
): Promise<FetchedPartition[]> {
  const { request, context, broker, untilMs } = fetching;
  const format = formatOf(context.apiVersion);
  const bytesMax = Math.min(request.maxBytes, broker.settings.fetchBytesMax);
  const lastMs = Math.max(untilMs, broker.clock.monotonicMs() + MEMORY_WAIT_MS_MIN);
  for (;;) {
    const plan = planReads(judged, bytesMax);
    const wantedBytes = plan.reduce((sum, { maxBytes }) => sum + maxBytes, 0);
    const grantedBytes = wantedBytes === 0 ? 0 : context.reserveResponseBytes(wantedBytes);
    if (grantedBytes === wantedBytes) return readPlanned(plan, { format, signal: context.signal });
    if (grantedBytes > 0) {
      return readPlanned(planReads(judged, grantedBytes), { format, signal: context.signal });
    }
    const waitMs = lastMs - broker.clock.monotonicMs();
    if (waitMs <= 0) return judged.map((each) => ({ ...each, records: [] }));
    await context.waitForResponseBytes(waitMs);
  }
}

function formatOf(apiVersion: number): FetchFormat {
  const magic = apiVersion >= FIRST_BATCH_VERSION ? 2 : apiVersion >= 2 ? 1 : 0;
  return { magic, knowsZstd: apiVersion >= FIRST_ZSTD_VERSION, cutsOversize: apiVersion < 3 };
}

function responseOf(
  fetched: readonly FetchedPartition[],
  scope: FetchScope,
  { request, context, broker }: { request: FetchRequest; context: RequestContext; broker: BrokerServices },
): ResponseOf<1> {
  const hints = new LeaderHints(broker.image(), broker.brokerId);
  const byTopic = new Map<string, { topic: string; topicId: string; partitions: PartitionResponse[] }>();
  for (const each of fetched) {
    const { topic, topicId } = each.request;
    const response = partitionResponse(each, { hints, request, apiVersion: context.apiVersion });
    const isTold = scope.tell(each.request, {
      highWatermark: response.highWatermark,
      logStart: response.logStartOffset,
      isError: each.error !== undefined,
      isNoteworthy: each.error !== undefined || each.diverging !== undefined || each.records.length > 0,
    });
    if (!isTold) continue;
    const key = topicId === ZERO_TOPIC_ID ? topic : topicId;
    const group = byTopic.get(key) ?? { topic, topicId, partitions: [] };
    group.partitions.push(response);
    byTopic.set(key, group);
  }
  const nodeEndpoints = Array.from(hints.endpoints.values(), ({ brokerId, host, port, rack }) =>
    createNodeEndpoint({ nodeId: brokerId, host, port, rack: rack === "" ? null : rack }),
  );
  return createFetchResponse({
    sessionId: scope.close(),
    responses: Array.from(byTopic.values(), (group) => createFetchableTopicResponse(group)),
    nodeEndpoints,
  });
}

function partitionResponse(
  fetched: FetchedPartition,
  { hints, request, apiVersion }: { hints: LeaderHints; request: FetchRequest; apiVersion: number },
): PartitionResponse {
  const { log, topic, error, diverging, records } = fetched;
  const { partition } = fetched.request;
  if (!log) {
    const code = error?.code ?? ErrorCode.UNKNOWN_SERVER_ERROR;
    const isHinted = apiVersion >= FIRST_LEADER_HINT_VERSION && asksForLeader(code) && topic;
    const leader = isHinted ? hints.hint(topic.topicId, partition) : undefined;
    return createPartitionData({
      partitionIndex: partition,
      errorCode: knownErrorCode(code, { knowsStorageError: apiVersion >= FIRST_STORAGE_ERROR_VERSION }),
      highWatermark: -1,
      abortedTransactions: null,
      records: [],
      ...(leader ? { currentLeader: createLeaderIdAndEpoch(leader) } : {}),
    });
  }
  return createPartitionData({
    partitionIndex: partition,
    highWatermark: log.highWatermark,
    lastStableOffset: log.lastStableOffset,
    logStartOffset: log.logStart,
    abortedTransactions: request.isolationLevel === READ_COMMITTED ? [] : null,
    records,
    ...(diverging ? { divergingEpoch: createEpochEndOffset(diverging) } : {}),
  });
}
