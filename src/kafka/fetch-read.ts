// What a Fetch gets of its partitions: each is judged (who leads it, which offsets it has), then what may be read is
// planned in one synchronous step and read at once. The first partition that has records gives a whole batch however
// large (KIP-74); all others stay within the limits.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { MetadataImage } from "../cluster/image.ts";
import type { Topic } from "../cluster/topic.ts";
import { KafkaError } from "../kafka-error.ts";
import type { BrokerLog } from "../log/broker-log.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import { Compression } from "../records/compression.ts";
import { downConvert } from "../records/old-formats.ts";
import { iterateBatches } from "../records/record-batch.ts";
import { type Offset, ZERO_TOPIC_ID } from "../topic-partition.ts";
import type { FetchPartition } from "./fetch-sessions.ts";
import { findReadableLog, findTopic, requireLeaderEpoch } from "./partition-lookup.ts";

/** What the version of a request means for its records. */
export interface FetchFormat {
  /** Magic of the answer: 0 for versions 0 and 1, 1 for 2 and 3, else the stored 2. */
  readonly magic: 0 | 1 | 2;
  /** Versions 10 and up know zstd. */
  readonly knowsZstd: boolean;
  /** Versions 0 to 2 cut a batch that is too large instead of giving it whole. */
  readonly cutsOversize: boolean;
}

/** A partition of a Fetch at one moment. */
export interface JudgedPartition {
  readonly request: FetchPartition;
  readonly topic: Topic | undefined;
  /** Undefined when there is an error. */
  readonly log: PartitionLog | undefined;
  readonly error: KafkaError | undefined;
  /** Where the client's log parts from ours (KIP-595); then there are no records. */
  readonly diverging: { readonly epoch: number; readonly endOffset: Offset } | undefined;
}

/** A partition with what was read of it. */
export interface FetchedPartition extends JudgedPartition {
  readonly records: readonly Uint8Array[];
}

/** Looks at one partition. Synchronous: nothing is read. */
export function judgePartition(request: FetchPartition, image: MetadataImage, brokerLog: BrokerLog): JudgedPartition {
  let topic: Topic | undefined;
  try {
    const { topicId, topic: name } = request;
    topic = findTopic(image, topicId === ZERO_TOPIC_ID && name !== "" ? { name } : { topicId });
    const log = findReadableLog(brokerLog, topic, request.partition);
    requireLeaderEpoch(log, request.currentLeaderEpoch);
    const diverging = divergence(request, log);
    return { request, topic, log, error: undefined, diverging };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return { request, topic, log: undefined, error, diverging: undefined };
  }
}

function divergence(request: FetchPartition, log: PartitionLog): JudgedPartition["diverging"] {
  const { fetchOffset, lastFetchedEpoch } = request;
  if (lastFetchedEpoch >= 0) {
    const end = log.endOffsetForEpoch(lastFetchedEpoch);
    if (end.leaderEpoch < 0) throw outOfRange(fetchOffset, log);
    if (fetchOffset >= log.logStart && (end.leaderEpoch < lastFetchedEpoch || end.endOffset < fetchOffset)) {
      return { epoch: end.leaderEpoch, endOffset: end.endOffset };
    }
  }
  if (fetchOffset < log.logStart || fetchOffset > log.highWatermark) throw outOfRange(fetchOffset, log);
  return undefined;
}

function outOfRange(fetchOffset: Offset, log: PartitionLog): KafkaError {
  const text = `offset ${fetchOffset} is outside ${log.logStart} to ${log.highWatermark} of ${log.topicId}-${log.partition}`;
  return new KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, text);
}

/** Whether an answer is due now: something to report, or at least `minBytes` to give. */
export function isAnswerDue(judged: readonly JudgedPartition[], minBytes: number): boolean {
  let bytes = 0;
  for (const { request, log, diverging } of judged) {
    if (!log || diverging) return true;
    bytes += log.availableBytes(request.fetchOffset, minBytes);
    if (bytes >= minBytes) return true;
  }
  return bytes >= minBytes;
}

/** What one partition may be read for. */
interface PlannedRead {
  readonly judged: JudgedPartition;
  readonly maxBytes: number;
  readonly atLeastOneBatch: boolean;
}

/** Divides `bytesMax` among partitions in their order. Those without records, or for which nothing is left, get 0. */
export function planReads(judged: readonly JudgedPartition[], bytesMax: number): PlannedRead[] {
  let left = bytesMax;
  let isFirst = true;
  return judged.map((partition) => {
    const { request, log, diverging } = partition;
    const nothing = { judged: partition, maxBytes: 0, atLeastOneBatch: false };
    if (!log || diverging || (left <= 0 && !isFirst)) return nothing;
    const limit = Math.max(isFirst ? 1 : 0, Math.min(request.partitionBytesMax, left));
    const available = limit > 0 ? log.availableBytes(request.fetchOffset, limit) : 0;
    if (available === 0) return nothing;
    const planned = { judged: partition, maxBytes: available, atLeastOneBatch: isFirst };
    left -= available;
    isFirst = false;
    return planned;
  });
}

/** Carries a plan out, all partitions at once, in the format of the request's version. */
export function readPlanned(
  plan: readonly PlannedRead[],
  options: { format: FetchFormat; signal: AbortSignal },
): Promise<FetchedPartition[]> {
  return Promise.all(plan.map((read) => readOne(read, options)));
}

async function readOne(
  read: PlannedRead,
  options: { format: FetchFormat; signal: AbortSignal },
): Promise<FetchedPartition> {
  const { judged, maxBytes, atLeastOneBatch } = read;
  const { request, log } = judged;
  if (!log || maxBytes === 0) return { ...judged, records: [] };
  try {
    const batches = await log.read(request.fetchOffset, { maxBytes, atLeastOneBatch, signal: options.signal });
    return { ...judged, records: inFormat(batches, request, options.format) };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return { ...judged, log: undefined, error, records: [] };
  }
}

function inFormat(batches: readonly Uint8Array[], request: FetchPartition, format: FetchFormat): readonly Uint8Array[] {
  if (format.knowsZstd || batches.length === 0) return batches;
  if (format.magic < 2) {
    const messages = downConvert(batches, { magic: format.magic as 0 | 1, fetchOffset: request.fetchOffset });
    const isCut = format.cutsOversize && messages.length > request.partitionBytesMax;
    return [isCut ? messages.subarray(0, request.partitionBytesMax) : messages];
  }
  for (const bytes of batches) {
    for (const batch of iterateBatches(bytes))
      if (batch.compression === Compression.ZSTD) throw zstdUnknown(batch.baseOffset);
  }
  return batches;
}

function zstdUnknown(baseOffset: Offset): KafkaError {
  const text = `the batch at offset ${baseOffset} is compressed with zstd, which Fetch knows from version 10 on`;
  return new KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, text);
}
