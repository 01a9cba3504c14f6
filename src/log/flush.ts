// The flush pipeline of one session: collect, seal, PUT (several in flight), commit strictly in order, acknowledge.
// Any flush that fails ends the whole session; there is no partial repair, so none can be wrong.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { commitHead } from "../cluster/head.ts";
import type { Session } from "../cluster/session.ts";
import { type Clock, withDeadline } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Counter, Histogram, Metrics } from "../host/metrics.ts";
import { invariant } from "../invariant.ts";
import { KafkaError } from "../kafka-error.ts";
import type { PendingItem } from "./append.ts";
import type { LogSettings } from "./log-settings.ts";
import type { PartitionLog } from "./partition-log.ts";
import { PutBudget } from "./put-budget.ts";
import { type SealedFlush, sealFlush } from "./seal.ts";
import type { Tail } from "./tail.ts";
import type { WalWriter } from "./wal-writer.ts";

/** A sealed flush on its way: PUT done or not, and whether a head transaction that covers it was ever sent. */
interface FlushInFlight {
  readonly sealed: SealedFlush;
  readonly sealedMs: number;
  isPut: boolean;
  isSent: boolean;
}

/** Parts of a {@link Flusher}. */
export interface FlusherComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly session: Session;
  readonly wal: WalWriter;
  readonly tail: Tail;
  readonly settings: LogSettings;
  /** Called in the synchronous step of a commit, after the partitions moved and before waiters wake. */
  readonly onCommit: (flush: SealedFlush) => void;
}

/** Counters of the pipeline, registered once per process and shared by its sessions. */
export interface FlushMetrics {
  readonly flushes: Counter;
  readonly bytes: Counter;
  readonly produced: Counter;
  readonly heads: Counter;
  readonly latency: Histogram;
}

/** Registers the pipeline's metrics. */
export function registerFlushMetrics(metrics: Metrics): FlushMetrics {
  return {
    flushes: metrics.counter("kafscale_flushes_total", "Flushes that were committed."),
    bytes: metrics.counter("kafscale_flush_bytes_total", "Bytes of the WAL objects of committed flushes."),
    produced: metrics.counter(
      "kafscale_produced_bytes_total",
      "Bytes of committed batches, without those of internal topics.",
    ),
    heads: metrics.counter("kafscale_head_transactions_total", "Head transactions that committed flushes."),
    latency: metrics.histogram("kafscale_flush_seconds", "Time from seal to commit.", [0.001, 0.01, 0.05, 0.25, 1, 5]),
  };
}

/** Why an item that can never be committed any more is refused: nothing was written, the client asks who leads now. */
function fencedError(session: Session, reason: unknown): KafkaError {
  const text = `session ${session.sessionId} ended before the flush was committed`;
  return new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, text, { cause: reason });
}

/** One session's pipeline. One owner: the session's log. */
export class Flusher {
  readonly #parts: FlusherComponents;
  readonly #counters: FlushMetrics;
  readonly #budget: PutBudget;
  /** What waits to be sealed, in the order of its appends. */
  #open: PendingItem[] = [];
  #openBytes = 0;
  #openSinceMs = 0;
  readonly #openPartitions = new Set<PartitionLog>();
  /** Sealed and not committed, ascending by number without a gap. */
  #inFlight: FlushInFlight[] = [];
  #lastSealed = 0;
  /** Flushes up to this number are committed. */
  #head = 0;
  #isCommitting = false;
  /** Whether what is open leaves without waiting for company or a token. */
  #isHurried = false;
  #isDead = false;
  #cancelTimer: (() => void) | null = null;
  #timerDueMs = 0;

  constructor(components: FlusherComponents, counters: FlushMetrics) {
    this.#parts = components;
    this.#counters = counters;
    this.#budget = new PutBudget(components.settings.putBudget, components.clock.monotonicMs());
  }

  /** Number of the last committed flush, 0 before the first. */
  get head(): number {
    return this.#head;
  }

