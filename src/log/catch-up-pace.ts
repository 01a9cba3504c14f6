// How fast consumers who catch up are read for: as fast as it goes while nobody produces, and at a pace that leaves
// processor, network and store to producers while somebody does. Never slower than twice what is being produced, so that
// who lags behind producers gets nearer to them; all who catch up share it.
import { type Clock, sleep } from "../host/clock.ts";

/** Bytes a second that GETs on behalf of consumers may bring; 0 is without limit. */
export interface CatchUpPaceSettings {
  /** While nobody produces. */
  readonly bytesPerSecond: number;
  /** While somebody does, where twice the bytes that are produced is not more. */
  readonly bytesPerSecondBesideProducers: number;
}

/** Parts of a {@link CatchUpPace}. */
export interface CatchUpPaceComponents {
  readonly clock: Clock;
  readonly settings: CatchUpPaceSettings;
  /** Bytes that producers of this broker have had committed so far. */
  readonly producedBytes: () => number;
}

/**
 * Over this span the rate of producers is taken, and up to two of them after their last bytes they count as there: of who
 * comes first after a longer pause, the first span.
 */
const SPAN_MS = 1_000;
/** Consumers may have so many bytes for each one that is produced. */
const READ_PER_PRODUCED = 2;

/** Spaces GETs so that their bytes keep to the pace. */
export class CatchUpPace {
  readonly #parts: CatchUpPaceComponents;
  /** When the present span began, and what had been produced by then. */
  #since: { readonly ms: number; readonly bytes: number };
  /** Bytes in the span before. */
  #producedPerSecond = 0;
  /** When the next GET may go. */
  #nextMs = 0;

  constructor(components: CatchUpPaceComponents) {
    this.#parts = components;
    this.#since = { ms: components.clock.monotonicMs(), bytes: components.producedBytes() };
  }

  /** Resolves when a GET of `bytes` may go, in the order of the calls. Rejects with the signal's reason. */
  async awaitTurn(bytes: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const startMs = Math.max(nowMs, this.#nextMs);
    this.#nextMs = startMs + this.#durationMs(bytes, nowMs);
    if (startMs > nowMs) await sleep(clock, startMs - nowMs, signal);
  }

  /** Gives back the time of bytes that were expected and did not come; negative where more came. */
  refund(bytes: number): void {
    this.#nextMs -= this.#durationMs(bytes, this.#parts.clock.monotonicMs());
  }

  #durationMs(bytes: number, nowMs: number): number {
    const perSecond = this.#bytesPerSecond(nowMs);
    return perSecond === 0 ? 0 : (bytes * 1000) / perSecond;
  }

  #bytesPerSecond(nowMs: number): number {
    const { bytesPerSecond, bytesPerSecondBesideProducers } = this.#parts.settings;
    const produced = this.#producedIn(nowMs);
    if (produced === 0) return bytesPerSecond;
    const beside = bytesPerSecondBesideProducers;
    const paced = beside === 0 ? bytesPerSecond : Math.max(beside, READ_PER_PRODUCED * produced);
    return bytesPerSecond === 0 ? paced : Math.min(bytesPerSecond, paced);
  }

  /** Bytes a second that producers have committed lately; 0 where the last ones are a span or two ago. */
  #producedIn(nowMs: number): number {
    const bytes = this.#parts.producedBytes();
    const { ms: sinceMs, bytes: before } = this.#since;
    const spanMs = nowMs - sinceMs;
    const now = ((bytes - before) * 1000) / Math.max(spanMs, SPAN_MS);
    if (spanMs < SPAN_MS) return Math.max(this.#producedPerSecond, now);
    this.#since = { ms: nowMs, bytes };
    this.#producedPerSecond = now;
    return now;
  }
}
