// Reads objects back: stretches of WAL objects and segments for fetches, through the cache of chunks and ahead of sequential
// readers, footers for recovery. Every byte is checked against its CRC before anybody uses it.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { ByteBudget } from "../host/byte-budget.ts";
import { type Clock, DeadlineError, sleep, withDeadline } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Counter, Metrics } from "../host/metrics.ts";
import { OutageLog } from "../host/outage-log.ts";
import { brokenInvariant } from "../invariant.ts";
import { KafkaError } from "../kafka-error.ts";
import { type ByteRange, type ObjectStore, ObjectStoreError } from "../object-store/object-store.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import { decodeObject, FormatError } from "../objects/format-error.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";
import { decodeWalFooter, decodeWalTrailer, type WalFooter } from "../objects/wal-object.ts";
import type { Offset } from "../topic-partition.ts";
import { type CheckedRange, ChunkCache } from "./chunk-cache.ts";
import { ColdReads } from "./cold-reads.ts";
import { type Extent, rangeIndexOf } from "./extents.ts";
import type { LogSettings } from "./log-settings.ts";
import { ReadAhead } from "./read-ahead.ts";
import { RunReads } from "./run-reads.ts";
import { SegmentStretches } from "./segment-stretches.ts";
import { isStretch, type Run, type StoredReads, type Stretch } from "./stretch.ts";

/** Parts of a {@link WalReader}. */
export interface WalReaderComponents {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly objectKeys: ObjectKeys;
  readonly settings: LogSettings;
  /** Bytes that producers of this broker have had committed so far. */
  readonly producedBytes: () => number;
}

/** The end of an object that one read brings: enough for nearly every footer and index. */
const OBJECT_END_BYTES = 64 * 1024;
const RETRY_PAUSE_MS = 200;
/** What a GET of a segment brings even where there is no room for it, as a share of what it brings else. */
const RUN_SHARE_MIN = 1 / 4;
/** Reading ahead leaves this share of the room to those who need theirs now: what it takes from them costs more GETs. */
const ROOM_KEPT_SHARE = 1 / 2;
/** Attempts of a read on behalf of a client, who retries himself. */
const CLIENT_ATTEMPTS = 3;

/** The end of an object, and where it begins in it. */
interface ObjectEnd {
  readonly bytes: Uint8Array;
  readonly position: number;
  readonly objectBytes: number;
}

/** Reads objects of this and of earlier sessions. */
export class WalReader implements StoredReads {
  readonly #parts: WalReaderComponents;
  readonly #chunks: ChunkCache;
  readonly #runs: RunReads;
  readonly #ahead: ReadAhead<Run | Stretch>;
  readonly #segments: SegmentStretches;
  /** Reads under way with their further attempts, so that what many wait for is tried, and told of, once. */
  readonly #underWay = new Map<string, Promise<Uint8Array>>();
  readonly #corrupt: Counter;
  readonly #dangling: Counter;
  /** Told of what fails. */
  readonly outages: OutageLog;
  /** Whether the last object whose end was read was all end: then the next one may be. */
  #areEndsWhole = true;

