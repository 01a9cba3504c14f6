// The end of a process that was replaced: two of them were given one broker id.
import type { Registration } from "../cluster/session.ts";

/** Another process has registered under this one's broker id. The message is one line for the operator. */
export class ReplacedError extends Error {
  override readonly name = "ReplacedError";

  constructor(own: Registration, rival: Registration) {
    super(
      `broker ${own.brokerId} at ${own.host}:${own.port} was replaced by another process with this broker id at ${rival.host}:${rival.port}: give each broker its own KAFSCALE_BROKER_ID`,
    );
  }
}
