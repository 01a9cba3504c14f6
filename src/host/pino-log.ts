// The real log: one JSON object a line. A log that nobody reads must never stop a broker: lines are written off the
// calling turn, and past the buffer's bound or with the reader gone they are dropped.
import { pino } from "pino";
import type { Log, LogFields } from "./log.ts";

/** The least severe level that is written. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Most bytes that wait to be written; more are dropped. */
const BUFFER_BYTES_MAX = 4 * 1024 * 1024;

/** Where and what to write. */
export interface PinoLogOptions {
  /** `warn` unless told. */
  readonly level?: LogLevel;
  /** Takes finished lines; standard output unless told. */
  readonly destination?: { write(line: string): void };
}

/** A log on pino. Errors under `error` are written with their stack and causes. */
export function createPinoLog({ level = "warn", destination }: PinoLogOptions = {}): Log {
  return new PinoLog(
    pino(
      {
        level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { error: pino.stdSerializers.errWithCause },
      },
      destination ?? standardOutput(),
    ),
  );
}

function standardOutput() {
  const output = pino.destination({ fd: 1, sync: false, maxLength: BUFFER_BYTES_MAX });
  output.on("error", () => {});
  return output;
}

class PinoLog implements Log {
  readonly #pino: pino.Logger;

  constructor(logger: pino.Logger) {
    this.#pino = logger;
  }

  debug(message: string, fields: LogFields = {}): void {
    this.#pino.debug(fields, message);
  }

  info(message: string, fields: LogFields = {}): void {
    this.#pino.info(fields, message);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#pino.warn(fields, message);
  }

  error(message: string, fields: LogFields = {}): void {
    this.#pino.error(fields, message);
  }

  child(fields: LogFields): Log {
    return new PinoLog(this.#pino.child(fields));
  }
}
