// While a schedule runs, whatever could bring in real time, chance or I/O throws: what the seams do not give does not
// exist. Production code that reached past them would end the run with the name of what it called.
import { setMaxListeners } from "node:events";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { SealedAbortController } from "./sealed-abort.ts";

/** Something past the seams was called. */
export class EscapeError extends Error {
  override readonly name = "EscapeError";
}

interface Patched {
  readonly owner: Record<string, unknown>;
  readonly name: string;
  readonly original: unknown;
}

const GLOBALS = ["setTimeout", "setInterval", "setImmediate", "fetch"];
const require = createRequire(import.meta.url);
const MODULES: readonly (readonly [string, readonly string[]])[] = [
  ["crypto", ["randomBytes", "randomUUID", "randomInt", "randomFillSync", "randomFill"]],
  ["net", ["connect", "createConnection", "createServer"]],
  ["http", ["request", "get", "createServer"]],
  ["dns", ["lookup", "resolve"]],
  ["fs", ["open", "openSync", "readFile", "readFileSync", "writeFile", "writeFileSync", "createReadStream"]],
  ["child_process", ["spawn", "exec", "execFile", "fork"]],
  ["worker_threads", ["Worker"]],
];

/** Runs `work` with everything impure replaced. Several at once share the replacement; the last one undoes it. */
export async function inSealedWorld<T>(work: () => Promise<T>): Promise<T> {
  const patched = seal();
  try {
    return await work();
  } finally {
    for (const { owner, name, original } of patched.toReversed()) owner[name] = original;
    syncBuiltinESMExports();
  }
}

function seal(): Patched[] {
  const patched: Patched[] = [];
  const replace = (owner: object, name: string, what: string, by?: unknown) => {
    const record = owner as Record<string, unknown>;
    if (!(name in record)) return;
    patched.push({ owner: record, name, original: record[name] });
    record[name] =
      by ??
      (() => {
        throw new EscapeError(`${what} was called in a simulated world`);
      });
  };
  for (const name of GLOBALS) replace(globalThis, name, name);
  replace(globalThis, "Date", "Date", SealedDate);
  replace(Math, "random", "Math.random");
  replace(performance, "now", "performance.now");
  replace(globalThis, "AbortController", "AbortController", SealedAbortController);
  replace(globalThis, "queueMicrotask", "queueMicrotask", afterThis);
  replace(AbortSignal, "timeout", "AbortSignal.timeout");
  replace(AbortSignal, "any", "AbortSignal.any", anyOf);
  for (const [module, names] of MODULES) {
    const exported = require(`node:${module}`) as object;
    for (const name of names) replace(exported, name, `node:${module}.${name}`);
  }
  syncBuiltinESMExports();
  return patched;
}

/**
 * As `AbortSignal.any`. Node keeps a combined signal that somebody listens to for ever, until one of its sources aborts;
 * those of a killed process never do, and the worlds of past schedules would stay in memory with them.
 */
function anyOf(signals: Iterable<AbortSignal>): AbortSignal {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  for (const signal of signals) {
    if (signal.aborted) controller.abort(signal.reason);
    else signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
  }
  return controller.signal;
}

const settled = Promise.resolve();

/** As `queueMicrotask`, which makes a resource to be tracked for each call; what a task throws is a rejection that is lost. */
function afterThis(task: () => void): void {
  void settled.then(task);
}

const RealDate = Date;

/** A date from a number is pure; the date of now is not. */
class SealedDate extends RealDate {
  constructor(...args: [] | [number | string | Date]) {
    if (args.length === 0) throw new EscapeError("new Date() was called in a simulated world");
    super(args[0]);
  }

  static override now(): number {
    throw new EscapeError("Date.now was called in a simulated world");
  }
}
