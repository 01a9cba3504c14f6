// The object store as the log of one broker uses it: notes when it last answered, and tells other brokers whether it
// answers at all. What it tells is always learnt after the question came, never remembered; and however many ask, the
// store gets two small calls of it in half a second at most.
import { type Clock, sleep } from "../host/clock.ts";
import type { Random } from "../host/random.ts";
import { brokenInvariant } from "../invariant.ts";
import { type ObjectStore, ObjectStoreError } from "../object-store/object-store.ts";
import { probeStore } from "./store-probe.ts";

/** Parts of a {@link StoreReach}. */
export interface StoreReachParts {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Of the probes for others alone: whoever else wrote there would spoil what is read back. */
  readonly key: string;
  /** Ends a probe under way. */
  readonly signal: AbortSignal;
}

/** A put and a get of a few bytes: a healthy store needs a tenth of it, and whoever asks has little time. */
const PROBE_TIMEOUT_MS = 1_500;
/** Between the beginnings of two probes. */
const PROBE_PACE_MS = 500;

/** A store that knows when it answered. */
export class StoreReach implements ObjectStore {
  readonly #parts: StoreReachParts;
  #answeredMs = Number.NEGATIVE_INFINITY;
  /** The probe that has not begun: whoever asks meanwhile shares it. */
  #next: Promise<boolean> | null = null;
  /** The last one begun; it may be over. */
  #last: Promise<unknown> = Promise.resolve();
  #lastBeganMs = Number.NEGATIVE_INFINITY;

  constructor(parts: StoreReachParts) {
    this.#parts = parts;
  }

  /** When the store last answered a call, by the monotonic clock: done, or refused for what lies there or for rights. */
  get answeredMs(): number {
    return this.#answeredMs;
  }

  /** Whether a put and a get that begin after this call succeed within a moment; known after 3 s at most. */
  isAnswering(): Promise<boolean> {
    this.#next ??= this.#probeNext(this.#last);
    return this.#next;
  }

  async #probeNext(last: Promise<unknown>): Promise<boolean> {
    const { clock, signal } = this.#parts;
    try {
      await last;
      const pauseMs = this.#lastBeganMs + PROBE_PACE_MS - clock.monotonicMs();
      if (pauseMs > 0) await sleep(clock, pauseMs, signal);
    } catch {
      // The broker ends.
    }
    this.#lastBeganMs = clock.monotonicMs();
    const probe = this.#probe();
    // What begins now is too old for whoever asks from here on.
    this.#next = null;
    this.#last = probe.catch(() => {});
    return probe;
  }

  async #probe(): Promise<boolean> {
    const { clock, random, key, signal } = this.#parts;
    try {
      await probeStore({ store: this, clock, random, key, signal, timeoutMs: PROBE_TIMEOUT_MS });
      return true;
    } catch (error) {
      if (brokenInvariant(error)) throw error;
      return false;
    }
  }

  put(...[key, parts, options]: Parameters<ObjectStore["put"]>): Promise<void> {
    return this.#noted(this.#parts.store.put(key, parts, options));
  }

  get(...[key, options]: Parameters<ObjectStore["get"]>): Promise<Uint8Array> {
    return this.#noted(this.#parts.store.get(key, options));
  }

  head(...[key, options]: Parameters<ObjectStore["head"]>): ReturnType<ObjectStore["head"]> {
    return this.#noted(this.#parts.store.head(key, options));
  }

  list(...[prefix, options]: Parameters<ObjectStore["list"]>): ReturnType<ObjectStore["list"]> {
    return this.#noted(this.#parts.store.list(prefix, options));
  }

  delete(...[keys, options]: Parameters<ObjectStore["delete"]>): Promise<void> {
    return this.#noted(this.#parts.store.delete(keys, options));
  }

  /** Gives `call` back; the answer is noted before its caller has it. */
  #noted<T>(call: Promise<T>): Promise<T> {
    call.then(
      () => this.#noteAnswer(),
      (error: unknown) => {
        if (isAnswer(error)) this.#noteAnswer();
      },
    );
    return call;
  }

  #noteAnswer(): void {
    this.#answeredMs = this.#parts.clock.monotonicMs();
  }
}

/** Whether a failure shows that the store is in reach. A 503 or a time-out may come from anything on the way. */
function isAnswer(error: unknown): boolean {
  if (!(error instanceof ObjectStoreError)) return false;
  return error.kind === "not-found" || error.kind === "already-exists" || error.kind === "denied";
}
