// The price of reconciling little (architecture decision "PUT budget"): objects below the size that a PUT is worth are made
// at a rate that is a function of time and never of the number of partitions.

/**
 * When objects that are small may be put. They are made many at a time, because what lies in the same write-ahead objects is
 * read together: whoever finds the gate open makes all that are due, and it stays closed until those are paid for.
 */
export class SmallPuts {
  readonly #perSecond: number;
  /** Monotonic milliseconds. */
  #openAtMs = Number.NEGATIVE_INFINITY;

  /** @param perSecond PUTs that may be spent in a second on average; 0 is without limit */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Whether all that was spent is paid for. */
  isOpen(nowMs: number): boolean {
    return nowMs >= this.#openAtMs;
  }

  /** Notes PUTs that were made because the gate had been open. */
  spend(nowMs: number, count: number): void {
    if (this.#perSecond === 0) return;
    this.#openAtMs = Math.max(nowMs, this.#openAtMs) + (count * 1000) / this.#perSecond;
  }
}
