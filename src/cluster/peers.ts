// Calls to other live brokers, as the cluster needs them. The control room serves and makes them.
import type { Revision } from "../kv/key-value-store.ts";
import type { ImageCollection } from "./image.ts";

/** Where a live session answers calls of other brokers. */
export interface PeerEndpoint {
  readonly brokerId: number;
  /** Hex digits, random per process start. */
  readonly process: string;
  readonly controlHost: string;
  readonly controlPort: number;
}

/** The calls. Each has a deadline of its own. */
export interface Peers {
  /** Which process answers there. @throws PeerError */
  probe(peer: PeerEndpoint, options: { readonly signal: AbortSignal }): Promise<{ readonly process: string }>;
  /** Resolves when the peer's image shows `collection` at `revision` or later. @throws PeerError */
  waitForImage(
    peer: PeerEndpoint,
    at: { readonly collection: ImageCollection; readonly revision: Revision },
    options: { readonly signal: AbortSignal },
  ): Promise<void>;
}

/** A call without answer. `refused`: nobody listens there; `unavailable`: anything else, time-outs too. */
export class PeerError extends Error {
  override readonly name = "PeerError";
  readonly kind: "refused" | "unavailable";

  constructor(kind: "refused" | "unavailable", message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
