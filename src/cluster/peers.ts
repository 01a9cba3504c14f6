// The seam of calls between brokers. They save time and decide nothing: whoever cannot reach a peer is as right as
// before, only slower. The real side is `control/control-client.ts`; simulations pass one on their own network.
import type { Revision } from "../kv/key-value-store.ts";
import type { ImageCollection } from "./image.ts";

/** Where a live session answers calls of other brokers. */
export interface PeerEndpoint {
  readonly brokerId: number;
  /** The process that is meant, as in its session; no other one may answer in its place. */
  readonly process: string;
  readonly controlHost: string;
  /** 0 where nothing answers. */
  readonly controlPort: number;
}

/** Options of each call. */
export interface PeerCallOptions {
  readonly signal: AbortSignal;
}

/**
 * Calls to other brokers. Each has a deadline of its own besides the signal, whose reason it rejects with when it
 * aborts.
 */
export interface Peers {
  /** Which process answers there. @throws PeerError */
  probe(peer: PeerEndpoint, options: PeerCallOptions): Promise<{ readonly process: string }>;
  /**
   * Whether the object store answers the peer a call that it makes after this one has come. @throws PeerError
   */
  probeStore(peer: PeerEndpoint, options: PeerCallOptions): Promise<boolean>;
  /**
   * Resolves when the peer's image shows `collection` at `revision` or later. The revision has to be one at which the
   * collection changed. @throws PeerError
   */
  waitForImage(
    peer: PeerEndpoint,
    at: { readonly collection: ImageCollection; readonly revision: Revision },
    options: PeerCallOptions,
  ): Promise<void>;
}

/** Calls to other brokers over connections that are kept. */
export interface PeerLinks extends Peers {
  /**
   * Calls `lost` once when the connection that calls to the peer's process go over has ended, soon when there is none.
   * It says that something happened, a crash perhaps, and not what: a call tells. Gives what ends the notice.
   */
  onLost(peer: PeerEndpoint, lost: () => void): () => void;
  /** Closes the connections to all processes but those of `peers`; calls under way on them fail. */
  keepOnly(peers: Iterable<PeerEndpoint>): void;
}

/** Why a peer gave no answer. Nothing follows from `unavailable`: the peer may be well, and the way to it not. */
export type PeerErrorKind =
  /** Nobody listens there: the connection was refused. */
  | "refused"
  /** Anything else, a time-out too. */
  | "unavailable";

/** A call to a peer that has no answer. */
export class PeerError extends Error {
  override readonly name = "PeerError";
  readonly kind: PeerErrorKind;

  constructor(kind: PeerErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
