// The linger as a budget (architecture decision "PUT budget"): a token bucket of first attempts of WAL PUTs, so that the
// price is a function of brokers and time. While tokens last a flush leaves at once; when they are spent it waits.

/** How many first attempts of WAL PUTs a broker may spend. A `perSecond` of 0 means without limit. */
export interface PutBudgetSettings {
  readonly perSecond: number;
  /** Tokens that an idle broker saves up. */
  readonly burst: number;
}

/** A token bucket over monotonic milliseconds. */
export class PutBudget {
  readonly #settings: PutBudgetSettings;
  /** As of `#updatedMs`: 0 to `burst`. */
  #tokens: number;
  #updatedMs: number;

  constructor(settings: PutBudgetSettings, nowMs: number) {
    this.#settings = settings;
    this.#tokens = settings.burst;
    this.#updatedMs = nowMs;
  }

  /** Whether flushes are only bounded by the pipeline. */
  get isUnlimited(): boolean {
    return this.#settings.perSecond === 0;
  }

  /** Milliseconds until a token is there; 0 when one is. */
  waitMs(nowMs: number): number {
    if (this.isUnlimited) return 0;
    this.#refill(nowMs);
    return this.#tokens >= 1 ? 0 : ((1 - this.#tokens) * 1000) / this.#settings.perSecond;
  }

  /** Spends a token; a flush that could not wait for one leaves the bucket at 0. */
  spend(nowMs: number): void {
    if (this.isUnlimited) return;
    this.#refill(nowMs);
    this.#tokens = Math.max(0, this.#tokens - 1);
  }

  #refill(nowMs: number): void {
    const earned = ((nowMs - this.#updatedMs) * this.#settings.perSecond) / 1000;
    this.#tokens = Math.min(this.#settings.burst, this.#tokens + earned);
    this.#updatedMs = nowMs;
  }
}
