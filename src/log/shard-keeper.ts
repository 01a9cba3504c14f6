// Keeps the shards of one session as the cluster has them: claims what falls to this broker, loads what names the session,
// and ends the session when somebody owns what it never gave. Looks at everything after each change of the image; no step
// depends on having seen the one before, and no shard waits for another one's objects.
import type { MetadataImage } from "../cluster/image.ts";
import type { ImageFeed } from "../cluster/image-feed.ts";
import type { Peers } from "../cluster/peers.ts";
import { placement } from "../cluster/placement.ts";
import type { Session } from "../cluster/session.ts";
import type { LoadCheckpoint, StoredClaim } from "../cluster/shard-claim.ts";
import { awaitClaims, claimableShards, claimShards, readClaims, shardsToLoad } from "../cluster/shards.ts";
import { Bell } from "../host/bell.ts";
import type { Clock } from "../host/clock.ts";
import { TaskGroup } from "../host/tasks.ts";
import type { LeaderEpoch } from "../topic-partition.ts";
import type { CutOffWatch } from "./cut-off-watch.ts";
import type { SessionLog } from "./session-log.ts";
import { ShardGiver } from "./shard-giver.ts";
import type { ShardLog } from "./shard-log.ts";
import { type StoreProbe, StoreWatch } from "./store-probe.ts";

/** Parts of a {@link ShardKeeper}. */
export interface ShardKeeperComponents {
  readonly sessionLog: SessionLog;
  readonly feed: ImageFeed;
  /** Undefined for a broker that is alone: it gives no shard away. */
  readonly peers: Peers | undefined;
  readonly loadCheckpoint: LoadCheckpoint;
  /** What tells whether the object store is in reach. */
  readonly storeProbe: (signal: AbortSignal) => StoreProbe;
  /** What finds out that it answers others alone. */
  readonly cutOff: CutOffWatch;
  /** Pause before a refused or unreadable shard is looked at again. */
  readonly failedShardRetryMs: number;
  /** Called when shards were loaded: coordinators then load what they lead. */
  readonly onLoaded: () => void;
}

/** How long a start waits for what it claims at once, so that the first clients of a small broker meet no refusal. */
const FIRST_LOADS_MS = 500;
/** Shards that are loaded within so long are told of together. */
const LOADED_NOTICE_MS = 20;

/** The shards of one session. */
export class ShardKeeper {
  readonly #parts: ShardKeeperComponents;
  readonly #session: Session;
  readonly #clock: Clock;
  readonly #tasks: TaskGroup;
  readonly #bell: Bell;
  readonly #giver: ShardGiver;
  readonly #storeWatch: StoreWatch;
  /** Of each shard the last epoch that was loaded or given away: one load per session and epoch. */
  readonly #epochs = new Map<number, LeaderEpoch>();
  /** Shards whose last owner left something unreadable: nobody may claim them before it is mended. */
  readonly #refused = new Set<number>();
  /** Shards of claims under way. */
  readonly #claiming = new Set<number>();
  #loadsUnderWay = 0;
  #isSettled = false;
  #isRetrying = false;
  /** Ends the present notice of loaded shards; null while none is due. */
  #cancelNotice: (() => void) | null = null;
  #onQuiet: (() => void) | null = null;

