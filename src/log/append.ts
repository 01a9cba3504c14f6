// What waits to be flushed: a batch or a move of the log start, and who is told of its commit.
import type { KafkaError } from "../kafka-error.ts";
import type { RecordBatchView } from "../records/record-batch.ts";
import type { Offset, TimestampMs } from "../topic-partition.ts";
import type { PartitionLog } from "./partition-log.ts";

/** What an append is answered with once it is committed. */
export interface AppendResult {
  /** Offset of the batch's first record. */
  readonly baseOffset: Offset;
  /** -1 unless the partition stamps records with the broker's time. */
  readonly logAppendTimeMs: TimestampMs;
  readonly logStartOffset: Offset;
}

/** How an append ends: committed, or refused with the code that its client is told. */
export type AppendOutcome = AppendResult | KafkaError;

/** Whom the end of an append is told. An object of the caller's rather than a promise: one is needed for every batch. */
export interface AppendWaiter {
  /** Called once, within the step of the commit or of the session's end: it must not throw, nor call back into the log. */
  ended(outcome: AppendOutcome): void;
}

/** A batch on its way into the log. The bytes stay the client's: they are copied, and numbered, at seal. */
export class PendingAppend {
  readonly partition: PartitionLog;
  readonly batch: RecordBatchView;
  readonly logAppendTimeMs: TimestampMs;
  /** Bytes this adds to a WAL object's body. */
  readonly bytes: number;
  /** -1 until the flush is sealed. */
  baseOffset: Offset = -1;
  /** Who appended the batch, and who sent a copy of it meanwhile. */
  readonly #waiters: AppendWaiter[];
  #outcome: AppendOutcome | undefined;

  constructor(
    partition: PartitionLog,
    batch: RecordBatchView,
    told: { logAppendTimeMs: TimestampMs; waiter: AppendWaiter },
  ) {
    this.partition = partition;
    this.batch = batch;
    this.bytes = batch.sizeInBytes;
    this.logAppendTimeMs = told.logAppendTimeMs;
    this.#waiters = [told.waiter];
  }

  /** Tells one more how this ends. */
  tell(waiter: AppendWaiter): void {
    if (this.#outcome) waiter.ended(this.#outcome);
    else this.#waiters.push(waiter);
  }

  /** Answers the waiters; called in the synchronous step of the commit. */
  succeed(): void {
    const { baseOffset, logAppendTimeMs } = this;
    this.#end({ baseOffset, logAppendTimeMs, logStartOffset: this.partition.logStart });
  }

  /** The session ended before this was committed, or nobody knows whether it was. */
  fail(error: KafkaError): void {
    this.#end(error);
  }

  /** The first outcome is the one that counts: it has been told. */
  #end(outcome: AppendOutcome): void {
    if (this.#outcome) return;
    this.#outcome = outcome;
    for (const waiter of this.#waiters) waiter.ended(outcome);
  }
}

/** A move of the log start on its way into a footer. */
export class PendingLogStart {
  readonly partition: PartitionLog;
  readonly offset: Offset;
  readonly bytes = 0;
  readonly committed: Promise<Offset>;
  #resolve!: (logStart: Offset) => void;
  #reject!: (error: KafkaError) => void;

  constructor(partition: PartitionLog, offset: Offset) {
    this.partition = partition;
    this.offset = offset;
    // Whoever moves the log start waits for this promise in the same step, and hands its failure on.
    this.committed = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** As of an append. */
  succeed(): void {
    // After the session's death the partition no longer moves, but what the head says is committed.
    this.#resolve(Math.max(this.partition.logStart, this.offset));
  }

  /** As of an append. */
  fail(error: KafkaError): void {
    this.#reject(error);
  }
}

/** Anything that waits for a flush. It ends exactly once: by its commit or by the end of the session. */
export type PendingItem = PendingAppend | PendingLogStart;
