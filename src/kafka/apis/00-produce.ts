// Produce, versions 0 to 13. Appends one batch per partition and answers when the flushes that hold them are committed:
// acks 1 and -1 mean the same here, acks 0 gets no answer and a closed connection on any error. Versions 0 to 2 carry
// message sets, which become one batch; version 13 names topics by id. Batches are appended in the order of the request
// and before anything is waited for, so those of one connection are in the order of arrival.
// Refuses per partition: unknown topics (never creates them), internal topics, what records/validate refuses, and
// transactional batches (INVALID_TXN_STATE). Versions 12 and 13 are advertised although there are no transactions:
// clients use them for transactions only where the broker finalises transaction.version, and for plain batches their
// layout is that of 11 (with topic ids in 13).
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createBatchIndexAndErrorMessage,
  createLeaderIdAndEpoch,
  createNodeEndpoint,
  createPartitionProduceResponse,
  createProduceResponse,
  createTopicProduceResponse,
} from "../../../generated/kafka/produce-response.ts";
import type { Topic } from "../../cluster/topic.ts";
import { topicConfigNumber, topicConfigText } from "../../cluster/topic-configs.ts";
import { KafkaError } from "../../kafka-error.ts";
import type { AppendOutcome, AppendResult, AppendWaiter } from "../../log/append.ts";
import { upConvert } from "../../records/old-formats.ts";
import type { RecordBatchView } from "../../records/record-batch.ts";
import { type ProduceRules, RecordsRefusedError, validateProducedBatch } from "../../records/validate.ts";
import {
  type ApiHandler,
  type BrokerServices,
  type RequestContext,
  type RequestOf,
  type ResponseOf,
} from "../api-handler.ts";
import { ConnectionEndError } from "../connection-end.ts";
import {
  asksForLeader,
  findLog,
  findTopic,
  hasTopic,
  knownErrorCode,
  LeaderHints,
  type TopicName,
} from "../partition-lookup.ts";

type ProduceRequest = RequestOf<0>;
type TopicRequest = ProduceRequest["topicData"][number];
type PartitionRequest = TopicRequest["partitionData"][number];
type PartitionResponse = ResponseOf<0>["responses"][number]["partitionResponses"][number];

const FIRST_BATCH_VERSION = 3;
const FIRST_STORAGE_ERROR_VERSION = 4;
const FIRST_ZSTD_VERSION = 7;
const FIRST_LEADER_HINT_VERSION = 10;
const FIRST_TOPIC_ID_VERSION = 13;

/** Produce. */
export const produce: ApiHandler<0> = {
  apiKey: 0,
  minVersion: 0,
  maxVersion: 13,

  knowsTopics(request, image) {
    return request.topicData.every(({ name, topicId }) => hasTopic(image, name, topicId));
  },

  respond(request, context, broker) {
    if (request.acks < -1 || request.acks > 1) {
      throw new KafkaError(ErrorCode.INVALID_REQUIRED_ACKS, `acks is ${request.acks}, not -1, 0 or 1`);
    }
    // No await between here and the last append: this is what keeps the batches of a connection in order.
    const outcomes = new ProduceOutcomes(request, context, broker);
    for (const topic of request.topicData) appendTopic(topic, outcomes);
    return outcomes.answered();
  },

  refuse(request, error) {
    if (request.acks === 0) return null;
    return createProduceResponse({
      responses: request.topicData.map(({ name, topicId, partitionData }) =>
        createTopicProduceResponse({
          name,
          topicId,
          partitionResponses: partitionData.map(({ index }) =>
            refusedPartition(error, { index, errorCode: error.code }),
          ),
        }),
      ),
    });
  },
};

function appendTopic(topicRequest: TopicRequest, outcomes: ProduceOutcomes): void {
  const { context, broker } = outcomes;
  let topic: Topic;
  let rules: ProduceRules;
  try {
    topic = findTopic(broker.image(), topicName(topicRequest, context));
    if (topic.isInternal) {
      throw new KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, `clients may not write to "${topic.name}"`);
    }
    rules = rulesOf(topic, context, broker);
  } catch (error) {
    const outcome = refused(error);
    for (let count = topicRequest.partitionData.length; count > 0; count--) outcomes.next().ended(outcome);
    return;
  }
  for (const partition of topicRequest.partitionData) append(partition, { topic, rules, outcomes });
}

/** Everything up to the append runs before this function returns; a fatal refusal is told later. */
function append(
  request: PartitionRequest,
  { topic, rules, outcomes }: { topic: Topic; rules: ProduceRules; outcomes: ProduceOutcomes },
): void {
  const { context, broker } = outcomes;
  const waiter = outcomes.next();
  try {
    const log = findLog(broker.brokerLog, topic, request.index);
    const batch = readBatch(request, rules, context.apiVersion);
    log.appendFor(waiter, batch, rules.timestampType === "LogAppendTime" ? rules.nowMs : undefined);
  } catch (error) {
    endRefused(waiter, refused(error), broker);
  }
}

