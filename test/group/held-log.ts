// The log of one partition of groups whose commits the test releases, one by one and in order; the fold is the real one.
// What was appended and not released is what a crash would lose.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { GroupPartitionLog } from "../../src/group/group-log.ts";
import { KafkaError } from "../../src/kafka-error.ts";
import { Fold } from "../../src/log/fold.ts";
import type { RecordBatchView } from "../../src/records/record-batch.ts";

interface HeldAppend {
  readonly bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: KafkaError) => void;
}

/** A log whose commits wait for the test. */
export class HeldLog implements GroupPartitionLog {
  readonly #fold: Fold;
  readonly #held: HeldAppend[] = [];
  readonly #wakers = new Set<() => void>();
  /** Appends so far. */
  appendCount = 0;
  /** Commits at once, as a log without latency would. */
  isOpen = false;
  /** Whether the leadership is proven alive. */
  isProven = true;

  constructor(fold: Fold = new Fold()) {
    this.#fold = fold;
  }

  /** Appends that wait. */
  get heldCount(): number {
    return this.#held.length;
  }

  append(batch: RecordBatchView): Promise<void> {
    this.appendCount++;
    return new Promise((resolve, reject) => {
      this.#held.push({ bytes: batch.bytes.slice(), resolve, reject });
      if (this.isOpen) this.commit();
    });
  }

  subscribe(wake: () => void): () => void {
    this.#wakers.add(wake);
    return () => this.#wakers.delete(wake);
  }

  fold(): Iterable<{ key: Uint8Array; value: Uint8Array }> {
    return this.#fold.entries();
  }

  requireReadable(): void {
    if (!this.isProven) throw new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "unproven, says the test");
  }

  /** Who listens for commits and the end of the leadership. */
  get wakerCount(): number {
    return this.#wakers.size;
  }

  /** Commits the oldest append. */
  commit(): void {
    const held = this.#held.shift();
    if (!held) throw new Error("nothing waits for its commit");
    this.#fold.applyBatches(held.bytes);
    held.resolve();
    this.wake();
  }

  /** Commits everything. */
  commitAll(): void {
    while (this.#held.length > 0) this.commit();
  }

  /** Refuses the oldest append: its records are never there. */
  refuse(code: ErrorCode): void {
    const held = this.#held.shift();
    if (!held) throw new Error("nothing waits for its commit");
    held.reject(new KafkaError(code, "refused by the test"));
  }

  /** Tells whoever listens to look again. */
  wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }

  /** The same committed state under a new leadership; what is held is lost. */
  succeed(): HeldLog {
    this.#held.length = 0;
    return new HeldLog(this.#fold);
  }
}
