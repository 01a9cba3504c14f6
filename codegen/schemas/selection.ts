// Which messages of the clients' jar this project speaks: whatever a broker's listener takes, the headers, what
// clients put into opaque fields, the bodies of control records. Messages between controllers are left out.
import type { MessageSpec } from "../message-spec.ts";

/** Messages without an API key that are needed: headers, consumer protocol, bodies of control records. */
const NAMED = new Set([
  "RequestHeader",
  "ResponseHeader",
  "ConsumerProtocolAssignment",
  "ConsumerProtocolSubscription",
  "ControlRecordTypeSchema",
  "EndTxnMarker",
]);

/** The messages to keep, in the order given. */
export function selectMessages(messages: readonly MessageSpec[]): MessageSpec[] {
  const brokerKeys = new Set(
    messages.filter((message) => message.listeners.includes("broker")).map((message) => message.apiKey),
  );
  return messages.filter((message) => {
    if (message.kind === "request" || message.kind === "response") return brokerKeys.has(message.apiKey);
    return NAMED.has(message.name);
  });
}
