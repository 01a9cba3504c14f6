// Keeps the shards of one session as the cluster has them: claims what falls to this broker, loads what names the session,
// gives away what another broker should own, and ends the session when somebody owns what it never gave. Looks at
// everything after each change of the image; no step depends on having seen the one before.
import { handOver, takeBack } from "../cluster/hand-over.ts";
import type { LiveSession, MetadataImage } from "../cluster/image.ts";
import type { ImageFeed } from "../cluster/image-feed.ts";
import { PeerError, type Peers } from "../cluster/peers.ts";
import { placement } from "../cluster/placement.ts";
import type { Session } from "../cluster/session.ts";
import type { SessionId } from "../cluster/session-id.ts";
import type { LoadCheckpoint, StoredClaim } from "../cluster/shard-claim.ts";
import { claimableShards, claimShards, misplacedShards, readClaims, shardsToLoad } from "../cluster/shards.ts";
import { Bell } from "../host/bell.ts";
import { type Clock, DeadlineError, sleep, withDeadline } from "../host/clock.ts";
import { TaskGroup } from "../host/tasks.ts";
import type { LeaderEpoch } from "../topic-partition.ts";
import type { SessionLog } from "./session-log.ts";
import type { ShardLog } from "./shard-log.ts";
import { type StoreProbe, untilStoreIsLost } from "./store-probe.ts";

/** Parts of a {@link ShardKeeper}. */
export interface ShardKeeperComponents {
  readonly sessionLog: SessionLog;
  readonly feed: ImageFeed;
  /** Undefined for a broker that is alone: it gives no shard away. */
  readonly peers: Peers | undefined;
  readonly loadCheckpoint: LoadCheckpoint;
  /** What tells whether the object store is in reach. */
  readonly storeProbe: (signal: AbortSignal) => StoreProbe;
  /** Called when shards were loaded: coordinators then load what they lead. */
  readonly onLoaded: () => void;
}

/** Shards of one hand-over: what one transaction takes. */
const BATCH_SHARDS = 30;
/** Pause after a hand-over of shards with data: each makes clients look for a leader. */
const HAND_OVER_PAUSE_MS = 2_000;
/** Pause before a refused or unreadable shard is looked at again. */
const FAILED_SHARD_RETRY_MS = 60_000;
/** How long a drain waits for the other brokers to see it. */
const DRAIN_NOTICE_MS = 2_000;
/** How long nothing is offered to a receiver that did not answer; the others get theirs meanwhile. */
const RECEIVER_PAUSE_MS = 1_000;

/** The shards of one session. */
export class ShardKeeper {
  readonly #parts: ShardKeeperComponents;
  readonly #session: Session;
  readonly #clock: Clock;
  readonly #tasks: TaskGroup;
  readonly #claimsBell: Bell;
  readonly #givingBell: Bell;
  /** Of each shard the last epoch that was loaded or given away: one load per session and epoch. */
  readonly #epochs = new Map<number, LeaderEpoch>();
  /** Shards whose last owner left something unreadable: nobody may claim them before it is mended. */
  readonly #refused = new Set<number>();
  #isSettled = false;
  #isRetrying = false;
  #isDraining = false;
  /** Receivers that did not answer, and until when nothing is offered to them. */
  readonly #pausedUntilMs = new Map<SessionId, number>();
  #onDrained: (() => void) | null = null;

  constructor(components: ShardKeeperComponents) {
    const { session } = components.sessionLog;
    const { clock, log } = session.components;
    this.#parts = components;
    this.#session = session;
    this.#clock = clock;
    this.#claimsBell = new Bell(clock);
    this.#givingBell = new Bell(clock);
    this.#tasks = new TaskGroup(log, (name, error) => session.die(new Error(`${name} failed`, { cause: error })));
  }

  /**
   * Whether every shard placed on this broker has been loaded or has failed: true from the first moment at which it was
   * so, that a later death of another broker makes nobody unready.
   */
  get isSettled(): boolean {
    this.#isSettled ||= this.#hasAllPlaced();
    return this.#isSettled;
  }

