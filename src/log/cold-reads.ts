// GETs of what is no longer in RAM: their own slots and their own rate, so that consumers who catch up share what the
// store and the processor have to give with producers and never take it from them. A GET that takes longer than most is
// sent a second time, within bounds. Every one has a deadline; nothing is retried here.
import { longLivedController } from "../host/abort.ts";
import { ByteBudget } from "../host/byte-budget.ts";
import { type Clock, sleep, withDeadline } from "../host/clock.ts";
import type { Counter, Metrics } from "../host/metrics.ts";
import type { OutageLog } from "../host/outage-log.ts";
import { brokenInvariant } from "../invariant.ts";
import { type ByteRange, type ObjectStore, ObjectStoreError } from "../object-store/object-store.ts";
import { CatchUpPace, type CatchUpPaceSettings } from "./catch-up-pace.ts";

/** How reads behind the tail go to the store. */
export interface ColdReadSettings extends CatchUpPaceSettings {
  /**
   * What a GET of a segment brings at least, if there is as much, and the aligned pieces that are fetched and kept of
   * groups. 0: exactly what is asked for, where a GET costs no more than its bytes.
   */
  readonly chunkBytes: number;
  /**
   * The same for write-ahead objects, which all who catch up share: as much as one of them has, so that one GET brings it.
   * Without meaning where `chunkBytes` is 0.
   */
  readonly walChunkBytes: number;
  /** GETs under way at the same time, second ones included; 1 and up. */
  readonly getsInFlightMax: number;
  /** Those of a MiB and more among them, second ones not counted: what they bring comes at the same time; 1 and up. */
  readonly largeGetsInFlightMax: number;
  /**
   * A GET is sent again when it takes longer than 95 % of the last ones did, and this long at least; Infinity is never.
   */
  readonly hedgeMsMin: number;
  /** Bytes fetched ahead of a reader who reads on and on; 0 is none. */
  readonly readAheadBytes: number;
}

const MIB = 1024 * 1024;

/** For a store across a network that is paid by the GET. */
export const objectStoreColdReads: ColdReadSettings = {
  chunkBytes: 4 * MIB,
  // More than the largest flush has, 12 MiB, with its last batch and its footer.
  walChunkBytes: 16 * MIB,
  getsInFlightMax: 16,
  // Of 16 at the same time a consumer got no more, and producers had to wait for what came in one burst.
  largeGetsInFlightMax: 4,
  bytesPerSecond: 400 * MIB,
  bytesPerSecondBesideProducers: 40 * MIB,
  hedgeMsMin: 50,
  readAheadBytes: 16 * MIB,
};

/** Durations of a size class before its GETs are hedged, and how many of the last ones count. */
const DURATIONS_MIN = 20;
const DURATIONS_KEPT = 100;
/** GETs up to this many bytes are compared with each other, larger ones among themselves. */
const SMALL_GET_BYTES = 256 * 1024;
/** GETs of this many bytes and more have slots of their own. */
const LARGE_GET_BYTES = MIB;
/** One GET in so many may be hedged, and as many at once when there was no need for long. */
const GETS_PER_HEDGE = 10;
const HEDGES_SAVED_MAX = 4;

/** Parts of {@link ColdReads}. */
export interface ColdReadComponents {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly settings: ColdReadSettings;
  /** After this a GET counts as failed. */
  readonly attemptTimeoutMs: number;
  /** What reads under way may hold; a second GET that does not fit in is not sent. */
  readonly budget: ByteBudget;
  /** Told of every GET that the store answers or fails to answer. */
  readonly outages: OutageLog;
  /** Bytes that producers of this broker have had committed so far. */
  readonly producedBytes: () => number;
}

interface SecondGet {
  /** Aborts when the first one has ended. */
  readonly waiting: AbortSignal;
  readonly send: () => Promise<Uint8Array>;
}

/** The GETs of all readers of a broker. */
export class ColdReads {
  readonly #parts: ColdReadComponents;
  readonly #slots: ByteBudget;
  readonly #largeSlots: ByteBudget;
  readonly #pace: CatchUpPace;
  readonly #small = new RecentDurations();
  readonly #large = new RecentDurations();
  readonly #gets: Counter;
  readonly #hedges: Counter;
  readonly #bytes: Counter;
  /**
   * The last GET whose object ended before its range. Objects that are asked for whole are asked for by more than they
   * have, and are alike: the next one is expected to bring as much, so that others do not wait for what will not come.
   */
  #lastShort = { askedBytes: -1, broughtBytes: 0 };
  /** Hedges that may be sent now; grows with each GET. */
  #hedgesSaved = 0;
  /** What GETs under way live under: they are bounded by their deadlines, and others than the first asker wait for them. */
  readonly #life = longLivedController();

  constructor(components: ColdReadComponents) {
    this.#parts = components;
    const { metrics, settings } = components;
    this.#slots = new ByteBudget(settings.getsInFlightMax);
    this.#largeSlots = new ByteBudget(settings.largeGetsInFlightMax);
    this.#pace = new CatchUpPace(components);
    this.#gets = metrics.counter("kafscale_cold_gets_total", "GETs of records that were not in RAM.");
    this.#hedges = metrics.counter("kafscale_cold_gets_hedged_total", "GETs of such records sent a second time.");
    this.#bytes = metrics.counter("kafscale_cold_get_bytes_total", "Bytes that these GETs brought.");
  }

