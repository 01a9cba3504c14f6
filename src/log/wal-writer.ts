// Writes WAL and checkpoint objects: the same bytes to the same key until the store has them, within a deadline. A put
// of unknown outcome is repeated, never given another key, and nothing is ever deleted because an outcome is unknown.
// The bytes of these objects are final: nobody writes into them from the put on, so that a store may keep them.
import { type Clock, sleep, withDeadline } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { OutageLog } from "../host/outage-log.ts";
import type { Random } from "../host/random.ts";
import { brokenInvariant, invariant } from "../invariant.ts";
import { type CallOptions, type ObjectStore, ObjectStoreError } from "../object-store/object-store.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";
import type { CutOffWatch } from "./cut-off-watch.ts";
import type { LogSettings } from "./log-settings.ts";
import type { SealedFlush } from "./seal.ts";

/** Parts of a {@link WalWriter}. */
export interface WalWriterComponents {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly objectKeys: ObjectKeys;
  readonly settings: LogSettings;
  readonly cutOff: CutOffWatch;
}

/** Longest pause between two attempts, in milliseconds. */
const BACKOFF_MS_MAX = 1_000;
/** Longest pause before the second attempt; doubles from there. */
const BACKOFF_MS_FIRST = 50;

/** A background call of a large object may take as long as a slow network needs for its bytes: 1 MiB/s. */
const BACKGROUND_BYTES_PER_MS = 1024;

/** Puts objects of this broker's sessions. */
export class WalWriter {
  readonly #parts: WalWriterComponents;
  /** Told of what fails. */
  readonly outages: OutageLog;

  constructor(components: WalWriterComponents) {
    this.#parts = components;
    const { log, clock } = components;
    this.outages = new OutageLog({ log, clock, began: "put failed", over: "puts are answered again" });
  }

  /** Puts the WAL object of a sealed flush. Rejects as {@link putObject} does. */
  put(sessionId: string, sealed: SealedFlush, signal: AbortSignal): Promise<void> {
    return this.putObject(this.#parts.objectKeys.wal(sessionId, sealed.flush), sealed.parts, signal);
  }

  /**
   * Puts `parts` at `key`, which only this session ever writes, with retries until `putTimeoutMs` has passed or this
   * broker is found cut off from the store.
   */
  async putObject(key: string, parts: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const isOurs = await this.#parts.cutOff.during(signal, (whileInReach) =>
      this.#patiently(key, parts, { signal: whileInReach }),
    );
    invariant(isOurs, `the object ${key} holds other bytes than this session put there`);
  }

  /**
   * As {@link putObject}, for work that no client waits for and for keys that others may write as well.
   * @returns whether these bytes stand at the key now; false when others do, which are left alone
   */
  putIfAbsent(key: string, parts: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
    return this.#patiently(key, parts, { signal, isBackground: true });
  }

  /** As {@link putObject}, for work that no client waits for. */
  async putInBackground(key: string, parts: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const isOurs = await this.putIfAbsent(key, parts, signal);
    invariant(isOurs, `the object ${key} holds other bytes than this session put in the background`);
  }

  async #patiently(key: string, parts: readonly Uint8Array[], options: CallOptions): Promise<boolean> {
    const { clock, random, settings } = this.#parts;
    const { signal } = options;
    const startedMs = clock.monotonicMs();
    for (let attempt = 1; ; attempt++) {
      try {
        const isOurs = await this.#attempt(key, parts, options);
        this.outages.answered();
        return isOurs;
      } catch (error) {
        if (brokenInvariant(error)) throw error;
        signal.throwIfAborted();
        const leftMs = settings.putTimeoutMs - (clock.monotonicMs() - startedMs);
        this.outages.failed(error, { key, attempt, leftMs: Math.round(leftMs) });
        if (leftMs <= 0) throw error;
        const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** (attempt - 1)) * (0.5 + random.uniform());
        await sleep(clock, Math.min(backoffMs, leftMs), signal);
      }
    }
  }

  async #attempt(key: string, parts: readonly Uint8Array[], options: CallOptions): Promise<boolean> {
    const { store, clock, settings } = this.#parts;
    const put = { ...options, ifAbsent: true, areFinal: true };
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    // A flush is never large, and somebody waits for it.
    const timeoutMs = settings.storeAttemptTimeoutMs + (options.isBackground ? bytes / BACKGROUND_BYTES_PER_MS : 0);
    try {
      await withDeadline(clock, timeoutMs, `put of ${key}`, options.signal, (signal) =>
        store.put(key, parts, { ...put, signal }),
      );
      return true;
    } catch (error) {
      if (!(error instanceof ObjectStoreError && error.kind === "already-exists")) throw error;
      return this.#hasContent(key, parts, options);
    }
  }

  /** An object stands at the key, maybe of an earlier attempt of ours. Read, never assume (I4). */
  async #hasContent(key: string, parts: readonly Uint8Array[], options: CallOptions): Promise<boolean> {
    const { store, clock, settings } = this.#parts;
    const expected = Buffer.concat(parts);
    const timeoutMs = settings.storeAttemptTimeoutMs + expected.length / BACKGROUND_BYTES_PER_MS;
    const stored = await withDeadline(clock, timeoutMs, `read back of ${key}`, options.signal, (signal) =>
      store.get(key, { ...options, signal }),
    );
    return expected.equals(stored);
  }
}
