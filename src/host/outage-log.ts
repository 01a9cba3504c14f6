// What a log says of calls that fail again and again: one line when an outage begins, one when it is over, and nothing
// louder than debug between. Whoever waits for the same store tells the same outage.
import type { Clock } from "./clock.ts";
import type { Log, LogFields } from "./log.ts";

/** Parts of an {@link OutageLog}. */
export interface OutageLogParts {
  readonly log: Log;
  readonly clock: Clock;
  /** The warning at the first failure: a constant. */
  readonly began: string;
  /** The line at the first answer afterwards: a constant. */
  readonly over: string;
}

/** Nobody has tried for so long: what was waited for is not needed any more, and whether it would answer is not known. */
const UNTRIED_MS = 180_000;

/** Tells the outages of one store. */
export class OutageLog {
  readonly #parts: OutageLogParts;
  /** Monotonic time of the first failure since the last answer. */
  #sinceMs: number | undefined;
  #failureCount = 0;
  #lastFailureMs = 0;
  #lastError = "";

  constructor(parts: OutageLogParts) {
    this.#parts = parts;
  }

  /** For how long calls have failed with none answered in between; 0 without an outage, and when nobody tries any more. */
  get failingForMs(): number {
    const nowMs = this.#parts.clock.monotonicMs();
    const isOver = this.#sinceMs === undefined || nowMs - this.#lastFailureMs > UNTRIED_MS;
    return isOver ? 0 : nowMs - (this.#sinceMs ?? nowMs);
  }

  /** What the last failed call said, in one line. */
  get lastError(): string {
    return this.#lastError;
  }

  /** A call failed, and is tried again. The error is told in one line: where it was thrown says nothing of the outage. */
  failed(error: unknown, fields: LogFields = {}): void {
    const { log, clock, began } = this.#parts;
    this.#failureCount++;
    this.#lastError = String(error);
    this.#lastFailureMs = clock.monotonicMs();
    if (this.#sinceMs !== undefined) {
      log.debug(began, { ...fields, error });
      return;
    }
    this.#sinceMs = clock.monotonicMs();
    log.warn(began, { ...fields, error: String(error) });
  }

  /** A call was answered. */
  answered(): void {
    if (this.#sinceMs === undefined) return;
    const { log, clock, over } = this.#parts;
    log.info(over, { afterMs: Math.round(clock.monotonicMs() - this.#sinceMs), failures: this.#failureCount });
    this.#sinceMs = undefined;
    this.#failureCount = 0;
  }
}
