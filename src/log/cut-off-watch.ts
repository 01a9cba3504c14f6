// Finds out that this broker alone is cut off from the object store, so that others take its shards over long before its
// puts give up. While something waits for the store and it answers nothing here, other brokers are asked whether it answers
// them. Refuses every conclusion from silence: a yes has to be fresh, and to come again while own calls go on failing.
import type { ClusterComponents } from "../cluster/cluster-components.ts";
import type { ImageFeed } from "../cluster/image-feed.ts";
import { type PeerEndpoint, PeerError, type Peers } from "../cluster/peers.ts";
import { sleep, withDeadline } from "../host/clock.ts";
import type { Counter, Metrics } from "../host/metrics.ts";
import { brokenInvariant } from "../invariant.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";
import type { StoreReach } from "./store-reach.ts";

/** Parts of a {@link CutOffWatch}. */
export interface CutOffWatchParts {
  readonly cluster: ClusterComponents;
  readonly feed: ImageFeed;
  /** Undefined for a broker that is alone: nothing is ever concluded. */
  readonly peers: Peers | undefined;
  readonly store: StoreReach;
  readonly objectKeys: ObjectKeys;
  readonly registration: { readonly brokerId: number };
  readonly metrics: Metrics;
}

/** Without an answer of the store for this long the first round begins. */
const ASK_AFTER_MS = 3_000;
/** A round: a small call of our own has this long, then others are asked. A healthy store needs a tenth of it. */
const ROUND_MS = 1_000;
/**
 * Rounds in a row that have to speak for a cut, so that it is found after 7 s: above the slowest ordinary put (6 s), and
 * with a take-over of 3 s well below the 13 s that are promised. One round alone is what a store on its way back looks
 * like, or a store that refuses most calls.
 */
const ROUNDS_MIN = 4;
/** Brokers asked in a round, drawn anew for each: those of one zone may all be cut off. */
const ASKED_COUNT = 3;

/** The store answers other brokers, and this one not. */
export class CutOffError extends Error {
  override readonly name = "CutOffError";

  /** @param silentMs how long the store has not answered here */
  constructor(silentMs: number) {
    super(`the object store answers other brokers, and this one not for ${silentMs} ms`);
  }
}

/** How a round went. */
export interface CutOffRound {
  /** At its end: how long the store has answered nothing here, though something waited. */
  readonly silentMs: number;
  /** Whether it answered another broker a call that was made after one of ours had failed. */
  readonly isAnsweringOthers: boolean;
}

/** What follows from one more round, after `rounds` in a row that spoke for a cut. */
export function judgeCutOff(
  rounds: number,
  { silentMs, isAnsweringOthers }: CutOffRound,
): { readonly rounds: number; readonly isCutOff: boolean } {
  const next = isAnsweringOthers && silentMs >= ASK_AFTER_MS ? rounds + 1 : 0;
  return { rounds: next, isCutOff: next >= ROUNDS_MIN };
}

/** The watch of one broker over its way to the store. Asks nobody while nothing waits. */
export class CutOffWatch {
  readonly #parts: CutOffWatchParts;
  readonly #found: Counter;
  /** One for each work that waits for the store. */
  readonly #waiting = new Set<AbortController>();
  #waitingSinceMs = 0;
  /** Aborts when nothing waits any more. */
  #over = new AbortController();

  constructor(parts: CutOffWatchParts) {
    this.#parts = parts;
    const help = "Times this broker gave its session up because the object store answered others and not it.";
    this.#found = parts.metrics.counter("kafscale_store_cut_offs_total", help);
  }

  /**
   * Runs `work`, which waits for the store, with a signal that aborts as `signal` does, or with a {@link CutOffError} as
   * soon as this broker is found cut off from it.
   */
  async during<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (!this.#parts.peers) return work(signal);
    signal.throwIfAborted();
    const waiter = new AbortController();
    const onAbort = () => waiter.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (this.#waiting.size === 0) this.#begin(this.#parts.peers);
    this.#waiting.add(waiter);
    try {
      return await work(waiter.signal);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#waiting.delete(waiter);
      if (this.#waiting.size === 0) this.#over.abort();
    }
  }

  #begin(peers: Peers): void {
    const over = new AbortController();
    this.#over = over;
    this.#waitingSinceMs = this.#clock.monotonicMs();
    this.#untilCutOff(peers, over.signal).catch((error: unknown) => {
      if (over.signal.aborted && !brokenInvariant(error)) return;
      for (const waiter of this.#waiting) waiter.abort(error);
    });
  }

  get #clock() {
    return this.#parts.cluster.clock;
  }

  #silentMs(): number {
    return this.#clock.monotonicMs() - Math.max(this.#waitingSinceMs, this.#parts.store.answeredMs);
  }

  /** Rejects with a {@link CutOffError}, or the reason of `signal`. */
  async #untilCutOff(peers: Peers, signal: AbortSignal): Promise<never> {
    const clock = this.#clock;
    let rounds = 0;
    for (;;) {
      const silentMs = this.#silentMs();
      if (silentMs < ASK_AFTER_MS) {
        rounds = 0;
        await sleep(clock, ASK_AFTER_MS - silentMs, signal);
        continue;
      }
      await Promise.all([this.#callStore(signal), sleep(clock, ROUND_MS, signal)]);
      // Nobody is asked by a broker that has an answer.
      if (this.#silentMs() < ASK_AFTER_MS) continue;
      const isAnsweringOthers = await this.#isAnsweringOthers(peers, signal);
      const verdict = judgeCutOff(rounds, { silentMs: this.#silentMs(), isAnsweringOthers });
      if (verdict.isCutOff) throw this.#cutOff();
      rounds = verdict.rounds;
    }
  }

  #cutOff(): CutOffError {
    const silentMs = Math.round(this.#silentMs());
    this.#found.value++;
    this.#parts.cluster.log.warn("this broker alone is cut off from the object store", { silentMs });
    return new CutOffError(silentMs);
  }

  /** A call that nothing large holds up. The store notes its answer, whatever it is. */
  async #callStore(signal: AbortSignal): Promise<void> {
    const { store, objectKeys, registration } = this.#parts;
    const key = objectKeys.probe(registration.brokerId);
    try {
      await withDeadline(this.#clock, ROUND_MS, `head of ${key}`, signal, (call) => store.head(key, { signal: call }));
    } catch (error) {
      signal.throwIfAborted();
      if (brokenInvariant(error)) throw error;
    }
  }

  /** Whether any of a few brokers that could take shards says yes; who gives no answer says no. */
  async #isAnsweringOthers(peers: Peers, signal: AbortSignal): Promise<boolean> {
    const ask = async (peer: PeerEndpoint): Promise<void> => {
      if (!(await peers.probeStore(peer, { signal }))) throw new PeerError("unavailable", "the store does not answer");
    };
    const { feed, registration, cluster } = this.#parts;
    const others = feed.current
      .newestSessions()
      .filter(({ brokerId, isDraining }) => brokerId !== registration.brokerId && !isDraining);
    const asked: PeerEndpoint[] = [];
    while (asked.length < ASKED_COUNT && others.length > 0) {
      asked.push(...others.splice(Math.floor(cluster.random.uniform() * others.length), 1));
    }
    try {
      await Promise.any(asked.map(ask));
      return true;
    } catch {
      signal.throwIfAborted();
      return false;
    }
  }
}
