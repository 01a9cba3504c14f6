// What waits to be flushed: a batch or a move of the log start, each with the promise of its own commit.
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

/** How one waiting item ends, exactly once: by its commit or by the end of the session. */
abstract class FlushItem<T> {
  readonly partition: PartitionLog;
  readonly committed: Promise<T>;
  protected resolve!: (value: T) => void;
  #reject!: (error: Error) => void;

  constructor(partition: PartitionLog) {
    this.partition = partition;
    // Whoever appends waits for this promise in the same step, and hands its failure on.
    this.committed = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The session ended before this was committed, or nobody knows whether it was. */
  fail(error: Error): void {
    this.#reject(error);
  }

  /** Bytes this adds to a WAL object's body. */
  abstract readonly bytes: number;
  /** Answers the waiter; called in the synchronous step of the commit. */
  abstract succeed(): void;
}

/** A batch on its way into the log. The bytes stay the client's: they are copied, and numbered, at seal. */
export class PendingAppend extends FlushItem<AppendResult> {
  readonly batch: RecordBatchView;
  readonly logAppendTimeMs: TimestampMs;
  /** -1 until the flush is sealed. */
  baseOffset: Offset = -1;

  constructor(partition: PartitionLog, batch: RecordBatchView, logAppendTimeMs: TimestampMs) {
    super(partition);
    this.batch = batch;
    this.logAppendTimeMs = logAppendTimeMs;
  }

  get bytes(): number {
    return this.batch.sizeInBytes;
  }

  succeed(): void {
    const { baseOffset, logAppendTimeMs } = this;
    this.resolve({ baseOffset, logAppendTimeMs, logStartOffset: this.partition.logStart });
  }
}

/** A move of the log start on its way into a footer. */
export class PendingLogStart extends FlushItem<Offset> {
  readonly offset: Offset;
  readonly bytes = 0;

  constructor(partition: PartitionLog, offset: Offset) {
    super(partition);
    this.offset = offset;
  }

  succeed(): void {
    // After the session's death the partition no longer moves, but what the head says is committed.
    this.resolve(Math.max(this.partition.logStart, this.offset));
  }
}

/** Anything that waits for a flush. */
export type PendingItem = PendingAppend | PendingLogStart;
