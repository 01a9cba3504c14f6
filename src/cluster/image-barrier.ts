// Waits until every live session has applied a change of the metadata store: a client that was told of a new topic may
// ask any broker next. Asks nobody but the other processes that the own image shows, once it has all sessions that the
// store has, each with one call at a time however many changes wait for it, and none of them once it has left.
import { sleep } from "../host/clock.ts";
import type { Revision } from "../kv/key-value-store.ts";
import { untilAnswered } from "./attempts.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import type { LiveSession } from "./image.ts";
import { type ImageFeed, newestChange } from "./image-feed.ts";
import { PeerError, type Peers } from "./peers.ts";
import type { SessionId } from "./session-id.ts";

/** Parts of an {@link ImageBarrier}. */
export interface ImageBarrierParts {
  readonly cluster: ClusterComponents;
  readonly feed: ImageFeed;
  readonly peers: Peers;
  /** The own process, which is never asked. */
  readonly process: string;
}

/** Pause before a peer that gave no answer is asked again. */
const RETRY_PAUSE_MS = 200;

interface Waiter {
  readonly revision: Revision;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Those who wait for one peer. */
class PeerQueue {
  readonly #session: LiveSession;
  readonly #parts: ImageBarrierParts;
  readonly #waiters = new Set<Waiter>();
  /** Ends the asking under way; null while nobody waits. */
  #asking: AbortController | null = null;

  constructor(session: LiveSession, parts: ImageBarrierParts) {
    this.#session = session;
    this.#parts = parts;
  }

  /** Resolves when the peer shows the topics at `revision`. Rejects with the signal's reason. */
  until(revision: Revision, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const waiter = { revision, resolve, reject };
      signal.addEventListener("abort", () => this.#leave(waiter, signal.reason), { once: true });
      this.#waiters.add(waiter);
      if (!this.#asking) void this.#ask();
    });
  }

  #leave(waiter: Waiter, reason: unknown): void {
    this.#waiters.delete(waiter);
    waiter.reject(reason);
    if (this.#waiters.size > 0) return;
    this.#asking?.abort(reason);
    this.#asking = null;
  }

  /** Asks for the newest revision that anybody waits for, until nobody does: an image that has it has all before it. */
  async #ask(): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    try {
      while (this.#asking === asking && this.#waiters.size > 0) {
        const newest = Math.max(...[...this.#waiters].map(({ revision }) => revision));
        if (await this.#isShown(newest, asking.signal)) this.#settle(newest);
      }
    } catch (error) {
      // Whoever left has his reason already; anything else is a bug, and everybody's.
      if (this.#asking === asking) for (const waiter of [...this.#waiters]) this.#leave(waiter, error);
    } finally {
      if (this.#asking === asking) this.#asking = null;
    }
  }

  async #isShown(revision: Revision, signal: AbortSignal): Promise<boolean> {
    const { peers, cluster } = this.#parts;
    try {
      await peers.waitForImage(this.#session, { collection: "topics", revision }, { signal });
      return true;
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
    }
    await sleep(cluster.clock, RETRY_PAUSE_MS, signal);
    return false;
  }

  #settle(shown: Revision): void {
    for (const waiter of [...this.#waiters]) {
      if (waiter.revision > shown) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }
}

/** The barrier. */
export class ImageBarrier {
  readonly #parts: ImageBarrierParts;
  readonly #queues = new Map<SessionId, PeerQueue>();

  constructor(parts: ImageBarrierParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when the images of all other live sessions show the topics at `revision`, one at which they changed.
   * Rejects with the signal's reason: a peer that lives and cannot be reached is waited for until then, and so is the
   * metadata store.
   */
  async topics(revision: Revision, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { feed, process } = this.#parts;
    for (const sessionId of this.#queues.keys()) if (!feed.current.session(sessionId)) this.#queues.delete(sessionId);
    const waitedFor = new Set<SessionId>();
    for (;;) {
      // Each time: who was registered while this waited for the others may have a view from before the change.
      await this.#sessionsShown(signal);
      const others = [...feed.current.sessions()].filter(
        (session) => session.process !== process && !waitedFor.has(session.sessionId),
      );
      if (others.length === 0) return;
      for (const { sessionId } of others) waitedFor.add(sessionId);
      await Promise.all(others.map((session) => this.#waitFor(session, revision, signal)));
    }
  }

  /** Until the own image has all sessions of now: its watch may have been silent since before the change. */
  async #sessionsShown(signal: AbortSignal): Promise<void> {
    const { cluster, feed } = this.#parts;
    const attempt = { what: "newest change of sessions", signal };
    const newest = await untilAnswered(cluster, attempt, (call) => newestChange(cluster, "sessions", { signal: call }));
    await feed.waitFor("sessions", newest, { signal });
  }

  async #waitFor(session: LiveSession, revision: Revision, outer: AbortSignal): Promise<void> {
    const { sessionId, brokerId } = session;
    const queue = this.#queues.get(sessionId) ?? new PeerQueue(session, this.#parts);
    this.#queues.set(sessionId, queue);
    const over = new AbortController();
    const signal = AbortSignal.any([outer, over.signal]);
    const isGone = this.#parts.feed.waitUntil((image) => !image.session(sessionId), { signal });
    try {
      await Promise.race([isGone, queue.until(revision, signal)]);
    } finally {
      over.abort(new Error(`the wait for broker ${brokerId} is over`));
    }
  }
}