  /** Claims and loads what falls to this broker now, then goes on in the background until {@link stop}. */
  async start(signal: AbortSignal): Promise<void> {
    const { feed, sessionLog } = this.#parts;
    const { brokerId, createRevision } = this.#session;
    await this.#session.fenceEarlier({ signal });
    // Only then does the image show as free what the earlier sessions of this broker owned.
    const isAlone = (image: MetadataImage) =>
      image.revisionOf("sessions") >= createRevision && !image.hasEarlierSession(brokerId, createRevision);
    await feed.waitUntil(isAlone, { signal });
    await this.#waitForClaims((await readClaims(this.#session.components, { signal })).claims.values(), signal);
    await this.#claim(signal);
    // What is mine is asked of the store: a claim whose answer was lost is mine all the same.
    const { claims } = await readClaims(this.#session.components, { signal });
    await this.#waitForClaims(claims.values(), signal);
    await this.#load(this.#takeNew(), signal);
    sessionLog.start();
    const ring = () => {
      this.#claimsBell.ring();
      this.#givingBell.ring();
    };
    const unsubscribe = feed.subscribe((image, previous) => {
      const isChanged = (of: "sessions" | "claims") => image.revisionOf(of) !== previous.revisionOf(of);
      if (isChanged("sessions") || isChanged("claims")) ring();
    });
    this.#tasks.signal.addEventListener("abort", unsubscribe, { once: true });
    this.#tasks.spawn("claims of shards", (taskSignal) => this.#claimLoop(taskSignal));
    this.#tasks.spawn("hand-over of shards", (taskSignal) => this.#giveLoop(taskSignal));
    ring();
  }

  /** Ends the background work and waits for it. */
  stop(): Promise<void> {
    return this.#tasks.stop();
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
      this.#givingBell.ring();
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

  #hasAllPlaced(): boolean {
    const { feed, sessionLog } = this.#parts;
    return placement(feed.current.placementBrokerIds()).every((brokerId, shard) => {
      if (brokerId !== this.#session.brokerId || this.#refused.has(shard)) return true;
      const status = sessionLog.shard(shard)?.status;
      return status === "ready" || status === "failed";
    });
  }

  async #claimLoop(signal: AbortSignal): Promise<void> {
    let retryAtMs: number | undefined;
    for (;;) {
      const hasFailed = this.#refused.size > 0 || this.#failedShards().length > 0;
      retryAtMs = hasFailed ? (retryAtMs ?? this.#clock.monotonicMs() + FAILED_SHARD_RETRY_MS) : undefined;
      const waitMs = retryAtMs === undefined ? undefined : Math.max(0, retryAtMs - this.#clock.monotonicMs());
      await this.#claimsBell.wait(signal, waitMs);
      if (retryAtMs !== undefined && this.#clock.monotonicMs() >= retryAtMs) {
        retryAtMs = undefined;
        this.#refused.clear();
        this.#retryFailed();
      }
      if (!this.#isDraining) await this.#claim(signal);
      await this.#endIfRobbed(signal);
      const claims = this.#takeNew();
      // A load may take as long as the store is away; dead brokers' shards are claimed meanwhile.
      if (claims.length > 0) this.#tasks.spawn("load of shards", (taskSignal) => this.#load(claims, taskSignal));
    }
  }

  /** In the background, once at a time: one object that never answers must hold nobody else up. */
  #retryFailed(): void {
    const failed = this.#failedShards().map(({ claim }) => claim);
    if (failed.length === 0 || this.#isRetrying) return;
    this.#isRetrying = true;
    this.#tasks.spawn("load of failed shards", async (signal) => {
      await this.#load(failed, signal);
      this.#isRetrying = false;
    });
  }

  #failedShards(): ShardLog[] {
    return this.#parts.sessionLog.shards.filter(({ status }) => status === "failed");
  }

  /** Claims every shard that is placed on this broker and that nobody alive owns. */
  async #claim(signal: AbortSignal): Promise<void> {
    const { feed, loadCheckpoint } = this.#parts;
    const { brokerId, components } = this.#session;
    const shards = claimableShards(feed.current, brokerId).filter((shard) => !this.#refused.has(shard));
    if (shards.length === 0) return;
    const { claimed, refused } = await this.#whileStoreIsReached(signal, () =>
      claimShards(this.#session, { shards, loadCheckpoint, signal }),
    );
    for (const { shard, reason } of refused) {
      this.#refused.add(shard);
      components.log.error("shard refused", { shard, reason });
    }
    await this.#waitForClaims(claimed, signal);
  }

  /** A shard of ours that names another session was given by nobody: what else is ours is in doubt. */
  async #endIfRobbed(signal: AbortSignal): Promise<void> {
    const { feed, sessionLog } = this.#parts;
    const isRobbed = ({ claim, status }: ShardLog, stored: StoredClaim | undefined) =>
      status !== "offered" &&
      stored !== undefined &&
      stored.claim.epoch > claim.claim.epoch &&
      stored.claim.sessionId !== this.#session.sessionId;
    const suspects = sessionLog.shards.filter((shardLog) => isRobbed(shardLog, feed.current.claim(shardLog.shard)));
    if (suspects.length === 0) return;
    const { claims } = await readClaims(this.#session.components, { signal });
    const robbed = suspects.find((shardLog) => isRobbed(shardLog, claims.get(shardLog.shard)));
    if (robbed) this.#session.die(`shard ${robbed.shard} was given to another session by nobody`);
  }

  /** Claims that name the session under an epoch not loaded yet, from here on counted as loaded. */
  #takeNew(): StoredClaim[] {
    const claims = shardsToLoad(this.#parts.feed.current.claims(), this.#session.sessionId, this.#epochs);
    for (const { shard, claim } of claims) this.#noteEpoch(shard, claim.epoch);
    return claims;
  }

  /** Only up: the answer to a hand-over may come after its receiver has given the shard back and it was loaded again. */
  #noteEpoch(shard: number, epoch: LeaderEpoch): void {
    this.#epochs.set(shard, Math.max(epoch, this.#epochs.get(shard) ?? 0));
  }

