// The seam of logging: constant messages with structured fields, one line per decision, none per record.

/** Fields of a log line. Errors go under the name `error`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where log lines go. The real side is `pino-log.ts`. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds `fields` to each line. */
  child(fields: LogFields): Log;
}

/** A log that drops every line. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};
