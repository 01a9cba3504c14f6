// Deletes objects that nobody needs, in batches and at a rate, until the store says that they are gone. What may be deleted
// is decided elsewhere and is final: to delete a key twice changes nothing, because no key is written again.
import { type Clock, sleep, withDeadline } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Counter, Metrics } from "../host/metrics.ts";
import { OutageLog } from "../host/outage-log.ts";
import type { Random } from "../host/random.ts";
import { brokenInvariant } from "../invariant.ts";
import type { ObjectStore } from "../object-store/object-store.ts";

/** When objects are removed, and how fast. */
export interface RemovalSettings {
  /** Between the moment from which nothing names an object and its removal, for readers on their way. */
  readonly graceMs: number;
  /** Between two looks at what a broker may remove, at least. */
  readonly lookEveryMs: number;
  /** Between two looks for what dead sessions left, on average. */
  readonly sweepEveryMs: number;
  /** Objects that a broker removes in a second. */
  readonly objectsPerSecond: number;
}

/** What kind of object is removed, as the metric names it. */
export type RemovedKind = "wal" | "checkpoint" | "segment";

/** Parts of a {@link Remover}. */
export interface RemoverComponents {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly settings: { readonly removal: RemovalSettings; readonly storeAttemptTimeoutMs: number };
}

/** What one call to the store takes. */
const BATCH_OBJECTS_MAX = 1_000;
const BACKOFF_MS_FIRST = 200;
/** A store that refuses deletions costs money and nothing else. */
const BACKOFF_MS_MAX = 60_000;

/** Removes the objects of one broker. */
export class Remover {
  readonly #parts: RemoverComponents;
  readonly #removed: Readonly<Record<RemovedKind, Counter>>;
  /** Told of what fails. */
  readonly outages: OutageLog;

  constructor(components: RemoverComponents) {
    this.#parts = components;
    const { log, clock } = components;
    this.outages = new OutageLog({ log, clock, began: "removal failed, trying again", over: "removals go on" });
    const counter = (kind: RemovedKind) =>
      components.metrics.counter("kafscale_objects_removed_total", "Objects removed that nobody needed.", { kind });
    this.#removed = { wal: counter("wal"), checkpoint: counter("checkpoint"), segment: counter("segment") };
  }

  /** Removes `keys`, however often that takes; rejects only when `signal` aborts. */
  async remove(kind: RemovedKind, keys: Iterable<string>, signal: AbortSignal): Promise<void> {
    let batch: string[] = [];
    for (const key of keys) {
      batch.push(key);
      if (batch.length < BATCH_OBJECTS_MAX) continue;
      await this.#removeBatch(kind, batch, signal);
      batch = [];
    }
    if (batch.length > 0) await this.#removeBatch(kind, batch, signal);
  }

  /** Removes everything that begins with `prefix`, listed until nothing is left. */
  async removeAll(kind: RemovedKind, prefix: string, signal: AbortSignal): Promise<void> {
    const { store } = this.#parts;
    for (;;) {
      const { objects } = await this.#untilDone(`list of ${prefix}`, signal, (call) =>
        store.list(prefix, { limit: BATCH_OBJECTS_MAX, isBackground: true, signal: call }),
      );
      if (objects.length === 0) return;
      await this.#removeBatch(
        kind,
        objects.map(({ key }) => key),
        signal,
      );
    }
  }

  async #removeBatch(kind: RemovedKind, keys: readonly string[], signal: AbortSignal): Promise<void> {
    const { store, clock, log, settings } = this.#parts;
    await this.#untilDone(`delete of ${keys.length} objects`, signal, (call) =>
      store.delete(keys, { isBackground: true, signal: call }),
    );
    this.#removed[kind].value += keys.length;
    log.debug("objects removed", { kind, count: keys.length, first: keys[0], last: keys.at(-1) });
    await sleep(clock, (keys.length * 1000) / settings.removal.objectsPerSecond, signal);
  }

  async #untilDone<T>(what: string, signal: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, random, settings } = this.#parts;
    for (let backoffMs = BACKOFF_MS_FIRST; ; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX)) {
      try {
        const answer = await withDeadline(clock, settings.storeAttemptTimeoutMs, what, signal, call);
        this.outages.answered();
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        if (brokenInvariant(error)) throw error;
        this.outages.failed(error, { what });
      }
      await sleep(clock, backoffMs * (0.5 + random.uniform()), signal);
    }
  }
}
