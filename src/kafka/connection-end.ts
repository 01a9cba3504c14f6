// Why a connection ends. Each reason is a label of one metric, so the list is closed.

/** The reasons, as the metric `kafscale_connections_ended_total` labels them. */
export const endReasons = [
  "closed by the client",
  "broken",
  "frame size",
  "unreadable request",
  "unknown api key",
  "unsupported version",
  "refused",
  "partial frame",
  "idle",
  "stalled",
  "limit",
  "stopped",
  "bug",
] as const;

/** One of {@link endReasons}. */
export type EndReason = (typeof endReasons)[number];

/** Ends the connection it is met on, and nothing else. */
export class ConnectionEndError extends Error {
  override readonly name = "ConnectionEndError";
  readonly reason: EndReason;

  /** @param message what was met, with the values; it is logged at debug level */
  constructor(reason: EndReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
