// Turns what went wrong at a start into one line that says what was met and what to do.
import { addressText } from "./examples.ts";
import { SettingsError } from "./settings-error.ts";
import type { ServeSettings } from "./settings-from-env.ts";

/** Error codes of the system by what a person does about them. */
const adviceByCode: Readonly<Record<string, string>> = {
  EACCES: "give the user of this process the right to it, or name another one",
  EPERM: "give the user of this process the right to it, or name another one",
  EROFS: "it is on a read-only file system: name another folder",
  ENOSPC: "its disk is full: make room, or name another folder",
  ENOTDIR: "a part of the path is a file: name another folder",
};

function codeOf(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string") return cause.code;
  }
  return undefined;
}

/** The messages of an error and of its causes that say more than it does. */
function messagesOf(error: unknown): string {
  const messages: string[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { message } = cause;
    if (!messages.some((known) => known.includes(message))) messages.push(message);
  }
  const text = messages.length > 0 ? messages.join(": ") : JSON.stringify(error);
  return text.replaceAll(/\s*\n\s*/g, " ");
}

/** One line for the person who started the broker. */
export function startErrorLine(error: unknown, settings: ServeSettings | undefined): string {
  const message = messagesOf(error);
  if (error instanceof SettingsError || settings === undefined) return message;
  const code = codeOf(error);
  if (code === "EADDRINUSE")
    return `${message}. Stop what listens there, or choose ${listenerFlags(message, settings)}`;
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    return `${message}. This machine has no such address: choose ${listenerFlags(message, settings)}`;
  }
  const advice = code === undefined ? undefined : adviceByCode[code];
  return advice === undefined ? message : `${message}: ${advice}`;
}

/** The flag of the listener that the message names. */
function listenerFlags(message: string, { kafkaListener, metricsListener }: ServeSettings): string {
  const isKafka = message.includes(addressText(kafkaListener));
  const isMetrics = message.includes(addressText(metricsListener));
  if (isKafka && !isMetrics) return "another one with --kafka-addr (KAFSCALE_BROKER_ADDR)";
  if (isMetrics && !isKafka) return "another one with --metrics-addr (KAFSCALE_METRICS_ADDR)";
  return "others with --kafka-addr and --metrics-addr";
}