  async #load(claims: readonly StoredClaim[], signal: AbortSignal): Promise<void> {
    await this.#whileStoreIsReached(signal, () => this.#parts.sessionLog.load(claims, signal));
    this.#parts.onLoaded();
    // What was loaded may be meant for another broker by now, and what failed is to be tried again.
    this.#givingBell.ring();
    this.#claimsBell.ring();
  }

  /** A broker that has lost the store must neither hold shards that it cannot load nor keep others from claiming them. */
  async #whileStoreIsReached<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const done = new AbortController();
    const lost = untilStoreIsLost(this.#parts.storeProbe(AbortSignal.any([signal, done.signal])));
    this.#session.watched(lost).then(
      () => this.#session.die("the object store is out of reach while shards are claimed or loaded"),
      () => {},
    );
    try {
      return await work();
    } finally {
      done.abort();
    }
  }

  /** Until the image shows the newest of `claims`. */
  async #waitForClaims(claims: Iterable<StoredClaim>, signal: AbortSignal): Promise<void> {
    let newest = 0;
    for (const { modRevision } of claims) newest = Math.max(newest, modRevision);
    if (newest > 0) await this.#parts.feed.waitFor("claims", newest, { signal });
  }

  async #giveLoop(signal: AbortSignal): Promise<void> {
    for (;;) {
      const batch = this.#nextBatch();
      if (!batch) {
        const isWaiting = this.#pausedUntilMs.size > 0;
        if (this.#isDraining && !isWaiting) this.#onDrained?.();
        await this.#givingBell.wait(signal, isWaiting ? RECEIVER_PAUSE_MS : undefined);
        continue;
      }
      const isEmpty = batch.shardLogs.every((shardLog) => shardLog.isEmpty);
      const isGiven = await this.#give(batch, signal);
      if (!isGiven) this.#pausedUntilMs.set(batch.receiver.sessionId, this.#clock.monotonicMs() + RECEIVER_PAUSE_MS);
      else if (!isEmpty && !this.#isDraining) await sleep(this.#clock, HAND_OVER_PAUSE_MS, signal);
    }
  }

  /** Shards for one receiver; those without data first, which cost nobody anything. */
  #nextBatch(): HandOverBatch | undefined {
    const { feed, sessionLog } = this.#parts;
    if (!this.#parts.peers) return undefined;
    const ready = sessionLog.shards.filter(({ status }) => status === "ready").map(({ shard }) => shard);
    const nowMs = this.#clock.monotonicMs();
    for (const [sessionId, untilMs] of this.#pausedUntilMs) if (untilMs <= nowMs) this.#pausedUntilMs.delete(sessionId);
    for (const [sessionId, shards] of misplacedShards(feed.current, ready, this.#session.brokerId)) {
      const receiver = feed.current.session(sessionId);
      if (!receiver || this.#pausedUntilMs.has(sessionId)) continue;
      const shardLogs = shards.flatMap((shard) => sessionLog.shard(shard) ?? []);
      const empty = shardLogs.filter((shardLog) => shardLog.isEmpty);
      return { receiver, shardLogs: (empty.length > 0 ? empty : shardLogs).slice(0, BATCH_SHARDS) };
    }
    return undefined;
  }

  /** One hand-over; whether the receiver has all of it. */
  async #give({ receiver, shardLogs }: HandOverBatch, signal: AbortSignal): Promise<boolean> {
    const { feed, sessionLog } = this.#parts;
    if (!(await this.#isThere(receiver, signal))) return false;
    const prepared = await sessionLog.prepareToGive(shardLogs, signal);
    const isWanted = feed.current.session(receiver.sessionId) !== undefined;
    for (const shardLog of shardLogs) shardLog.status = isWanted ? "offered" : "ready";
    if (!isWanted) return false;
    const { given, kept } = await handOver(this.#session, prepared, { receiver, signal });
    for (const { shard, claim } of given) this.#noteEpoch(shard, claim.epoch);
    const refused = new Set(kept);
    if (kept.length > 0) {
      const mine = prepared.filter(({ stored }) => refused.has(stored.shard));
      for (const shard of await takeBack(this.#session, mine, { signal })) refused.delete(shard);
    }
    // Only now do waiters ask who owns them: the image knows.
    await this.#waitForClaims(given, signal);
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

interface HandOverBatch {
  readonly receiver: LiveSession;
  readonly shardLogs: readonly ShardLog[];
}