  constructor(components: ShardKeeperComponents) {
    const { sessionLog, feed, peers, storeProbe, cutOff } = components;
    const { session } = sessionLog;
    const { clock, log } = session.components;
    this.#parts = components;
    this.#session = session;
    this.#clock = clock;
    this.#bell = new Bell(clock);
    this.#giver = new ShardGiver({
      sessionLog,
      feed,
      peers,
      onGiven: ({ shard, claim }) => this.#noteEpoch(shard, claim.epoch),
    });
    // A broker that has lost the store must neither hold shards that it cannot load nor keep others from claiming them.
    const text = "the object store is out of reach while shards are claimed or loaded";
    const onLost = (cause?: unknown) => session.die(new Error(text, { cause }));
    const probe = (signal: AbortSignal) => storeProbe(AbortSignal.any([this.#tasks.signal, signal]));
    this.#storeWatch = new StoreWatch({ probe, cutOff, onLost });
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

  /**
   * Claims and loads in the background what falls to this broker, until {@link stop}. Resolves when what could be claimed
   * at once is loaded, or after a moment: a shard that waits for the store must not keep the others from serving.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { feed, sessionLog } = this.#parts;
    const { brokerId, createRevision } = this.#session;
    await this.#session.fenceEarlier({ signal });
    // Only then does the image show as free what the earlier sessions of this broker owned.
    const isAlone = (image: MetadataImage) =>
      image.revisionOf("sessions") >= createRevision && !image.hasEarlierSession(brokerId, createRevision);
    await feed.waitUntil(isAlone, { signal });
    await awaitClaims(feed, (await readClaims(this.#session.components, { signal })).claims.values(), { signal });
    sessionLog.start();
    const unsubscribe = feed.subscribe((image, previous) => {
      const isChanged = (of: "sessions" | "claims") => image.revisionOf(of) !== previous.revisionOf(of);
      if (isChanged("sessions") || isChanged("claims")) this.#look();
    });
    this.#tasks.signal.addEventListener("abort", unsubscribe, { once: true });
    this.#tasks.spawn("claims of shards", (taskSignal) => this.#claimLoop(taskSignal));
    this.#tasks.spawn("hand-over of shards", (taskSignal) => this.#giver.run(taskSignal));
    this.#look();
    await this.#firstLoads(signal);
  }

  /** Ends the background work and waits for it. */
  stop(): Promise<void> {
    this.#cancelNotice?.();
    return this.#tasks.stop();
  }

  /** As {@link ShardGiver.drain}. */
  drain(signal: AbortSignal): Promise<boolean> {
    return this.#giver.drain(signal);
  }

  #look(): void {
    this.#bell.ring();
    this.#giver.look();
  }

  /** Until nothing is left to be claimed or loaded, or a moment has passed. */
  #firstLoads(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        cancel();
        signal.removeEventListener("abort", end);
        this.#onQuiet = null;
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      const cancel = this.#clock.setTimer(FIRST_LOADS_MS, end);
      this.#onQuiet = end;
      if (signal.aborted) end();
      else signal.addEventListener("abort", end, { once: true });
    });
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
    const { failedShardRetryMs } = this.#parts;
    let retryAtMs: number | undefined;
    for (;;) {
      const hasFailed = this.#refused.size > 0 || this.#failedShards().length > 0;
      retryAtMs = hasFailed ? (retryAtMs ?? this.#clock.monotonicMs() + failedShardRetryMs) : undefined;
      const waitMs = retryAtMs === undefined ? undefined : Math.max(0, retryAtMs - this.#clock.monotonicMs());
      await this.#bell.wait(signal, waitMs);
      if (retryAtMs !== undefined && this.#clock.monotonicMs() >= retryAtMs) {
        retryAtMs = undefined;
        this.#refused.clear();
        this.#retryFailed();
      }
      if (!this.#giver.isDraining) await this.#claim(signal);
      await this.#endIfRobbed(signal);
      const claims = this.#takeNew();
      // A load may take as long as the store is away; dead brokers' shards are claimed meanwhile.
      if (claims.length > 0) this.#tasks.spawn("load of shards", () => this.#load(claims));
      else if (this.#claiming.size === 0 && this.#loadsUnderWay === 0) this.#onQuiet?.();
    }
  }

  /** In the background, once at a time: one object that never answers must hold nobody else up. */
  #retryFailed(): void {
    const failed = this.#failedShards().map(({ claim }) => claim);
    if (failed.length === 0 || this.#isRetrying) return;
    this.#isRetrying = true;
    this.#tasks.spawn("load of failed shards", async () => {
      await this.#load(failed);
      this.#isRetrying = false;
    });
  }

  #failedShards(): ShardLog[] {
    return this.#parts.sessionLog.shards.filter(({ status }) => status === "failed");
  }

  /**
   * Begins to claim every shard that is placed on this broker and that nobody alive owns: those of each dead session by
   * themselves, because its checkpoint has to be read and may not be there.
   */
  async #claim(signal: AbortSignal): Promise<void> {
    const { feed } = this.#parts;
    const { brokerId, components } = this.#session;
    const wanted = claimableShards(feed.current, brokerId).filter(
      (shard) => !this.#refused.has(shard) && !this.#claiming.has(shard),
    );
    if (wanted.length === 0) return;
    const { claims } = await readClaims(components, { signal });
    const byOwner = new Map<string, number[]>();
    for (const shard of wanted) {
      const owner = claims.get(shard)?.claim.sessionId ?? "nobody";
      const shards = byOwner.get(owner) ?? [];
      shards.push(shard);
      byOwner.set(owner, shards);
    }
    for (const shards of byOwner.values()) {
      for (const shard of shards) this.#claiming.add(shard);
      this.#tasks.spawn("claim of shards", (taskSignal) => this.#claimFrom(shards, claims, taskSignal));
    }
  }

  async #claimFrom(
    shards: readonly number[],
    claims: ReadonlyMap<number, StoredClaim>,
    signal: AbortSignal,
  ): Promise<void> {
    const { feed, loadCheckpoint } = this.#parts;
    const { components } = this.#session;
    const { claimed, lost, refused } = await this.#storeWatch.during(() =>
      claimShards(this.#session, { shards, claims, loadCheckpoint, signal }),
    );
    for (const { shard, reason } of refused) {
      this.#refused.add(shard);
      components.log.error("shard refused", { shard, reason });
    }
    await awaitClaims(feed, claimed, { signal });
    // Who was faster may have died since: what the image then shows is looked at again.
    if (lost.length > 0)
      await awaitClaims(feed, (await readClaims(components, { signal })).claims.values(), { signal });
    for (const shard of shards) this.#claiming.delete(shard);
    this.#look();
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

  /**
   * Claims that name the session under an epoch not loaded yet, from here on counted as loaded. Those of a claim under way
   * wait for its end: they share what has to be read.
   */
  #takeNew(): StoredClaim[] {
    const named = shardsToLoad(this.#parts.feed.current.claims(), this.#session.sessionId, this.#epochs);
    const claims = named.filter(({ shard }) => !this.#claiming.has(shard));
    for (const { shard, claim } of claims) this.#noteEpoch(shard, claim.epoch);
    return claims;
  }

  /** Only up: the answer to a hand-over may come after its receiver has given the shard back and it was loaded again. */
  #noteEpoch(shard: number, epoch: LeaderEpoch): void {
    this.#epochs.set(shard, Math.max(epoch, this.#epochs.get(shard) ?? 0));
  }

  async #load(claims: readonly StoredClaim[]): Promise<void> {
    const { signal } = this.#tasks;
    const onLoaded = () => this.#noteLoaded();
    this.#loadsUnderWay++;
    await this.#storeWatch.during(() => this.#parts.sessionLog.load(claims, { onLoaded, signal }));
    this.#loadsUnderWay--;
    this.#tellLoaded();
  }

  /** Each shard is told of soon, and many together: who is told looks at everything. */
  #noteLoaded(): void {
    this.#cancelNotice ??= this.#clock.setTimer(LOADED_NOTICE_MS, () => this.#tellLoaded());
  }

  #tellLoaded(): void {
    this.#cancelNotice?.();
    this.#cancelNotice = null;
    if (this.#tasks.signal.aborted) return;
    this.#parts.onLoaded();
    // What was loaded may be meant for another broker by now, and what failed is to be tried again.
    this.#look();
  }
}