/** What makes a producer fail a batch for good, or begin a new epoch. */
const fatalCodes: ReadonlySet<number> = new Set([
  ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
  ErrorCode.INVALID_PRODUCER_EPOCH,
]);

/** A broker that is no longer the leader knows older sequences than the one that is: a fatal answer needs a proof. */
function endRefused(waiter: AppendWaiter, error: KafkaError, { brokerLog }: BrokerServices): void {
  if (!fatalCodes.has(error.code)) {
    waiter.ended(error);
    return;
  }
  brokerLog.confirmSession().then(
    () => waiter.ended(error),
    (unproven: unknown) => waiter.ended(refused(unproven)),
  );
}

function readBatch(request: PartitionRequest, rules: ProduceRules, apiVersion: number): RecordBatchView {
  const [bytes = new Uint8Array(0)] = request.records ?? [];
  const batch = validateProducedBatch(apiVersion >= FIRST_BATCH_VERSION ? bytes : upConvert(bytes), rules);
  if (batch.isTransactional) {
    throw new KafkaError(ErrorCode.INVALID_TXN_STATE, "this broker has no transactions; the batch belongs to one");
  }
  return batch;
}

/** An expected failure as an outcome; anything else is a bug and goes on up. */
function refused(error: unknown): KafkaError {
  if (error instanceof KafkaError) return error;
  throw error;
}

function topicName({ name, topicId }: TopicRequest, { apiVersion }: RequestContext): TopicName {
  return apiVersion >= FIRST_TOPIC_ID_VERSION ? { topicId } : { name };
}

/** What a topic demands of batches, by topic: a topic object never changes. */
const topicRules = new WeakMap<Topic, Omit<ProduceRules, "nowMs" | "allowZstd">>();

function rulesOf(topic: Topic, { apiVersion }: RequestContext, { clock }: BrokerServices): ProduceRules {
  let rules = topicRules.get(topic);
  if (!rules) {
    const { configs } = topic;
    const timestampType = topicConfigText(configs, "message.timestamp.type");
    rules = {
      messageBytesMax: topicConfigNumber(configs, "max.message.bytes"),
      requiresKeys: topicConfigText(configs, "cleanup.policy").includes("compact"),
      timestampType: timestampType === "LogAppendTime" ? "LogAppendTime" : "CreateTime",
      timestampBeforeMaxMs: boundMs(topicConfigNumber(configs, "message.timestamp.before.max.ms")),
      timestampAfterMaxMs: boundMs(topicConfigNumber(configs, "message.timestamp.after.max.ms")),
      fromClient: true,
    };
    topicRules.set(topic, rules);
  }
  // Field by field: a spread costs as much as the whole validation of a small batch.
  return {
    messageBytesMax: rules.messageBytesMax,
    requiresKeys: rules.requiresKeys,
    timestampType: rules.timestampType,
    timestampBeforeMaxMs: rules.timestampBeforeMaxMs,
    timestampAfterMaxMs: rules.timestampAfterMaxMs,
    fromClient: rules.fromClient,
    nowMs: clock.wallMs(),
    allowZstd: apiVersion >= FIRST_ZSTD_VERSION,
  };
}

function boundMs(configured: number): number {
  return configured >= Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : configured;
}

/** What becomes of one partition of the request. */
class PartitionOutcome implements AppendWaiter {
  /** Undefined as long as the commit is awaited. */
  known: AppendOutcome | undefined;
  readonly #request: ProduceOutcomes;

  constructor(request: ProduceOutcomes) {
    this.#request = request;
  }

  ended(outcome: AppendOutcome): void {
    // After the deadline nobody asks any more.
    this.known ??= outcome;
    this.#request.oneEnded();
  }
}

/**
 * Collects what becomes of the partitions of a request, in their order. An append that is not committed after the
 * request's time is REQUEST_TIMED_OUT: what becomes of it is unknown, and its bytes stay counted until it is known.
 * One promise for the request, none for its batches: promises are what the cost of a small produce consists of.
 */
class ProduceOutcomes {
  readonly context: RequestContext;
  readonly broker: BrokerServices;
  readonly #request: ProduceRequest;
  readonly #partitions: PartitionOutcome[] = [];
  #pendingCount = 0;
  #cancelDeadline: (() => void) | undefined;
  #settle: { resolve: (response: ResponseOf<0> | null) => void; reject: (error: unknown) => void } | undefined;
  /** Set when the time is over before everything is known: gives the request's bytes back. */
  #release: (() => void) | undefined;

