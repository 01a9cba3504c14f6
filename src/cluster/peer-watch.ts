// Finds out early that a neighbour is dead: each broker keeps a connection to the next few by id and calls them when it
// ends, and one whose port refuses twice loses its session, so that its shards are free before its lease is. A connection
// that ends and a call without answer prove nothing and end nothing;
// nobody is fenced twice, nor at an address where its process was never reached. The metadata store is not touched by it
// until there is somebody to fence.
import { Bell } from "../host/bell.ts";
import { TaskGroup } from "../host/tasks.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import type { LiveSession, MetadataImage } from "./image.ts";
import type { ImageFeed } from "./image-feed.ts";
import { PeerError, type PeerLinks } from "./peers.ts";
import { fenceSession } from "./session.ts";
import type { SessionId } from "./session-id.ts";

/** Neighbours that a broker watches: as many as may die at once without a gap. */
const WATCHED_COUNT = 3;
/** Time between two calls of a peer that is well, while the connection to it lasts: they keep it from being idle. */
const QUIET_PACE_MS = 10_000;
/** Time between two calls of any other one, at least. */
const PROBE_PACE_MS = 1000;
/** Time between a call that failed and the next one, where the last one was answered. */
const RETRY_MS = 50;
/** Time between the refusal that raises a suspicion and the one that confirms it. */
const SECOND_PROBE_MS = 200;

/** How one call of a peer ended. `stranger`: another process answered at its address. */
export type ProbeOutcome = "answered" | "stranger" | "refused" | "unavailable";

/** What is known of a peer's session from the calls so far. */
export interface PeerState {
  /** Its process has answered at its address once: a refusal there now means something. */
  readonly isReached: boolean;
  /** Since when every call was refused. */
  readonly refusedAtMs: number | undefined;
  /** Whether the last call was answered. */
  readonly isWell: boolean;
}

/** Before the first call. */
export const unprobed: PeerState = { isReached: false, refusedAtMs: undefined, isWell: true };

/** What follows from one more call. */
export interface PeerVerdict {
  readonly state: PeerState;
  readonly isDead: boolean;
  /** Until the next call, which comes sooner when a connection over which the last one was answered ends. */
  readonly pauseMs: number;
}

/** Judges the outcome of a call that ended at `nowMs`, by the monotonic clock. */
export function judge(state: PeerState, outcome: ProbeOutcome, nowMs: number): PeerVerdict {
  if (outcome === "answered") {
    const well = { isReached: true, refusedAtMs: undefined, isWell: true };
    return { state: well, isDead: false, pauseMs: QUIET_PACE_MS };
  }
  // A connection that broke is often the first sign of a death, met while the port still takes calls: the next comes soon.
  const pauseMs = state.isWell ? RETRY_MS : PROBE_PACE_MS;
  if (outcome !== "refused" || !state.isReached) {
    return { state: { ...state, refusedAtMs: undefined, isWell: false }, isDead: false, pauseMs };
  }
  const refusedAtMs = state.refusedAtMs ?? nowMs;
  const isDead = nowMs - refusedAtMs >= SECOND_PROBE_MS;
  return { state: { ...state, refusedAtMs, isWell: false }, isDead, pauseMs: SECOND_PROBE_MS };
}

/** The sessions of the next live brokers after `brokerId`, in the circle of all ids. */
export function watchedBy(brokerId: number, image: MetadataImage): readonly LiveSession[] {
  const others = image.newestSessions().filter((session) => session.brokerId !== brokerId);
  const after = others.filter((session) => session.brokerId > brokerId);
  const before = others.filter((session) => session.brokerId < brokerId);
  return [...after, ...before].slice(0, WATCHED_COUNT);
}

/** Parts of a {@link PeerWatch}. */
export interface PeerWatchParts {
  readonly cluster: ClusterComponents;
  readonly feed: ImageFeed;
  readonly peers: PeerLinks;
  readonly brokerId: number;
}

