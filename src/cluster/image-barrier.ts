// Waits until every live session has applied a change of the metadata store: a client that was told of a new topic may
// ask any broker next. Asks nobody but the other processes that the own image shows, and none of them once it has left.
import { type Clock, sleep } from "../host/clock.ts";
import type { Revision } from "../kv/key-value-store.ts";
import type { LiveSession } from "./image.ts";
import type { ImageFeed } from "./image-feed.ts";
import { PeerError, type Peers } from "./peers.ts";

/** Parts of an {@link ImageBarrier}. */
export interface ImageBarrierParts {
  readonly clock: Clock;
  readonly feed: ImageFeed;
  readonly peers: Peers;
  /** The own process, which is never asked. */
  readonly process: string;
}

/** Pause before a peer that gave no answer is asked again. */
const RETRY_PAUSE_MS = 200;

/** The barrier. */
export class ImageBarrier {
  readonly #parts: ImageBarrierParts;

  constructor(parts: ImageBarrierParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when the images of all other live sessions show the topics at `revision`, one at which they changed.
   * Rejects with the signal's reason: a peer that lives and cannot be reached is waited for until then.
   */
  async topics(revision: Revision, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { feed, process } = this.#parts;
    const others = [...feed.current.sessions()].filter((session) => session.process !== process);
    await Promise.all(others.map((session) => this.#waitFor(session, revision, signal)));
  }

  async #waitFor(session: LiveSession, revision: Revision, outer: AbortSignal): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([outer, over.signal]);
    const isGone = this.#parts.feed.waitUntil((image) => !image.session(session.sessionId), { signal });
    try {
      await Promise.race([isGone, this.#untilApplied(session, revision, signal)]);
    } finally {
      over.abort(new Error(`the wait for broker ${session.brokerId} is over`));
    }
  }

  async #untilApplied(session: LiveSession, revision: Revision, signal: AbortSignal): Promise<void> {
    const { peers, clock } = this.#parts;
    for (;;) {
      try {
        return await peers.waitForImage(session, { collection: "topics", revision }, { signal });
      } catch (error) {
        if (!(error instanceof PeerError)) throw error;
      }
      await sleep(clock, RETRY_PAUSE_MS, signal);
    }
  }
}