  constructor(components: WalReaderComponents) {
    this.#parts = components;
    const { store, clock, log, metrics, settings, producedBytes } = components;
    this.outages = new OutageLog({ log, clock, began: "read failed, trying again", over: "reads are answered again" });
    const { coldReads, storeAttemptTimeoutMs: attemptTimeoutMs, readCacheBytes: cacheBytes } = settings;
    // Bounds the bytes that reads under way may bring, however many ask at the same time.
    const budget = new ByteBudget(settings.readsInFlightBytes);
    const { outages } = this;
    const parts = { store, clock, metrics, attemptTimeoutMs, budget, outages, producedBytes };
    const gets = new ColdReads({ ...parts, settings: coldReads });
    const get = (key: string, range: ByteRange) => gets.get(key, range);
    this.#chunks = new ChunkCache({ get, budget, cacheBytes, chunkBytes: coldReads.chunkBytes });
    const { kept } = this.#chunks;
    const bytesMin = coldReads.chunkBytes * RUN_SHARE_MIN;
    const accepts = (stretch: Stretch, bytes: Uint8Array) => this.#accepts(stretch, bytes);
    this.#runs = new RunReads({ get, clock, budget, kept, bytesMin, accepts });
    this.#segments = new SegmentStretches({ get, runs: this.#runs, getBytes: coldReads.chunkBytes });
    this.#ahead = new ReadAhead(this.#readAheadSource(), {
      windowBytes: coldReads.readAheadBytes,
      // Of what is kept; a chunk may hold several times what is read of it.
      bytesMax: cacheBytes / (coldReads.chunkBytes > 0 ? 4 : 2),
      loadsMax: Math.max(1, coldReads.getsInFlightMax / 2),
    });
    this.#corrupt = metrics.counter("kafscale_corrupt_reads_total", "Reads whose bytes failed their checksum.");
    this.#dangling = metrics.counter(
      "kafscale_dangling_reads_total",
      "Reads of objects that a partition refers to and that are not there.",
    );
    metrics.gauge("kafscale_read_cache_bytes", "Bytes of older records kept in RAM.", () => kept.bytes);
  }

  #readAheadSource() {
    return {
      nameOf,
      bytesOf: (step: Run | Stretch) => step.length,
      roomBytes: () => this.#runs.roomBytes - this.#parts.settings.readCacheBytes * ROOM_KEPT_SHARE,
      isAtHand: (step: Run | Stretch) => {
        if (!isRun(step)) return this.#chunks.isAtHand(this.#rangeOf(step));
        return step.stretches.length > 0 && step.stretches.every((stretch) => this.#runs.isAtHand(stretch));
      },
      load: (step: Run | Stretch) => this.#loadAhead(step),
      monotonicMs: () => this.#parts.clock.monotonicMs(),
    };
  }

  async #loadAhead(step: Run | Stretch): Promise<unknown> {
    if (!isRun(step)) return this.#read(step);
    if (step.stretches.length === 0) return this.loadStretchAt(step.segment, step.baseOffset);
    const missing = step.stretches.find((stretch) => !this.#runs.isAtHand(stretch));
    return missing && this.#read(missing);
  }

  /** Where a committed extent lies. */
  stretchOf({ sessionId, flush, position, length, crc32c, baseOffset, endOffset }: Extent): Stretch {
    const key = this.#parts.objectKeys.wal(sessionId, flush);
    return { key, position, length, crc32c, baseOffset, endOffset, isInWal: true };
  }

  /** The stretch of a segment that holds an offset of it; undefined while it is not known where that is. */
  stretchAt(segment: SegmentEntry, offset: Offset): Stretch | undefined {
    const { stretches } = this.#segments.known(segment);
    return stretches[rangeIndexOf(stretches, offset)];
  }

  /**
   * The same, once it is known.
   * @throws KafkaError KAFKA_STORAGE_ERROR when it cannot be found out; damage is logged with the object's key, an outage once
   */
  async loadStretchAt(segment: SegmentEntry, offset: Offset): Promise<Stretch | undefined> {
    const run = this.#segments.nextRun(segment, offset);
    // Past damage, at which every look ends, the index leads.
    if (run) await this.#attempt(segment, () => this.#segments.look(run)).catch(throwUnlessDamage);
    const found = this.stretchAt(segment, offset);
    if (found || segment.form.type === "group") return found;
    const { stretches } = await this.#attempt({ ...segment, key: segment.form.indexKey }, () =>
      this.#segments.loadIndex(segment),
    );
    return stretches[rangeIndexOf(stretches, offset)];
  }

  /** What a reader comes to in a segment from `offset` on; false when its index has to tell first, and is on its way. */
  *stepsFrom(segment: SegmentEntry, offset: Offset): Generator<Run | Stretch, boolean> {
    const { steps, rest } = this.#segments.known(segment);
    yield* steps.slice(rangeIndexOf(steps, offset));
    if (rest.length === 0) return true;
    const run = this.#segments.nextRun(segment, rest.offset);
    if (run) yield run;
    // Who comes to read it meets the same trouble himself.
    else this.loadStretchAt(segment, rest.offset).catch(() => {});
    return run !== undefined;
  }

  /**
   * The bytes of a stretch.
   * @param following what comes after it, or its run, for a reader who will go on; looked at before this returns
   * @throws KafkaError KAFKA_STORAGE_ERROR when they cannot be had; damage is logged with the object's key, an outage once
   */
  async readStretch(
    stretch: Stretch,
    signal: AbortSignal,
    following: Iterable<Run | Stretch> = [],
  ): Promise<Uint8Array> {
    const kept = stretch.run ? this.#runs.readKept(stretch) : this.#chunks.readKept(this.#rangeOf(stretch));
    // Before what follows, so that the reader's own GET goes first. Not with his signal: others may join this read, and
    // the attempts are bounded by themselves.
    const reading = kept ?? this.#read(stretch);
    this.#ahead.note(stretch.run ?? stretch, following);
    const bytes = await reading;
    signal.throwIfAborted();
    return bytes;
  }

  /** Notes that a reader has had all of a stretch. */
  noteDone(stretch: Stretch): void {
    if (stretch.run) this.#runs.noteDone(stretch);
    else this.#chunks.noteDone(this.#rangeOf(stretch));
  }

  #read(stretch: Stretch): Promise<Uint8Array> {
    // Who knows a segment by its index may have cut it differently from who looks at it as he reads.
    const name = `${nameOf(stretch)}+${stretch.length}`;
    let reading = this.#underWay.get(name);
    if (!reading) {
      const read = () => (stretch.run ? this.#runs.read(stretch) : this.#chunks.read(this.#rangeOf(stretch)));
      reading = this.#attempt(stretch, read).finally(() => this.#underWay.delete(name));
      this.#underWay.set(name, reading);
    }
    return reading;
  }

  async #attempt<T>(at: Pick<Stretch, "key" | "baseOffset" | "endOffset">, read: () => Promise<T>): Promise<T> {
    const { key, baseOffset, endOffset } = at;
    for (let attempt = 1; ; attempt++) {
      try {
        return await read();
      } catch (error) {
        if (brokenInvariant(error)) throw error;
        // No attempt will find it there: who asked looks whether the records lie elsewhere by now.
        const isGone = error instanceof ObjectStoreError && error.kind === "not-found";
        // An outage is told of once, not for each who reads meanwhile.
        const isOutage = error instanceof ObjectStoreError || error instanceof DeadlineError;
        if (!isGone)
          this.#parts.log[isOutage ? "debug" : "error"]("records unreadable", { key, baseOffset, attempt, error });
        if (attempt < CLIENT_ATTEMPTS && !isGone) continue;
        const text = `offsets ${baseOffset} to ${endOffset} lie in ${key}, which cannot be read`;
        throw new KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, text, { cause: error });
      }
    }
  }

  /** Tells of an object to which a list refers and that is not there: its key stands in the error. */
  noteDangling({ offset, error }: { readonly offset: number; readonly error: unknown }): void {
    this.#dangling.value++;
    this.#parts.log.error("records refer to an object that is gone", { offset, error });
  }

  #rangeOf(stretch: Stretch): CheckedRange {
    const { key, position: start, length } = stretch;
    const chunkBytes = stretch.isInWal ? this.#parts.settings.coldReads.walChunkBytes : undefined;
    return { key, start, length, chunkBytes, accepts: (bytes) => this.#accepts(stretch, bytes) };
  }

  #accepts(stretch: Stretch, bytes: Uint8Array): boolean {
    if (isStretch(stretch, bytes)) return true;
    this.#corrupt.value++;
    return false;
  }

  /** The footer of a committed flush; see {@link patiently} for what is retried. */
  async readFooter(sessionId: string, flush: number, signal: AbortSignal): Promise<WalFooter> {
    const key = this.#parts.objectKeys.wal(sessionId, flush);
    const end = await this.readEnd(key, signal);
    const range = decodeObject(key, () => decodeWalTrailer(end.bytes, end.objectBytes));
    const footer = await this.within(key, end, range, signal);
    return decodeObject(key, () => decodeWalFooter(footer, end.objectBytes));
  }

  /** The last 64 KiB of an object, or all of a smaller one. */
  async readEnd(key: string, signal: AbortSignal): Promise<ObjectEnd> {
    const { store } = this.#parts;
    // Objects that are read one after the other are alike: of small ones a read of the beginning is all, and tells the size.
    if (this.#areEndsWhole) {
      const whole = await this.readRange(key, { start: 0, length: OBJECT_END_BYTES }, signal);
      if (whole.length < OBJECT_END_BYTES) return { bytes: whole, position: 0, objectBytes: whole.length };
    }
    const { bytes: objectBytes } = await this.patiently(`head of ${key}`, signal, (s) =>
      store.head(key, { signal: s }),
    );
    this.#areEndsWhole = objectBytes < OBJECT_END_BYTES;
    const position = Math.max(0, objectBytes - OBJECT_END_BYTES);
    const range = { start: position, length: objectBytes - position };
    return { bytes: await this.readRange(key, range, signal), position, objectBytes };
  }

  /** A range of an object whose end was read before, from those bytes where they hold it. */
  async within(key: string, end: ObjectEnd, range: RangeOfObject, signal: AbortSignal): Promise<Uint8Array> {
    const start = range.position - end.position;
    if (start >= 0) return end.bytes.subarray(start, start + range.length);
    return this.readRange(key, { start: range.position, length: range.length }, signal);
  }

  /** A range of an object; see {@link patiently} for what is retried. */
  readRange(key: string, range: ByteRange, signal: AbortSignal): Promise<Uint8Array> {
    return this.patiently(`get of ${key}`, signal, () => this.#get(key, range, signal));
  }

  #get(key: string, range: ByteRange, signal: AbortSignal): Promise<Uint8Array> {
    const { store, clock, settings } = this.#parts;
    return withDeadline(clock, settings.storeAttemptTimeoutMs, `get of ${key}`, signal, (attempt) =>
      store.get(key, { range, signal: attempt }),
    );
  }

  /**
   * Runs a read until it succeeds, the object proves absent, the signal aborts, or `readPatienceMs` have passed: an object
   * that answers nothing while the store does must not keep its reader for ever. He comes back later.
   */
  async patiently<T>(what: string, signal: AbortSignal, read: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, settings } = this.#parts;
    const startedMs = clock.monotonicMs();
    for (;;) {
      try {
        const answer = await withDeadline(clock, settings.storeAttemptTimeoutMs, what, signal, read);
        this.outages.answered();
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        // Waiting mends neither of these; a bug must not be taken for a slow store.
        // Refused rights are no damage: who watches the store ends the session, and another broker takes over.
        if (error instanceof ObjectStoreError && error.kind === "not-found") {
          this.outages.answered();
          throw error;
        }
        if (brokenInvariant(error) || clock.monotonicMs() - startedMs >= settings.readPatienceMs) throw error;
        this.outages.failed(error, { what });
        await sleep(clock, RETRY_PAUSE_MS, signal);
      }
    }
  }
}

function throwUnlessDamage(error: unknown): void {
  if (!(error instanceof KafkaError && error.cause instanceof FormatError)) throw error;
}

function nameOf({ key, position }: Run | Stretch): string {
  return `${key}@${position}`;
}

function isRun(step: Run | Stretch): step is Run {
  return "stretches" in step;
}

/** Where a block lies in an object. */
export interface RangeOfObject {
  readonly position: number;
  readonly length: number;
}
