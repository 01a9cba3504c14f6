// Reads of the store that no client waits for: one at a time, at a rate of their own, so that they take nothing from
// producers and consumers. What they bring is checked; what is damaged or gone is an error, never passed over.
import { type Clock, sleep, withDeadline } from "../host/clock.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import { FormatError } from "../objects/format-error.ts";
import { decodeSegment } from "../objects/segment.ts";
import { isStretch, type Stretch } from "./stretch.ts";

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
   * All batches of a segment, or of its part of a group: header, footer and checksum are held against them.
   * @throws as {@link stretch}
   */
  async segment(segment: SegmentEntry, signal: AbortSignal): Promise<Uint8Array> {
    const { key, bytes: length, form, baseOffset, endOffset } = segment;
    if (form.type === "group") {
      const { position, crc32c } = form;
      return this.stretch({ key, position, length, crc32c, baseOffset, endOffset }, signal);
    }
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
