// The log seam of a simulated process: lines are counted, traced when somebody reads along, and those that tell of
// damage are broken rules, for no schedule damages anything.
import type { Log, LogFields } from "../../src/host/log.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import type { Ledger } from "./ledger.ts";
import type { Trace } from "./trace.ts";

const DAMAGE = /^(shard cannot be recovered|shard refused|records unreadable|records refer to an object that is gone)$/;
const CUT_OFF = "this broker alone is cut off from the object store";
/** Lines that are counted. */
const COUNTED = /^(segments merged|records expired)$/;

/** Parts of a {@link SimLog}. */
export interface SimLogParts {
  readonly ledger: Ledger;
  readonly trace: Trace;
  /** Whether the object store has answered another broker within so long. */
  readonly isStoreAnsweringOthers: (withinMs: number) => boolean;
  /** Whether every session of this life has ended in the store, which it may not know yet. */
  readonly isFenced: () => boolean;
}

/** Counts lines. */
export class SimLog implements Log {
  readonly #world: SimLogParts;
  readonly #name: string;

  constructor(world: SimLogParts, name: string) {
    this.#world = world;
    this.#name = name;
  }

  debug(message: string): void {
    if (COUNTED.test(message)) this.#world.ledger.count(message);
  }

  info(message: string, fields?: LogFields): void {
    this.#line("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    const what = fields?.["what"];
    const outcome = typeof what === "string" ? /was not committed: (\w+)/.exec(what)?.[1] : undefined;
    if (outcome) this.#world.ledger.count(`session given up: commit ${outcome}`);
    if (message === CUT_OFF) this.#checkCutOff(Number(fields?.["silentMs"]));
    this.#line("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#line("error", message, fields);
    if (message === "shard cannot be recovered") this.#world.ledger.count("shards that failed");
    const reason = fields?.["error"] ?? fields?.["reason"];
    if (DAMAGE.test(message) && !isTransport(reason)) {
      // What it looks for may be removed by now, by those who took its shards over.
      if (isGone(reason) && this.#world.isFenced()) this.#world.ledger.count("objects missed by a fenced broker");
      else this.#world.ledger.fail("nothing committed is unreadable", `${this.#name}: ${message} ${text(fields)}`);
    }
  }

  #checkCutOff(silentMs: number): void {
    this.#world.ledger.count("brokers cut off from the store alone");
    this.#world.ledger.check(
      "a session ends early only while the store answers another broker",
      this.#world.isStoreAnsweringOthers(silentMs),
      () => `${this.#name}: nobody had an answer within the ${silentMs} ms in which it had none`,
    );
  }

  child(): Log {
    return this;
  }

  #line(level: string, message: string, fields: LogFields | undefined): void {
    this.#world.trace.note(`${this.#name} ${level}: ${message} ${text(fields)}`);
  }
}

/** Whether an error says that the store could not be reached rather than what it holds. */
function isTransport(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === "DeadlineError" || isTransport(error.cause)) return true;
  return "kind" in error && (error.kind === "unknown" || error.kind === "unavailable");
}

/** Whether an object was not there, also as the reason of another error. */
function isGone(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (error instanceof ObjectStoreError && error.kind === "not-found") || isGone(error.cause);
}

function text(fields: LogFields | undefined): string {
  if (!fields) return "";
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value instanceof Error ? errorText(value) : String(value)}`)
    .join(" ");
}

function errorText(error: Error): string {
  const cause = error.cause instanceof Error ? ` <- ${errorText(error.cause)}` : "";
  return `${error.name}: ${error.message}${cause}`;
}