  /** Bytes that wait for a seal or a commit. */
  get pendingBytes(): number {
    let bytes = this.#openBytes;
    for (const flush of this.#inFlight) bytes += flush.sealed.bodyBytes;
    return bytes;
  }

  /** Whether everything handed in has been committed. */
  get isIdle(): boolean {
    return this.#open.length === 0 && this.#inFlight.length === 0;
  }

  /** Adds an item to the open flush. The session must be alive: the partition has checked it in the same step. */
  enqueue(item: PendingItem): void {
    invariant(!this.#isDead, `an item was enqueued after session ${this.#parts.session.sessionId} ended`);
    if (this.#open.length === 0) this.#openSinceMs = this.#parts.clock.monotonicMs();
    this.#open.push(item);
    this.#openBytes += item.bytes;
    this.#openPartitions.add(item.partition);
    this.#schedule();
  }

  /** Seals what is open as soon as the pipeline has a place: for a hand-over, which takes no appends until it is committed. */
  hurry(): void {
    if (this.#open.length === 0) return;
    this.#isHurried = true;
    this.#schedule();
  }

  /** How long the open flush has still to wait. */
  #delayMs(nowMs: number): number {
    const { flushBytes, flushExtentsMax, lingerMinMs, lingerMaxMs } = this.#parts.settings;
    if (this.#budget.isUnlimited || this.#isHurried) return 0;
    if (this.#openBytes >= flushBytes || this.#openPartitions.size > flushExtentsMax) return 0;
    const waitedMs = nowMs - this.#openSinceMs;
    const wanted = Math.max(lingerMinMs - waitedMs, this.#budget.waitMs(nowMs));
    return Math.max(0, Math.min(wanted, lingerMaxMs - waitedMs));
  }

  #schedule(): void {
    if (this.#isDead || this.#open.length === 0) return;
    if (this.#inFlight.length >= this.#parts.settings.flushesInFlightMax) return;
    const nowMs = this.#parts.clock.monotonicMs();
    const delayMs = this.#delayMs(nowMs);
    if (this.#cancelTimer && this.#timerDueMs <= nowMs + delayMs) return;
    this.#cancelTimer?.();
    this.#timerDueMs = nowMs + delayMs;
    this.#cancelTimer = this.#parts.clock.setTimer(delayMs, () => {
      this.#cancelTimer = null;
      this.#sealDue();
    });
  }

  #sealDue(): void {
    if (this.#isDead || this.#open.length === 0) return;
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#delayMs(nowMs) <= 0) {
      const slots = this.#parts.settings.flushesInFlightMax - this.#inFlight.length;
      for (const items of this.#takeOpen(slots)) this.#seal(items, nowMs);
      if (this.#open.length === 0) this.#isHurried = false;
    }
    this.#schedule();
  }

  /** Takes the open buffer in at most `slots` parts of even size; what has no slot stays open. */
  #takeOpen(slots: number): PendingItem[][] {
    // To the nearest: two objects of 5 MiB would cost twice as much as one of 10.
    const partCount = Math.max(1, Math.round(this.#openBytes / this.#parts.settings.flushBytes));
    const partBytes = this.#openBytes / partCount;
    const taken: PendingItem[][] = [];
    let next = 0;
    while (taken.length < Math.min(slots, partCount) && next < this.#open.length) {
      const first = next;
      let bytes = 0;
      while (next < this.#open.length && (bytes < partBytes || partCount === 1))
        bytes += this.#open[next++]?.bytes ?? 0;
      taken.push(this.#open.slice(first, next));
    }
    const rest = this.#open.slice(next);
    this.#open = [];
    this.#openBytes = 0;
    this.#openPartitions.clear();
    for (const item of rest) {
      this.#open.push(item);
      this.#openBytes += item.bytes;
      this.#openPartitions.add(item.partition);
    }
    return taken;
  }

  #seal(items: readonly PendingItem[], nowMs: number): void {
    const { session, wal } = this.#parts;
    this.#budget.spend(nowMs);
    const sealed = sealFlush(items, session.sessionId, ++this.#lastSealed);
    const flight = { sealed, sealedMs: nowMs, isPut: false, isSent: false };
    this.#inFlight.push(flight);
    wal.put(session.sessionId, sealed, session.signal).then(
      () => {
        flight.isPut = true;
        this.#commitReady();
      },
      (error: unknown) => this.#die(`flush ${sealed.flush} could not be put`, error),
    );
  }

  /** Starts the commit of every flush at the front of the pipeline whose PUT is done, unless one is under way. */
  #commitReady(): void {
    if (this.#isCommitting || this.#isDead) return;
    const waiting = this.#inFlight.findIndex((flush) => !flush.isPut);
    const ready = waiting < 0 ? this.#inFlight.length : waiting;
    if (ready === 0) return;
    this.#isCommitting = true;
    this.#commit(this.#inFlight.slice(0, ready)).catch((error: unknown) => this.#die("a commit failed", error));
  }

  async #commit(flushes: readonly FlushInFlight[]): Promise<void> {
    const { session, clock, settings } = this.#parts;
    const from = this.#head;
    const to = from + flushes.length;
    for (const flush of flushes) flush.isSent = true;
    // Past the deadline, or when the session ends meanwhile, the outcome stays unknown until the head is read.
    const outcome = await withDeadline(clock, settings.headTimeoutMs, `head ${from}..${to}`, session.signal, (signal) =>
      commitHead(session, { from, to, signal }),
    );
    if (outcome.kind === "unsent") for (const flush of flushes) flush.isSent = false;
    // After a death its own settlement decides by the head as read; acknowledging twice or differently is impossible.
    if (this.#isDead) return;
    if (outcome.kind !== "committed") {
      this.#die(`head ${from}..${to} was not committed: ${outcome.kind}`, outcome);
      return;
    }
    this.#counters.heads.value++;
    this.#isCommitting = false;
    this.#head = to;
    this.#inFlight = this.#inFlight.slice(flushes.length);
    this.#apply(flushes);
    this.#schedule();
    this.#commitReady();
  }

  /** The synchronous step of the commit: watermarks, producers and tail move, then acks leave, then readers wake. */
  #apply(flushes: readonly FlushInFlight[]): void {
    const moved = new Set<PartitionLog>();
    const nowMs = this.#parts.clock.monotonicMs();
    for (const { sealed, sealedMs } of flushes) {
      for (const { partition, extent, producerBatches } of sealed.extents) {
        partition.commitExtent(extent, producerBatches);
        if (!partition.isInternal) this.#counters.produced.value += extent.length;
        else if (extent.tailBytes) partition.foldState.applyBatches(extent.tailBytes);
        moved.add(partition);
      }
      for (const { partition, offset } of sealed.logStarts) {
        partition.commitLogStart(offset);
        moved.add(partition);
      }
      this.#parts.tail.add(
        sealed.extents.map((sealedExtent) => sealedExtent.extent),
        sealed.bodyBytes,
      );
      this.#counters.flushes.value++;
      this.#counters.bytes.value += sealed.bodyBytes + sealed.footerBytes;
      this.#counters.latency.observe((nowMs - sealedMs) / 1000);
      this.#parts.onCommit(sealed);
      for (const item of sealed.items) {
        item.partition.settleOne();
        item.succeed();
      }
    }
    for (const partition of moved) partition.wake();
  }

  #die(what: string, error: unknown): void {
    const { session, log } = this.#parts;
    if (!session.signal.aborted)
      log.warn("flush pipeline gives the session up", { session: session.sessionId, what, error });
    session.die(new Error(what, { cause: error }));
    this.failDefinite(session.signal.reason);
  }

  /**
   * The session has ended: refuses what was never sent in a head transaction, for it can never be committed. What was
   * sent waits for {@link settle}. Called by the session's log at the abort of the session's signal; repeating it is harmless.
   */
  failDefinite(reason: unknown): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#cancelTimer?.();
    const error = fencedError(this.#parts.session, reason);
    for (const item of this.#open) item.fail(error);
    this.#open = [];
    this.#openBytes = 0;
    this.#openPartitions.clear();
    for (const flush of this.#inFlight) {
      if (!flush.isSent) for (const item of flush.sealed.items) item.fail(error);
    }
    this.#inFlight = this.#inFlight.filter((flush) => flush.isSent);
  }

  /**
   * Answers what {@link failDefinite} left, by the head as read after the session's key was gone.
   * @param head undefined when nobody can tell: the waiters get REQUEST_TIMED_OUT, never a definite answer
   */
  settle(head: number | undefined): void {
    invariant(this.#isDead, "a living session settles nothing");
    const { session } = this.#parts;
    const fenced = fencedError(session, session.signal.reason);
    const text = `whether the flush of session ${session.sessionId} was committed is unknown`;
    const unknown = new KafkaError(ErrorCode.REQUEST_TIMED_OUT, text);
    for (const { sealed } of this.#inFlight) {
      for (const item of sealed.items) {
        if (head === undefined) item.fail(unknown);
        else if (sealed.flush <= head) item.succeed();
        else item.fail(fenced);
      }
    }
    this.#inFlight = [];
  }
}
