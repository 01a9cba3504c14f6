// What one schedule found: how often each rule was asked, what was broken, what happened. Ledgers add up to the totals of
// a run. A rule that was never asked proves nothing, so the counts are printed and have to be above zero.

/** A rule that did not hold. */
export interface Violation {
  /** As in {@link Ledger.check}. */
  readonly rule: string;
  readonly text: string;
  /** Virtual milliseconds since the start of the schedule. */
  readonly atMs: number;
}

/** Counts by name, ascending by name. */
export type Counts = ReadonlyMap<string, number>;

/** The findings of one schedule. */
export class Ledger {
  readonly #evaluations = new Map<string, number>();
  readonly #events = new Map<string, number>();
  readonly #violations: Violation[] = [];
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Virtual milliseconds since the start of the schedule. */
  get nowMs(): number {
    return this.#nowMs();
  }

  /** How often each rule was asked. */
  get evaluations(): Counts {
    return sorted(this.#evaluations);
  }

  /** How often each state or fault came up. */
  get events(): Counts {
    return sorted(this.#events);
  }

  /** Broken rules, the first ones first. */
  get violations(): readonly Violation[] {
    return this.#violations;
  }

  /** Asks `rule` once. `text` is called only when it does not hold. */
  check(rule: string, holds: boolean, text: () => string): void {
    this.#evaluations.set(rule, (this.#evaluations.get(rule) ?? 0) + 1);
    if (!holds) this.#violations.push({ rule, text: text(), atMs: this.#nowMs() });
  }

  /** Notes a broken rule that is not asked but met, as an assertion of the broker that failed. */
  fail(rule: string, text: string): void {
    this.#violations.push({ rule, text, atMs: this.#nowMs() });
  }

  /** Counts something that happened. */
  count(event: string, by = 1): void {
    this.#events.set(event, (this.#events.get(event) ?? 0) + by);
  }

  /** How often something happened. */
  eventCount(event: string): number {
    return this.#events.get(event) ?? 0;
  }
}

/** Adds `counts` to `sum`. */
export function addCounts(sum: Map<string, number>, counts: Iterable<readonly [string, number]>): void {
  for (const [name, count] of counts) sum.set(name, (sum.get(name) ?? 0) + count);
}

function sorted(counts: Map<string, number>): Counts {
  return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
