// Gives the shards of one session to the brokers that should own them: now and then while it serves, all of them before it
// stops. Refuses a receiver whose process does not answer. A shard whose hand-over is open is served by nobody here.
import { handOver, takeBack } from "../cluster/hand-over.ts";
import type { LiveSession, MetadataImage } from "../cluster/image.ts";
import type { ImageFeed } from "../cluster/image-feed.ts";
import { PeerError, type Peers } from "../cluster/peers.ts";
import type { Session } from "../cluster/session.ts";
import type { SessionId } from "../cluster/session-id.ts";
import type { StoredClaim } from "../cluster/shard-claim.ts";
import { awaitClaims, misplacedShards } from "../cluster/shards.ts";
import { Bell } from "../host/bell.ts";
import { type Clock, DeadlineError, sleep, withDeadline } from "../host/clock.ts";
import type { SessionLog } from "./session-log.ts";
import type { ShardLog } from "./shard-log.ts";

/** Parts of a {@link ShardGiver}. */
export interface ShardGiverComponents {
  readonly sessionLog: SessionLog;
  readonly feed: ImageFeed;
  /** Undefined for a broker that is alone: it gives no shard away. */
  readonly peers: Peers | undefined;
  /** Told of each claim that was written for another session: it is not loaded here. */
  readonly onGiven: (claim: StoredClaim) => void;
}

/** Shards of a hand-over: what one transaction takes. */
const BATCH_SHARDS = 30;
/**
 * Shards that stop together in a drain, for one checkpoint and a dozen transactions: so few that nobody waits for them
 * for a second, and so many that a thousand take no more than a handful of checkpoints.
 */
const DRAIN_SHARDS = 340;
/** Pause after a hand-over of shards with data: each makes clients look for a leader. */
const HAND_OVER_PAUSE_MS = 2_000;
/** How long a drain waits for the other brokers to see it. */
const DRAIN_NOTICE_MS = 2_000;
/** How long nothing is offered to a receiver that did not answer; the others get theirs meanwhile. */
const RECEIVER_PAUSE_MS = 1_000;

interface HandOverBatch {
  readonly receiver: LiveSession;
  readonly shardLogs: readonly ShardLog[];
}

/** What one session gives away. */
export class ShardGiver {
  readonly #parts: ShardGiverComponents;
  readonly #session: Session;
  readonly #clock: Clock;
  readonly #bell: Bell;
  #isDraining = false;
  /** Receivers that did not answer, and until when nothing is offered to them. */
  readonly #pausedUntilMs = new Map<SessionId, number>();
  #onDrained: (() => void) | null = null;

  constructor(components: ShardGiverComponents) {
    this.#parts = components;
    this.#session = components.sessionLog.session;
    this.#clock = this.#session.components.clock;
    this.#bell = new Bell(this.#clock);
  }

  /** Whether everything is to be given: nothing is claimed any more. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Looks for shards that are misplaced: something has changed. */
  look(): void {
    this.#bell.ring();
  }