/** The watch of one broker over its neighbours. */
export class PeerWatch {
  readonly #parts: PeerWatchParts;
  /** Sessions with a task that calls them, and those that were fenced: until they leave the image. */
  readonly #known = new Set<SessionId>();

  constructor(parts: PeerWatchParts) {
    this.#parts = parts;
  }

  /** Watches until `signal` aborts, and closes the connections to peers that have left. */
  async run(signal: AbortSignal): Promise<void> {
    const { cluster, feed, peers } = this.#parts;
    let fail: (error: unknown) => void = () => {};
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const tasks = new TaskGroup(cluster.log, (_name, error) => fail(error));
    const follow = (image: MetadataImage, previous?: MetadataImage) => {
      if (image.content.sessions === previous?.content.sessions) return;
      peers.keepOnly(image.sessions());
      this.#follow(image, tasks);
    };
    const unsubscribe = feed.subscribe(follow);
    try {
      follow(feed.current);
      await Promise.race([failed, untilAborted(signal)]);
    } finally {
      unsubscribe();
      await tasks.stop();
      peers.keepOnly([]);
    }
  }

  #follow(image: MetadataImage, tasks: TaskGroup): void {
    for (const sessionId of this.#known) if (!image.session(sessionId)) this.#known.delete(sessionId);
    for (const session of watchedBy(this.#parts.brokerId, image)) {
      if (this.#known.has(session.sessionId)) continue;
      this.#known.add(session.sessionId);
      tasks.spawn(`watch of broker ${session.brokerId}`, (signal) => this.#watch(session, signal));
    }
  }

  async #watch(session: LiveSession, signal: AbortSignal): Promise<void> {
    const { cluster, brokerId, feed } = this.#parts;
    const { sessionId } = session;
    const pause = new ProbePause(this.#parts, session);
    let state = unprobed;
    for (;;) {
      const outcome = await this.#probe(session, signal);
      // It may have left, or others have come between.
      if (!watchedBy(brokerId, feed.current).some((watched) => watched.sessionId === sessionId)) {
        this.#known.delete(sessionId);
        return;
      }
      const verdict = judge(state, outcome, cluster.clock.monotonicMs());
      state = verdict.state;
      if (verdict.isDead) break;
      await pause.wait(verdict, signal);
    }
    cluster.log.warn("a peer refuses connections and is fenced", { broker: session.brokerId, session: sessionId });
    await fenceSession(cluster, session, signal);
  }

  async #probe(session: LiveSession, signal: AbortSignal): Promise<ProbeOutcome> {
    try {
      const { process } = await this.#parts.peers.probe(session, { signal });
      return process === session.process ? "answered" : "stranger";
    } catch (error) {
      if (error instanceof PeerError) return error.kind;
      throw error;
    }
  }
}

/** The time between two calls of one peer. */
class ProbePause {
  readonly #parts: PeerWatchParts;
  readonly #session: LiveSession;
  readonly #bell: Bell;
  #lastCutShortMs = Number.NEGATIVE_INFINITY;

  constructor(parts: PeerWatchParts, session: LiveSession) {
    this.#parts = parts;
    this.#session = session;
    this.#bell = new Bell(parts.cluster.clock);
  }

  async wait({ state, pauseMs }: PeerVerdict, signal: AbortSignal): Promise<void> {
    const { peers, cluster } = this.#parts;
    const { clock } = cluster;
    // Something between the brokers may end each connection at once: then calls keep the pace that they had without.
    const isWatched = state.isWell && clock.monotonicMs() - this.#lastCutShortMs >= PROBE_PACE_MS;
    if (!isWatched) return await this.#bell.wait(signal, Math.min(pauseMs, PROBE_PACE_MS));
    let isCutShort = false;
    const unfollow = peers.onLost(this.#session, () => {
      isCutShort = true;
      this.#bell.ring();
    });
    try {
      await this.#bell.wait(signal, pauseMs);
    } finally {
      unfollow();
    }
    if (isCutShort) this.#lastCutShortMs = clock.monotonicMs();
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
