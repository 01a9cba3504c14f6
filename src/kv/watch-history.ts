// The last changes of an embedded store, and the watches that read them. Watches pull: a slow one costs no memory of its
// own, and one that falls behind the oldest kept revision fails with `compacted`, as etcd's does.
import { invariant } from "../invariant.ts";
import { type KvCallOptions, KvError, type Revision, type WatchBatch, type WatchEvent } from "./key-value-store.ts";
import { copyEntry } from "./txn-check.ts";

/** How much is kept. */
export interface WatchHistoryLimits {
  readonly revisionsMax: number;
  readonly bytesMax: number;
}

/** Most events of one batch, so that a watch that resumes far behind does not stall the loop. */
const BATCH_EVENTS_MAX = 1000;

/** Changes by revision, the oldest dropped when a limit is passed. */
export class WatchHistory {
  /** One batch per revision, without gaps. */
  #batches: WatchBatch[] = [];
  /** Index in `#batches` of the oldest kept change; what lies before is already dropped. */
  #start = 0;
  #bytes = 0;
  /** A watch from below this fails. */
  #compactRevision: Revision;
  /** The newest revision that watches may see. Behind the newest change until a journal has made that durable. */
  #published: Revision;
  #failure: KvError | undefined;
  readonly #waiting = new Set<() => void>();
  readonly #limits: WatchHistoryLimits;

  /**
   * @param revision the store's revision, whose changes and earlier ones are not known here
   * @param compactRevision the lowest revision a watch may begin at
   */
  constructor(limits: WatchHistoryLimits, revision: Revision, compactRevision: Revision) {
    this.#limits = limits;
    this.#published = revision;
    this.#compactRevision = compactRevision;
  }

  /** Adds the next change. Watches see it once it is published. */
  append(batch: WatchBatch): void {
    const last = this.#batches.at(-1);
    invariant(!last || batch.revision === last.revision + 1, `revision ${batch.revision} does not follow`);
    this.#batches.push(batch);
    this.#bytes += batchBytes(batch);
    while (this.#length > this.#limits.revisionsMax || (this.#bytes > this.#limits.bytesMax && this.#length > 1)) {
      this.#dropOldest();
    }
  }

  /** Lets watches see every change up to `revision`. */
  publish(revision: Revision): void {
    if (revision <= this.#published) return;
    this.#published = revision;
    this.#wakeAll();
  }

  /** Forgets changes before `revision`. */
  compact(revision: Revision): void {
    while (this.#length > 0 && this.#oldest < revision) this.#dropOldest();
    this.#compactRevision = Math.max(this.#compactRevision, revision);
    this.#wakeAll();
  }

  /** Ends every watch, and each later one, with `failure`. */
  fail(failure: KvError): void {
    this.#failure ??= failure;
    this.#wakeAll();
  }

  /** How many watches wait for a change. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  watch(prefix: string, options: KvCallOptions & { fromRevision: Revision }): AsyncIterableIterator<WatchBatch> {
    invariant(options.fromRevision >= 1, `a watch from revision ${options.fromRevision}`);
    return new Watch(this, prefix, options);
  }

  /** Calls `wake` once at the next publication, compaction or failure. */
  onNext(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }

  /**
   * The changes below `prefix` from `fromRevision` on, and where to go on.
   * @throws KvError `compacted`, or the failure of the store
   */
  read(prefix: string, fromRevision: Revision): { batch: WatchBatch | undefined; next: Revision } {
    if (this.#failure) throw this.#failure;
    if (fromRevision < this.#compactRevision) {
      throw new KvError("compacted", `revision ${fromRevision} is below ${this.#compactRevision}, the oldest one kept`);
    }
    if (this.#length === 0) return { batch: undefined, next: Math.max(fromRevision, this.#published + 1) };
    const events: WatchEvent[] = [];
    let revision = fromRevision;
    let next = Math.max(fromRevision, this.#oldest);
    for (; next <= this.#published && events.length < BATCH_EVENTS_MAX; next++) {
      const batch = this.#batches[this.#start + next - this.#oldest];
      invariant(batch?.revision === next, `revision ${next} is missing from the history`);
      const matching = batch.events.filter((event) => keyOf(event).startsWith(prefix));
      if (matching.length === 0) continue;
      for (const event of matching) events.push(copyEvent(event));
      revision = batch.revision;
    }
    return { batch: events.length === 0 ? undefined : { revision, events }, next };
  }

  get #length(): number {
    return this.#batches.length - this.#start;
  }

  get #oldest(): Revision {
    return this.#batches[this.#start]?.revision ?? this.#published + 1;
  }

  #dropOldest(): void {
    const batch = this.#batches[this.#start];
    invariant(batch, "no change to drop");
    this.#start++;
    this.#bytes -= batchBytes(batch);
    this.#compactRevision = Math.max(this.#compactRevision, batch.revision + 1);
    if (this.#start >= 1024 && this.#start * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#start);
      this.#start = 0;
    }
  }

  #wakeAll(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}

/** One watch. Written as an iterator by hand, because `return` has to end a `next` that waits. */
class Watch implements AsyncIterableIterator<WatchBatch> {
  readonly #history: WatchHistory;
  readonly #prefix: string;
  readonly #signal: AbortSignal;
  /** The first revision not yet looked at. */
  #next: Revision;
  #isOver = false;
  #wake: () => void = () => {};

  constructor(history: WatchHistory, prefix: string, options: KvCallOptions & { fromRevision: Revision }) {
    this.#history = history;
    this.#prefix = prefix;
    this.#signal = options.signal;
    this.#next = options.fromRevision;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<WatchBatch>> {
    while (!this.#isOver) {
      const batch = this.#read();
      if (batch) return { done: false, value: batch };
      await this.#change();
    }
    return { done: true, value: undefined };
  }

  return(): Promise<IteratorResult<WatchBatch>> {
    this.#isOver = true;
    this.#wake();
    return Promise.resolve({ done: true, value: undefined });
  }

  #read(): WatchBatch | undefined {
    try {
      if (this.#signal.aborted) {
        throw new KvError("unknown", `the watch of ${this.#prefix} was given up`, { cause: this.#signal.reason });
      }
      const { batch, next } = this.#history.read(this.#prefix, this.#next);
      this.#next = next;
      return batch;
    } catch (error) {
      this.#isOver = true;
      throw error;
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        cancel();
        this.#signal.removeEventListener("abort", this.#wake);
        resolve();
      };
      const cancel = this.#history.onNext(this.#wake);
      this.#signal.addEventListener("abort", this.#wake, { once: true });
    });
  }
}

function keyOf(event: WatchEvent): string {
  return event.type === "put" ? event.entry.key : event.key;
}

function copyEvent(event: WatchEvent): WatchEvent {
  return event.type === "put" ? { type: "put", entry: copyEntry(event.entry) } : event;
}

function batchBytes(batch: WatchBatch): number {
  let bytes = 0;
  for (const event of batch.events) bytes += 64 + (event.type === "put" ? event.entry.value.byteLength : 0);
  return bytes;
}