  /**
   * Gives every shard to the other brokers, while it is served until the moment it goes. Resolves when none is left that
   * anybody takes, with whether there was anybody; rejects when `signal` aborts.
   */
  async drain(signal: AbortSignal): Promise<boolean> {
    const { feed } = this.#parts;
    if (!this.#others(feed.current).some(({ isDraining }) => !isDraining)) return false;
    const revision = await this.#session.markDraining({ signal });
    if (revision === undefined) return false;
    await feed.waitFor("sessions", revision, { signal });
    await this.#tellPeers(revision, signal);
    this.#isDraining = true;
    await new Promise<void>((resolve, reject) => {
      this.#onDrained = resolve;
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      this.#bell.ring();
    });
    return true;
  }

  /** Until the other brokers know of the drain, or a moment has passed: who does not know gives shards back at worst. */
  async #tellPeers(revision: number, signal: AbortSignal): Promise<void> {
    const { peers, feed } = this.#parts;
    const tell = async (peer: LiveSession, call: AbortSignal) => {
      try {
        await peers?.waitForImage(peer, { collection: "sessions", revision }, { signal: call });
      } catch (error) {
        if (!(error instanceof PeerError) && !call.aborted) throw error;
      }
    };
    const tellAll = (call: AbortSignal) => Promise.all(this.#others(feed.current).map((peer) => tell(peer, call)));
    try {
      await withDeadline(this.#clock, DRAIN_NOTICE_MS, "notice of a drain", signal, tellAll);
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
    }
  }

  #others(image: MetadataImage): LiveSession[] {
    return [...image.sessions()].filter(({ brokerId }) => brokerId !== this.#session.brokerId);
  }

  /** Gives away what another broker should own, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const batch = this.#nextBatch();
      if (!batch) {
        const isWaiting = this.#pausedUntilMs.size > 0;
        if (this.#isDraining && !isWaiting) this.#onDrained?.();
        await this.#bell.wait(signal, isWaiting ? RECEIVER_PAUSE_MS : undefined);
        continue;
      }
      const isFree = batch.shardLogs.every(costsNothing);
      const isGiven = await this.#give(batch, signal);
      if (!isGiven) this.#pausedUntilMs.set(batch.receiver.sessionId, this.#clock.monotonicMs() + RECEIVER_PAUSE_MS);
      else if (!isFree && !this.#isDraining) await sleep(this.#clock, HAND_OVER_PAUSE_MS, signal);
    }
  }

  /** Shards for one receiver; those whose move costs nobody anything first. */
  #nextBatch(): HandOverBatch | undefined {
    const { feed, sessionLog } = this.#parts;
    if (!this.#parts.peers) return undefined;
    const mine = sessionLog.shards.filter(isGivable).map(({ shard }) => shard);
    const nowMs = this.#clock.monotonicMs();
    for (const [sessionId, untilMs] of this.#pausedUntilMs) if (untilMs <= nowMs) this.#pausedUntilMs.delete(sessionId);
    for (const [sessionId, shards] of misplacedShards(feed.current, mine, this.#session.brokerId)) {
      const receiver = feed.current.session(sessionId);
      if (!receiver || this.#pausedUntilMs.has(sessionId)) continue;
      const shardLogs = shards.flatMap((shard) => sessionLog.shard(shard) ?? []);
      const free = shardLogs.filter(costsNothing);
      const count = this.#isDraining ? DRAIN_SHARDS : BATCH_SHARDS;
      return { receiver, shardLogs: (free.length > 0 ? free : shardLogs).slice(0, count) };
    }
    return undefined;
  }

  /** One hand-over; whether the receiver has all of it. */
  async #give(batch: HandOverBatch, signal: AbortSignal): Promise<boolean> {
    const { feed, sessionLog } = this.#parts;
    const { receiver } = batch;
    if (!(await this.#isThere(receiver, signal))) return false;
    // A failed one may have been recovered meanwhile: it is another log now, and the next batch has it.
    const shardLogs = batch.shardLogs.filter(
      (shardLog) => sessionLog.shard(shardLog.shard) === shardLog && isGivable(shardLog),
    );
    const prepared = await sessionLog.prepareToGive(shardLogs, signal);
    const isWanted = feed.current.session(receiver.sessionId) !== undefined;
    for (const shardLog of shardLogs) shardLog.status = isWanted ? "offered" : shardLog.isLoaded ? "ready" : "failed";
    if (!isWanted) return false;
    const { given, kept } = await handOver(this.#session, prepared, { receiver, signal });
    for (const claim of given) this.#parts.onGiven(claim);
    const refused = new Set(kept);
    if (kept.length > 0) {
      const mine = prepared.filter(({ stored }) => refused.has(stored.shard));
      for (const shard of await takeBack(this.#session, mine, { signal })) refused.delete(shard);
    }
    // Only now do waiters ask who owns them: the image knows.
    await awaitClaims(feed, given, { signal });
    for (const shardLog of shardLogs) if (!refused.has(shardLog.shard)) sessionLog.forget(shardLog);
    const { sessionId, brokerId } = receiver;
    const counts = { given: given.length, kept: kept.length };
    this.#session.components.log.info("shards handed over", { to: sessionId, broker: brokerId, ...counts });
    return kept.length === 0;
  }

  /** Whether the process that registered the session answers: one that is only alive in the store takes nothing. */
  async #isThere(receiver: LiveSession, signal: AbortSignal): Promise<boolean> {
    try {
      const answer = await this.#parts.peers?.probe(receiver, { signal });
      return answer?.process === receiver.process;
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.#session.components.log.warn("a broker does not answer and is given no shards", {
        broker: receiver.brokerId,
        error,
      });
      return false;
    }
  }
}

/** What is still loading is given once it is loaded or has failed: a receiver would have to begin anew. */
function isGivable({ status }: ShardLog): boolean {
  return status === "ready" || status === "failed";
}

/** Whether the move of a shard needs no checkpoint, and no client misses it: it is empty, or nobody could use it. */
function costsNothing(shardLog: ShardLog): boolean {
  return shardLog.isEmpty || shardLog.status === "failed";
}
