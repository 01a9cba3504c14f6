// Sends a put a second time when it takes longer than nearly all before it: a store's slowest answers are mostly one
// connection's or one machine's bad luck. Only puts that replace nothing and whose bytes are final, so that both may land
// and are the same; and only few, so that a store which is slow as a whole is not asked for twice as much.
import type { Clock } from "../host/clock.ts";
import type { Counter, Metrics } from "../host/metrics.ts";
import { brokenInvariant } from "../invariant.ts";
import { type CallOptions, type ObjectStore, ObjectStoreError, type PutOptions } from "./object-store.ts";

/** Durations that are compared: those of the last puts of about the same size. */
const DURATIONS_KEPT = 100;
/** Without this many there is nothing to compare with. */
const DURATIONS_MIN = 20;
/** A put that takes longer than this share of them is sent again. */
const QUANTILE = 0.95;
/** No put is sent again before this, however quick the others were. */
const HEDGE_MS_MIN = 50;
/** Puts up to this size are compared with each other, larger ones among themselves. */
const SMALL_BYTES = 256 * 1024;
/** Second sendings that each put saves up, and how many may be saved: a slow store gets a tenth more, not double. */
const CREDIT_PER_PUT = 0.1;
const CREDIT_MAX = 10;

/** Which failure of two is told: the one that asks most of the caller. */
const weight: Readonly<Record<string, number>> = { "already-exists": 3, unknown: 2, denied: 1 };

/** What the decorator needs besides the store. */
export interface HedgedPutsParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** A store whose slow puts are sent twice. Everything else passes through. */
export class HedgedPuts implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #hedges: Counter;
  readonly #small: number[] = [];
  readonly #large: number[] = [];
  #credit = CREDIT_MAX;

  /** @param store takes a put of the same bytes to the same key for done, as `S3ObjectStore` does */
  constructor(store: ObjectStore, { clock, metrics }: HedgedPutsParts) {
    this.#store = store;
    this.#clock = clock;
    this.#hedges = metrics.counter(
      "kafscale_s3_hedged_puts_total",
      "Puts that were sent a second time for being slow.",
    );
  }

  put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const { ifAbsent, areFinal, isBackground } = options;
    if (!ifAbsent || areFinal !== true || isBackground) return this.#store.put(key, parts, options);
    this.#credit = Math.min(CREDIT_MAX, this.#credit + CREDIT_PER_PUT);
    const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    return this.#hedged(bytes <= SMALL_BYTES ? this.#small : this.#large, options.signal, (signal) =>
      this.#store.put(key, parts, { ...options, signal }),
    );
  }

  get(key: string, options: Parameters<ObjectStore["get"]>[1]): Promise<Uint8Array> {
    return this.#store.get(key, options);
  }

  head(key: string, options: CallOptions): Promise<{ bytes: number }> {
    return this.#store.head(key, options);
  }

  list(prefix: string, options: Parameters<ObjectStore["list"]>[1]): ReturnType<ObjectStore["list"]> {
    return this.#store.list(prefix, options);
  }

  delete(keys: readonly string[], options: CallOptions): Promise<void> {
    return this.#store.delete(keys, options);
  }

  /** Runs `send`, and a second time when it is late. The first success counts, and ends the other one. */
  #hedged(durations: number[], signal: AbortSignal, send: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    return new Promise((resolve, reject) => {
      const loser = new AbortController();
      const onAbort = () => loser.abort(signal.reason);
      let pendingCount = 0;
      let failure: unknown;
      const end = () => {
        cancel();
        signal.removeEventListener("abort", onAbort);
        loser.abort(new Error("another try of the same put was done first"));
      };
      const onSuccess = () => {
        end();
        keep(durations, this.#clock.monotonicMs() - startedMs);
        resolve();
      };
      const onFailure = (error: unknown) => {
        pendingCount--;
        failure = heavier(failure, error);
        if (pendingCount > 0 && !brokenInvariant(error)) return;
        end();
        reject(failure);
      };
      const start = () => {
        pendingCount++;
        send(loser.signal).then(onSuccess, onFailure);
      };
      const cancel = this.#clock.setTimer(lateAfterMs(durations), () => {
        if (this.#credit < 1) return;
        this.#credit--;
        this.#hedges.value++;
        start();
      });
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
      start();
    });
  }
}

/** When a put is late, in milliseconds; far away where too little is known. */
function lateAfterMs(durations: readonly number[]): number {
  if (durations.length < DURATIONS_MIN) return 0x7fff_ffff;
  const sorted = durations.toSorted((left, right) => left - right);
  return Math.max(HEDGE_MS_MIN, sorted[Math.floor(sorted.length * QUANTILE)] ?? 0);
}

function keep(durations: number[], durationMs: number): void {
  durations.push(durationMs);
  if (durations.length > DURATIONS_KEPT) durations.shift();
}

function heavier(left: unknown, right: unknown): unknown {
  if (left === undefined || brokenInvariant(right)) return right;
  if (brokenInvariant(left)) return left;
  return weightOf(right) > weightOf(left) ? right : left;
}

function weightOf(error: unknown): number {
  return error instanceof ObjectStoreError ? (weight[error.kind] ?? 0) : 0;
}
