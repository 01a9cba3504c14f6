// Adds up the reports of a run and prints them: what was simulated, what was asked how often, what came up, what broke.
import { addCounts } from "./ledger.ts";
import type { SeedReport } from "./worker.ts";

/** States that a run has to come through: a rule that was asked only in fair weather proves little. */
const STATES: readonly string[] = [
  "zombie commit refused",
  "own head transaction met its earlier copy",
  "several flushes in one head transaction",
  "put of an object that is there",
  "session re-registered in the same process",
  "recoveries with records",
  "claim with a base section",
  "claim replayed over footers",
  "ack of an earlier attempt",
  "ack after the session had ended",
  "kv calls: applied-after-death",
  "store calls: applied-after-death",
  "kv calls: overtaken",
  "head transaction sent again",
  "batches sent again",
  "log start moves",
  "topics deleted",
  "members left",
  "takeovers",
  "wall clock jumps",
  "compactions of the metadata history",
  "hand-overs with a section",
  "hand-over sent again",
  "hand-over refused",
  "take-backs",
  "claims of another broker's shards",
  "drains",
  "orderly stops",
  "receivers that died before their first checkpoint",
  "recoveries of a recovery",
  "claim over a section of an older epoch",
  "reads served by a fenced owner",
  "brokers joined late",
  "brokers left for good",
  "cuts between brokers",
  "dead sessions swept",
  "removed wal objects of live sessions",
  "removed wal objects of dead sessions",
  "removed ckpt objects of live sessions",
  "removed ckpt objects of dead sessions",
  "removed segments",
  "segments in force",
  "parts of groups in force",
  "segments put under a name of their own",
  "segment found as it should be",
  "plain name of a segment taken by another cut",
  "segments merged",
  "records expired",
  "recoveries with segments",
  "sections with dropped objects",
  "brokers cut off from the store alone",
];

/** Fewer seeds than this need not come through every state. */
const SEEDS_FOR_EVERY_STATE = 100;

/** The sums of a run. */
export class Totals {
  readonly #evaluations = new Map<string, number>();
  readonly #events = new Map<string, number>();
  readonly #failures: SeedReport[] = [];
  readonly #acks: number[] = [];
  readonly #crashes: number[] = [];
  #virtualMs = 0;
  #shortestMs = Number.POSITIVE_INFINITY;

  get seedCount(): number {
    return this.#acks.length;
  }

  get failures(): readonly SeedReport[] {
    return this.#failures;
  }

  add(report: SeedReport): void {
    addCounts(this.#evaluations, report.evaluations);
    addCounts(this.#events, report.events);
    const events = new Map(report.events);
    this.#acks.push(events.get("acks") ?? 0);
    this.#crashes.push(events.get("crashes") ?? 0);
    this.#virtualMs += report.virtualMs;
    if (report.violations.length > 0) this.#failures.push(report);
    else this.#shortestMs = Math.min(this.#shortestMs, report.virtualMs);
  }

  /** What keeps the run from passing, besides violations: states that never came up. */
  get missing(): readonly string[] {
    if (this.seedCount < SEEDS_FOR_EVERY_STATE) return [];
    return STATES.filter((state) => !this.#events.has(state));
  }

  /** The table. */
  print(write: (line: string) => void): void {
    const hours = (this.#virtualMs / 3_600_000).toFixed(2);
    write(
      `${this.seedCount} schedules, ${hours} virtual hours, the shortest ${(this.#shortestMs / 1000).toFixed(1)} s`,
    );
    write(
      `median ${median(this.#crashes)} crashes and ${median(this.#acks)} acks; ${this.#failures.length} schedules with violations`,
    );
    write("");
    write("events and states");
    for (const [name, count] of sortedEntries(this.#events)) write(`${String(count).padStart(10)}  ${name}`);
    write("");
    write("rules and how often they were asked");
    for (const [name, count] of sortedEntries(this.#evaluations)) write(`${String(count).padStart(10)}  ${name}`);
    for (const { seed, violations } of this.#failures) {
      for (const { rule, text, atMs } of violations.slice(0, 3)) {
        write(`VIOLATION seed ${seed} at ${(atMs / 1000).toFixed(3)} s: ${rule}: ${text}`);
      }
    }
    for (const state of this.missing) write(`NEVER CAME UP: ${state}`);
  }
}

function sortedEntries(counts: Map<string, number>): [string, number][] {
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
