// Compares what a Fetch brings with the committed log: every batch must stand there, at this offset, with these bytes.
import { ErrorCode, errorName } from "../../generated/kafka/error-codes.ts";
import type { PartitionData } from "../../generated/kafka/fetch-response.ts";
import { shardOf } from "../../src/cluster/placement.ts";
import { iterateBatches, type RecordBatchView } from "../../src/records/record-batch.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import type { ClientWorld } from "./client-world.ts";
import type { CommittedPartition } from "./committed-log.ts";

/** Who was asked, and when. */
export interface AnswerSource {
  readonly host: string;
  /** Virtual time at which the request was sent. */
  readonly askedMs: number;
}

/** What was asked. */
export interface AskedFetch extends AnswerSource {
  readonly partition: CommittedPartition;
  readonly offset: number;
}

/** How long an owner that was fenced may serve what it has: half a TTL after its last proof. */
const STALE_MS_MAX = 5_000;

/** Judges that who served a partition owned it, or could not know yet that he does not any more. */
export function checkOwnership(
  { ledger, oracle, clock }: Pick<ClientWorld, "ledger" | "oracle" | "clock">,
  { partition, host, askedMs }: AnswerSource & { readonly partition: CommittedPartition },
): void {
  const term = oracle.terms.lastTermOf(host, shardOf(partition.topicId, partition.partition));
  ledger.check("I5 only who owned a shard serves it", term !== undefined, () => {
    return `${host} served ${partition.name}, which it never owned`;
  });
  if (!term) return;
  const { givenMs } = term;
  ledger.check("I5 who gave a shard away does not serve it", givenMs === undefined || givenMs >= askedMs, () => {
    return `${host} served ${partition.name} at ${clock.monotonicMs()}, given away at ${givenMs}`;
  });
  const goneMs = oracle.terms.goneMs(term.sessionId) ?? Number.POSITIVE_INFINITY;
  ledger.check("a fenced owner stops serving within half a TTL", askedMs <= goneMs + STALE_MS_MAX, () => {
    return `${host} served ${partition.name} at ${askedMs}, its session is gone since ${goneMs}`;
  });
  if (goneMs < askedMs) ledger.count("reads served by a fenced owner");
}

/** The checksum of a batch covers everything from its attributes on. */
const CRC_COVERS_FROM = 21;

/** Judges one partition of an answer. @returns the offset to go on from */
export function checkFetched(world: ClientWorld, asked: AskedFetch, answer: PartitionData): number {
  const { ledger } = world;
  const { partition, offset } = asked;
  if (answer.errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) {
    const isOutside = offset < partition.logStart || offset > partition.end;
    ledger.check("no false OFFSET_OUT_OF_RANGE", isOutside, () => {
      return `${partition.name}: offset ${offset} was refused, committed are ${partition.logStart} to ${partition.end}`;
    });
    return Math.max(offset, partition.logStart);
  }
  if (answer.errorCode !== ErrorCode.NONE) {
    ledger.count(`fetch answered ${errorName(answer.errorCode)}`);
    return offset;
  }
  checkOwnership(world, asked);
  const { highWatermark, lastStableOffset, logStartOffset } = answer;
  const isOrdered = logStartOffset <= lastStableOffset && lastStableOffset <= highWatermark;
  ledger.check("I14 log start <= stable offset <= high watermark", isOrdered, () => {
    return `${partition.name}: ${logStartOffset}, ${lastStableOffset}, ${highWatermark}`;
  });
  ledger.check("I14 the log start is the committed one", logStartOffset <= partition.logStart, () => {
    return `${partition.name} starts at ${partition.logStart}, the answer was ${logStartOffset}`;
  });
  ledger.check("I8 nothing above the committed end is served", highWatermark <= partition.end, () => {
    return `${partition.name}: a high watermark of ${highWatermark} was answered, committed are ${partition.end}`;
  });
  let next = offset;
  const bytes = Buffer.concat(answer.records ?? []);
  let batchCount = 0;
  for (const batch of iterateBatches(bytes)) {
    checkBatch(world, partition, batch);
    const isInSequence =
      batchCount === 0 ? batch.baseOffset <= offset && batch.nextOffset > offset : batch.baseOffset === next;
    ledger.check("a fetch brings the batches from its offset on, without a gap", isInSequence, () => {
      return `${partition.name}: a batch at ${batch.baseOffset} to ${batch.nextOffset} came at ${next}`;
    });
    next = batch.nextOffset;
    batchCount++;
  }
  return next;
}

function checkBatch({ ledger }: ClientWorld, partition: CommittedPartition, batch: RecordBatchView): void {
  const committed = partition.batchAt(batch.baseOffset);
  const isSame = committed?.crc === batch.crc && committed.nextOffset === batch.nextOffset;
  ledger.check("I8 what is served is committed", isSame && committed.leaderEpoch === batch.partitionLeaderEpoch, () => {
    return `${partition.name} at ${batch.baseOffset}: a batch with checksum ${batch.crc} was served, ${committed?.crc} is committed`;
  });
  ledger.check(
    "I4 served bytes fit their checksum",
    crc32c(batch.bytes.subarray(CRC_COVERS_FROM)) === batch.crc,
    () => {
      return `${partition.name} at ${batch.baseOffset}: the bytes do not fit the checksum`;
    },
  );
}
