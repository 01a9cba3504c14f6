// Reads of the store that no client waits for: one at a time, at a rate of their own, so that they take nothing from
// producers and consumers. What they bring is checked; what is damaged or gone is an error, or left out where its reader
// will ask for it alone and meet the error then.
import { type Clock, sleep, withDeadline } from "../host/clock.ts";
import { brokenInvariant } from "../invariant.ts";
import { type ObjectStore, ObjectStoreError } from "../object-store/object-store.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import { FormatError } from "../objects/format-error.ts";
import { decodeSegment } from "../objects/segment.ts";
import { isStretch, type Stretch, stretchOfPart } from "./stretch.ts";

/** Parts of {@link BackgroundReads}. */
export interface BackgroundReadComponents {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly attemptTimeoutMs: number;
  /** 0 is without limit. */
  readonly bytesPerSecond: number;
}

/** A large read may take as long as a slow network needs for its bytes: 1 MiB/s. */
const BYTES_PER_MS_MIN = 1024;
/** Bytes between two stretches that are read and thrown away rather than asked for apart: a GET costs more than they do. */
const GAP_BYTES_MAX = 256 * 1024;
/** Stretches that lie together are read up to this much at a time. */
const RUN_BYTES_MAX = 8 * 1024 * 1024;

/** Stretches of one object, ascending, that one GET brings. */
interface Run {
  readonly key: string;
  readonly position: number;
  length: number;
  readonly stretches: Stretch[];
}

/** What {@link BackgroundReads.gather} brought. */
export interface Gathered {
  /** They keep nothing else in memory. */
  readonly found: ReadonlyMap<Stretch, Uint8Array>;
  /** Of the call that the store did not answer: nothing was asked for after it. */
  readonly error: unknown;
}

/** Reads in the background. For one caller, who awaits each before the next. */
export class BackgroundReads {
  readonly #parts: BackgroundReadComponents;
  /** When the rate lets the next read go. */
  #nextMs = 0;

  constructor(components: BackgroundReadComponents) {
    this.#parts = components;
  }

  /**
   * The batches of a stretch.
   * @throws FormatError when they are damaged, ObjectStoreError, DeadlineError
   */
  async stretch(stretch: Stretch, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = await this.#get(stretch, signal);
    if (!isStretch(stretch, bytes)) {
      throw new FormatError(stretch.key, `${stretch.length} bytes at ${stretch.position} are not what they should be`);
    }
    return bytes;
  }

  /**
   * The batches of many stretches, by as few GETs as where they lie allows. What cannot be read or is damaged is left out,
   * and so is the rest when the store does not answer.
   */
  async gather(stretches: readonly Stretch[], signal: AbortSignal): Promise<Gathered> {
    const found = new Map<Stretch, Uint8Array>();
    for (const run of runsOf(stretches)) {
      try {
        const bytes = await this.#get(run, signal);
        const wantedBytes = run.stretches.reduce((sum, { length }) => sum + length, 0);
        for (const stretch of run.stretches) {
          const start = stretch.position - run.position;
          const own = bytes.subarray(start, start + stretch.length);
          // A copy where the view would keep in memory what nobody wants.
          if (isStretch(stretch, own)) found.set(stretch, wantedBytes < run.length ? own.slice() : own);
        }
      } catch (error) {
        signal.throwIfAborted();
        if (brokenInvariant(error)) throw error;
        if (!(error instanceof ObjectStoreError) || error.kind !== "not-found") return { found, error };
      }
    }
    return { found, error: undefined };
  }

  /**
   * All batches of a segment, or of its part of a group: header, footer and checksum are held against them.
   * @throws as {@link stretch}
   */
  async segment(segment: SegmentEntry, signal: AbortSignal): Promise<Uint8Array> {
    const { key, bytes: length, baseOffset, endOffset } = segment;
    const part = stretchOfPart(segment);
    if (part) return this.stretch(part, signal);
    const { summary, batches } = decodeSegment(await this.#get({ key, position: 0, length }, signal));
    if (summary.baseOffset === baseOffset && summary.endOffset <= endOffset) return batches;
    throw new FormatError(
      key,
      `it holds offsets ${summary.baseOffset} to ${summary.endOffset}, not from ${baseOffset}`,
    );
  }

  async #get({ key, position, length }: Pick<Stretch, "key" | "position" | "length">, signal: AbortSignal) {
    const { store, clock, attemptTimeoutMs, bytesPerSecond } = this.#parts;
    if (bytesPerSecond > 0) {
      const nowMs = clock.monotonicMs();
      const startMs = Math.max(nowMs, this.#nextMs);
      this.#nextMs = startMs + (length * 1000) / bytesPerSecond;
      if (startMs > nowMs) await sleep(clock, startMs - nowMs, signal);
    }
    return withDeadline(clock, attemptTimeoutMs + length / BYTES_PER_MS_MIN, `get of ${key}`, signal, (attempt) =>
      store.get(key, { range: { start: position, length }, signal: attempt, isBackground: true }),
    );
  }
}

function runsOf(stretches: readonly Stretch[]): readonly Run[] {
  const runs: Run[] = [];
  const inPlace = stretches.toSorted((left, right) =>
    left.key === right.key ? left.position - right.position : left.key < right.key ? -1 : 1,
  );
  for (const stretch of inPlace) {
    const { key, position, length } = stretch;
    const run = runs.at(-1);
    const runLength = position + length - (run?.position ?? 0);
    const gap = runLength - length - (run?.length ?? 0);
    if (run?.key === key && gap <= GAP_BYTES_MAX && runLength <= RUN_BYTES_MAX) {
      run.stretches.push(stretch);
      run.length = Math.max(run.length, runLength);
    } else runs.push({ key, position, length, stretches: [stretch] });
  }
  return runs;
}