  /** Reads a range once, in its turn. Rejects with what the store or the deadline says. */
  async get(key: string, range: ByteRange): Promise<Uint8Array> {
    const isLarge = range.length >= LARGE_GET_BYTES;
    const { signal } = this.#life;
    // First among its like, so that large ones which wait leave their slots to small ones.
    if (isLarge) await this.#largeSlots.take(1, { signal });
    try {
      if (!this.#slots.tryTake(1)) await this.#slots.take(1, { signal });
      try {
        return await this.#getInTurn(key, range);
      } finally {
        this.#slots.give(1);
      }
    } finally {
      if (isLarge) this.#largeSlots.give(1);
    }
  }

  async #getInTurn(key: string, range: ByteRange): Promise<Uint8Array> {
    const { askedBytes, broughtBytes } = this.#lastShort;
    const expectedBytes = range.length === askedBytes ? broughtBytes : range.length;
    await this.#pace.awaitTurn(expectedBytes, this.#life.signal);
    const bytes = await this.#hedged(key, range);
    this.#bytes.value += bytes.length;
    this.#pace.refund(expectedBytes - bytes.length);
    if (bytes.length < range.length) this.#lastShort = { askedBytes: range.length, broughtBytes: bytes.length };
    return bytes;
  }

  async #hedged(key: string, range: ByteRange): Promise<Uint8Array> {
    this.#hedgesSaved = Math.min(HEDGES_SAVED_MAX, this.#hedgesSaved + 1 / GETS_PER_HEDGE);
    const { p95Ms } = this.#durationsOf(range);
    const { hedgeMsMin } = this.#parts.settings;
    if (p95Ms === undefined || hedgeMsMin === Number.POSITIVE_INFINITY) {
      return this.#attempt(key, range, this.#life.signal);
    }
    const [waiting, loser] = [new AbortController(), new AbortController()];
    const send = () => this.#attempt(key, range, loser.signal);
    const first = send();
    const second = this.#attemptLater(Math.max(p95Ms, hedgeMsMin), range, { waiting: waiting.signal, send });
    // The asker decides whether to try again: what failed before needs no company.
    first.catch(() => waiting.abort());
    try {
      return await Promise.any([first, second]);
    } catch {
      return await first;
    } finally {
      waiting.abort();
      loser.abort(new Error(`another get of ${key} was faster`));
    }
  }

  /** The second GET, when its time has come and there is room for it. Rejects where it is not sent. */
  async #attemptLater(delayMs: number, range: ByteRange, { waiting, send }: SecondGet): Promise<Uint8Array> {
    await sleep(this.#parts.clock, delayMs, waiting);
    if (!this.#mayHedge(range.length)) throw new Error("there is no room for a second get");
    try {
      return await send();
    } finally {
      this.#parts.budget.give(range.length);
      this.#slots.give(1);
    }
  }

  #mayHedge(bytes: number): boolean {
    const { budget } = this.#parts;
    if (this.#hedgesSaved < 1 || !this.#slots.tryTake(1)) return false;
    if (!budget.tryTake(bytes)) {
      this.#slots.give(1);
      return false;
    }
    this.#hedgesSaved--;
    this.#hedges.value++;
    return true;
  }

  async #attempt(key: string, range: ByteRange, signal: AbortSignal): Promise<Uint8Array> {
    const { store, clock, attemptTimeoutMs } = this.#parts;
    this.#gets.value++;
    const startMs = clock.monotonicMs();
    try {
      const bytes = await withDeadline(clock, attemptTimeoutMs, `get of ${key}`, signal, (attempt) =>
        store.get(key, { range, signal: attempt }),
      );
      this.#parts.outages.answered();
      this.#durationsOf(range).add(clock.monotonicMs() - startMs);
      return bytes;
    } catch (error) {
      // A GET that another one outran says nothing of the store.
      if (!signal.aborted) this.#noteFailure(key, error);
      throw error;
    }
  }

  #noteFailure(key: string, error: unknown): void {
    const { outages } = this.#parts;
    if (error instanceof ObjectStoreError && error.kind === "not-found") outages.answered();
    else if (!brokenInvariant(error)) outages.failed(error, { key });
  }

  #durationsOf({ length }: ByteRange): RecentDurations {
    return length <= SMALL_GET_BYTES ? this.#small : this.#large;
  }
}

/** How long the last calls of a kind took. */
class RecentDurations {
  readonly #kept: number[] = [];
  #next = 0;
  #p95Ms: number | undefined;

  /** 95 % took no longer; undefined while too few are known. As of the last tenth call. */
  get p95Ms(): number | undefined {
    return this.#p95Ms;
  }

  add(durationMs: number): void {
    this.#kept[this.#next % DURATIONS_KEPT] = durationMs;
    this.#next++;
    if (this.#kept.length < DURATIONS_MIN || this.#next % 10 !== 0) return;
    const sorted = this.#kept.toSorted((left, right) => left - right);
    this.#p95Ms = sorted[Math.floor(sorted.length * 0.95)];
  }
}