  constructor(request: ProduceRequest, context: RequestContext, broker: BrokerServices) {
    this.#request = request;
    this.context = context;
    this.broker = broker;
  }

  /** The outcome of the next partition, to be told. */
  next(): PartitionOutcome {
    const outcome = new PartitionOutcome(this);
    this.#partitions.push(outcome);
    this.#pendingCount++;
    return outcome;
  }

  /** The answer, when everything is known or the time is over; null for acks 0. No partition is added after this. */
  answered(): Promise<ResponseOf<0> | null> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      if (this.#pendingCount === 0) {
        this.#answer();
        return;
      }
      this.#cancelDeadline = this.context.setDeadline(this.#request.timeoutMs, () => this.#onDeadline());
    });
  }

  /** One outcome more is known. */
  oneEnded(): void {
    if (--this.#pendingCount > 0) return;
    this.#release?.();
    this.#answer();
  }

  #onDeadline(): void {
    const settled = new Promise<void>((resolve) => {
      this.#release = resolve;
    });
    this.context.retainRequest(settled);
    const { timeoutMs } = this.#request;
    const error = new KafkaError(ErrorCode.REQUEST_TIMED_OUT, `the batch was not committed within ${timeoutMs} ms`);
    for (const partition of this.#partitions) partition.known ??= error;
    this.#answer();
  }

  /** Answers once; before {@link answered} was called there is nobody to answer. */
  #answer(): void {
    const { context, broker } = this;
    const settle = this.#settle;
    if (!settle) return;
    this.#settle = undefined;
    this.#cancelDeadline?.();
    try {
      // All of them are there now.
      const outcomes = this.#partitions.map(({ known }) => known as AppendOutcome);
      settle.resolve(answerOf(this.#request, outcomes, { context, broker }));
    } catch (error) {
      settle.reject(error);
    }
  }
}

function answerOf(
  request: ProduceRequest,
  outcomes: readonly AppendOutcome[],
  to: { context: RequestContext; broker: BrokerServices },
): ResponseOf<0> | null {
  if (request.acks !== 0) return responseOf(request, outcomes, to);
  const failed = outcomes.find((outcome) => outcome instanceof KafkaError);
  if (!failed) return null;
  throw new ConnectionEndError("refused", "a batch produced with acks 0 was refused", { cause: failed });
}

function responseOf(
  request: ProduceRequest,
  outcomes: readonly AppendOutcome[],
  { context, broker }: { context: RequestContext; broker: BrokerServices },
): ResponseOf<0> {
  const image = broker.image();
  const hints = new LeaderHints(image, broker.brokerId);
  let next = 0;
  const responses = request.topicData.map((topicRequest) => {
    const { name, topicId, partitionData } = topicRequest;
    const partitionResponses = partitionData.map(({ index }) => {
      const outcome = outcomes[next++] as AppendOutcome;
      if (!(outcome instanceof KafkaError)) return appendedPartition(index, outcome);
      const code = knownErrorCode(outcome.code, {
        knowsStorageError: context.apiVersion >= FIRST_STORAGE_ERROR_VERSION,
      });
      const id = name === "" ? topicId : image.topic(name)?.topicId;
      const isHinted = context.apiVersion >= FIRST_LEADER_HINT_VERSION && asksForLeader(code) && id !== undefined;
      return refusedPartition(outcome, {
        index,
        errorCode: code,
        leader: isHinted ? hints.hint(id, index) : undefined,
      });
    });
    return createTopicProduceResponse({ name, topicId, partitionResponses });
  });
  const nodeEndpoints = Array.from(hints.endpoints.values(), ({ brokerId, host, port, rack }) =>
    createNodeEndpoint({ nodeId: brokerId, host, port, rack: rack === "" ? null : rack }),
  );
  return createProduceResponse({ responses, nodeEndpoints });
}

function appendedPartition(index: number, result: AppendResult): PartitionResponse {
  return createPartitionProduceResponse({
    index,
    baseOffset: result.baseOffset,
    logAppendTimeMs: result.logAppendTimeMs,
    logStartOffset: result.logStartOffset,
  });
}

function refusedPartition(
  error: KafkaError,
  told: { index: number; errorCode: ErrorCode; leader?: { leaderId: number; leaderEpoch: number } | undefined },
): PartitionResponse {
  const { index, errorCode, leader } = told;
  const recordErrors = error instanceof RecordsRefusedError ? error.recordErrors : [];
  return createPartitionProduceResponse({
    index,
    errorCode,
    baseOffset: -1,
    errorMessage: error.message,
    recordErrors: recordErrors.map(({ batchIndex, message }) =>
      createBatchIndexAndErrorMessage({ batchIndex, batchIndexErrorMessage: message }),
    ),
    ...(leader ? { currentLeader: createLeaderIdAndEpoch(leader) } : {}),
  });
}
