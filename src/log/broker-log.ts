// The log of a broker across its sessions: registers, claims, recovers, serves, and when a session dies does all of that
// again. Nothing outlives a session but immutable objects in the store.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { outageLogOf } from "../cluster/attempts.ts";
import type { ClusterComponents } from "../cluster/cluster-components.ts";
import { endWhenFenced, type ImageFeed } from "../cluster/image-feed.ts";
import type { Peers } from "../cluster/peers.ts";
import { findRivalSession, type Registration, Session } from "../cluster/session.ts";
import { anySignal, longLivedController } from "../host/abort.ts";
import { sleep, withDeadline } from "../host/clock.ts";
import type { Metrics } from "../host/metrics.ts";
import { brokenInvariant } from "../invariant.ts";
import { KafkaError } from "../kafka-error.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";
import type { TopicId } from "../topic-partition.ts";
import { loadCheckpoint } from "./checkpoint-facts.ts";
import { CutOffWatch } from "./cut-off-watch.ts";
import { type FlushMetrics, registerFlushMetrics } from "./flush.ts";
import type { LogSettings } from "./log-settings.ts";
import type { PartitionLog } from "./partition-log.ts";
import { type ReconcileCounters, reconcileCounters } from "./reconcile.ts";
import { readTopicFacts } from "./recovery.ts";
import { Remover } from "./remover.ts";
import { ReplacedError } from "./replaced-error.ts";
import { SessionLog } from "./session-log.ts";
import { ShardKeeper } from "./shard-keeper.ts";
import { StoreOutages } from "./store-outages.ts";
import { probeStore, type StoreProbe } from "./store-probe.ts";
import type { StoreReach } from "./store-reach.ts";
import { WalReader } from "./wal-reader.ts";
import { WalWriter } from "./wal-writer.ts";

/** Parts of a {@link BrokerLog}. */
export interface BrokerLogComponents {
  readonly cluster: ClusterComponents;
  readonly feed: ImageFeed;
  readonly store: StoreReach;
  readonly objectKeys: ObjectKeys;
  readonly metrics: Metrics;
  readonly settings: LogSettings;
  readonly registration: Registration;
  /** Told at once of a broken invariant, also of one that shows after its session has ended. */
  readonly onBug: (error: unknown) => void;
  /** Rejects before a further session where the metadata store is not the one that the bucket knows any more. */
  readonly confirmCluster: (signal: AbortSignal) => Promise<void>;
  /** Undefined for a broker that is alone: it gives no shard away. */
  readonly peers: Peers | undefined;
}

/** Longest pause before a broker whose session died registers again, in milliseconds. */
const REGISTER_BACKOFF_MS_MAX = 5_000;
const REGISTER_BACKOFF_MS_FIRST = 50;
/**
 * After a loss of the metadata store every session of a cluster ends at its return: this spreads their registrations, in
 * milliseconds. It is short beside the outage, and a broker that is alone has nobody to make room for.
 */
const REJOIN_SPREAD_MS = 1_000;
/** How long a stop waits for its last flush and checkpoint: nobody is answered any more, the next start is faster. */
const LAST_STEPS_MS = 8_000;
/** How long it waits for the end of its session to be known: one call and another try. */
const DEREGISTRATION_MS = 4_000;
/** How often a deleted topic with batches under way is looked at again. */
const DELETED_TOPIC_RETRY_MS = 100;

/** How a session went. */
interface SessionLife {
  readonly served: boolean;
  /** Whether the metadata store did not answer any more before it ended, and others of the cluster saw that too. */
  readonly hasLostStore: boolean;
}

/** A broker's log. `start` resolves when the first session serves; `run` lives until the signal aborts. */
export class BrokerLog {
  readonly #parts: BrokerLogComponents;
  readonly #cutOff: CutOffWatch;
  readonly #walWriter: WalWriter;
  readonly #walReader: WalReader;
  readonly #remover: Remover;
  /** What its stores fail at now. */
  readonly outages: StoreOutages;
  readonly #flushMetrics: FlushMetrics;
  readonly #reconcileCounters: ReconcileCounters;
  /** The present session's log once it serves; null before, and between sessions. */
  #serving: SessionLog | null = null;
  #keeper: ShardKeeper | null = null;
  #sessionCount = 0;
  readonly #onServing = new Set<() => void>();
  /** What sessions live under: they outlast the stop signal, because the orderly end needs them. */
  readonly #life = longLivedController();

  constructor(components: BrokerLogComponents) {
    this.#parts = components;
    const { cluster, store, objectKeys, settings, metrics } = components;
    const { clock, random, log } = cluster;
    this.#flushMetrics = registerFlushMetrics(metrics);
    this.#cutOff = new CutOffWatch(components);
    const cutOff = this.#cutOff;
    this.#walWriter = new WalWriter({ store, clock, random, log, objectKeys, settings, cutOff });
    const producedBytes = () => this.#flushMetrics.produced.value;
    this.#walReader = new WalReader({ store, clock, log, metrics, objectKeys, settings, producedBytes });
    this.#remover = new Remover({ store, clock, random, log, metrics, settings });
    this.outages = new StoreOutages({
      metadata: outageLogOf(cluster),
      puts: this.#walWriter.outages,
      reads: this.#walReader.outages,
      removals: this.#remover.outages,
    });
    this.outages.register(metrics);
    this.#reconcileCounters = reconcileCounters(metrics);
    metrics.gauge("kafscale_sessions", "Sessions this process has registered.", () => this.#sessionCount);
    metrics.gauge(
      "kafscale_pending_bytes",
      "Bytes appended and not committed.",
      () => this.#serving?.pendingBytes ?? 0,
    );
    metrics.gauge("kafscale_tail_bytes", "Newest committed bytes kept in RAM.", () => this.#serving?.tailBytes ?? 0);
  }

  /** The log of the session that serves; null before, and between sessions. */
  get serving(): SessionLog | null {
    return this.#serving;
  }

  /** Whether a session serves what it owns. */
  get isServing(): boolean {
    return this.#serving !== null && !this.#serving.session.signal.aborted;
  }

  /** Whether, besides, every shard placed on this broker has been loaded or has failed. */
  get isSettled(): boolean {
    return this.isServing && (this.#keeper?.isSettled ?? false);
  }

  /**
   * Gives every shard to the other brokers, which serve it from then on; before a stop. Resolves when nobody takes any
   * more, at once without a session, with whether there was anybody; rejects when `signal` aborts.
   */
  async drain(signal: AbortSignal): Promise<boolean> {
    const serving = this.#serving;
    const keeper = serving && this.#keeper;
    return keeper ? await keeper.drain(AbortSignal.any([signal, serving.session.signal])) : false;
  }

  /**
   * The log of a partition led here.
   * @throws KafkaError NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR, UNKNOWN_TOPIC_OR_PARTITION
   */
  partition(topicId: TopicId, partition: number): PartitionLog {
    if (this.#serving) return this.#serving.partition(topicId, partition);
    throw new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "this broker has no session that serves");
  }

  /**
   * Resolves when a linearizable read that began after this call has shown the serving session alive.
   * @throws KafkaError NOT_LEADER_OR_FOLLOWER otherwise
   */
  async confirmSession(): Promise<void> {
    const serving = this.#serving;
    if (serving && (await serving.proof.confirm()) && serving === this.#serving) return;
    throw new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "this broker cannot prove that its session lives");
  }

  /**
   * Calls `changed` when a session begins to serve, and when it has loaded more: coordinators then load what they lead.
   */
  onServing(changed: () => void): () => void {
    this.#onServing.add(changed);
    return () => this.#onServing.delete(changed);
  }

  /**
   * Runs session after session until `signal` aborts, then ends the last one in order: flush, checkpoint, deregister.
   * Rejects only with what must end the process: a bug, or a {@link ReplacedError}.
   */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const { served, hasLostStore } = await this.#runSession(signal);
      if (!signal.aborted && this.#sessionCount > 0) await this.#endIfReplaced(signal);
      if (signal.aborted) return;
      failures = served ? 0 : failures + 1;
      const backoffMs = Math.min(REGISTER_BACKOFF_MS_MAX, REGISTER_BACKOFF_MS_FIRST * 2 ** failures);
      const { random } = this.#parts.cluster;
      const spreadMs = hasLostStore ? REJOIN_SPREAD_MS * random.uniform() : 0;
      await sleep(this.#clock, spreadMs + backoffMs * (0.5 + random.uniform()), signal).catch(() => {});
    }
  }

  get #clock() {
    return this.#parts.cluster.clock;
  }

  /** Two processes with one broker id would end each other's sessions for ever: the one that lost its own gives way. */
  async #endIfReplaced(signal: AbortSignal): Promise<void> {
    const { cluster, registration } = this.#parts;
    const rival = await findRivalSession(cluster, registration, { signal }).catch((error: unknown) => {
      if (signal.aborted) return undefined;
      throw error;
    });
    if (rival) throw new ReplacedError(registration, rival);
  }

  /** One session from its registration to its end; how that was. */
  async #runSession(signal: AbortSignal): Promise<SessionLife> {
    const { cluster, registration, onBug } = this.#parts;
    const { log } = cluster;
    let sessionLog: SessionLog;
    try {
      if (this.#sessionCount > 0) await this.#parts.confirmCluster(signal);
      await probeStore(this.#storeProbe(signal));
      const session = await Session.register(cluster, registration, { signal, life: this.#life.signal, onBug });
      this.#sessionCount++;
      sessionLog = this.#newSessionLog(session);
    } catch (error) {
      if (brokenInvariant(error)) throw error;
      if (!signal.aborted) log.warn("no session could be registered", { error });
      return { served: false, hasLostStore: false };
    }
    const served = await this.#serve(sessionLog, signal);
    const hasLostStore = !sessionLog.session.wasProvenAtEnd && this.#hasNeighbours(sessionLog.session);
    this.#serving = null;
    await this.#settle(sessionLog, signal);
    const bug = brokenInvariant(sessionLog.session.signal.reason);
    if (bug) throw bug;
    log.info("session ended", {
      session: sessionLog.session.sessionId,
      reason: String(sessionLog.session.signal.reason),
    });
    return { served, hasLostStore };
  }

  /** Whether shards belong to others: their sessions may be gone, what they owned is not. */
  #hasNeighbours({ sessionId }: Session): boolean {
    return [...this.#parts.feed.current.claims()].some(({ claim }) => claim.sessionId !== sessionId);
  }

  #storeProbe(signal: AbortSignal): StoreProbe {
    const { cluster, registration, store, objectKeys } = this.#parts;
    const key = objectKeys.probe(registration.brokerId);
    return { store, clock: this.#clock, key, random: cluster.random, signal };
  }

  /** Until the end of a session is known. A broker that stops does not wait for long: the lease runs out by itself. */
  async #settle(sessionLog: SessionLog, stop: AbortSignal): Promise<void> {
    let cancel = () => {};
    const onStop = () => {
      cancel = this.#clock.setTimer(DEREGISTRATION_MS, () => {
        const { sessionId } = sessionLog.session;
        this.#parts.cluster.log.warn("the stop leaves its session to the lease", { session: sessionId });
        this.abandon();
      });
    };
    if (stop.aborted) onStop();
    else stop.addEventListener("abort", onStop, { once: true });
    await sessionLog.settle();
    stop.removeEventListener("abort", onStop);
    cancel();
  }

  /** Ends everything without a word, as a crash would: for tests and for a process that exits at once. */
  abandon(): void {
    this.#life.abort(new Error("the broker was abandoned"));
  }

  #newSessionLog(session: Session): SessionLog {
    const { cluster, metrics, feed, store, objectKeys, settings } = this.#parts;
    return new SessionLog(session, {
      clock: cluster.clock,
      log: cluster.log,
      metrics,
      flushMetrics: this.#flushMetrics,
      reconcileCounters: this.#reconcileCounters,
      feed,
      store,
      objectKeys,
      walWriter: this.#walWriter,
      walReader: this.#walReader,
      remover: this.#remover,
      settings,
      readTopicFacts: (signal) => readTopicFacts(cluster, feed, signal),
    });
  }

  #newKeeper(sessionLog: SessionLog, onLoaded: () => void): ShardKeeper {
    const { feed, peers, objectKeys, settings } = this.#parts;
    const { failedShardRetryMs } = settings;
    const load = (sessionId: string, objectKey: string, { signal }: { signal: AbortSignal }) =>
      loadCheckpoint(this.#walReader, objectKeys, { sessionId, objectKey, signal });
    const storeProbe = (signal: AbortSignal) => this.#storeProbe(signal);
    const shared = { sessionLog, feed, peers, cutOff: this.#cutOff };
    return new ShardKeeper({ ...shared, loadCheckpoint: load, storeProbe, failedShardRetryMs, onLoaded });
  }

  #tellServing(): void {
    for (const changed of this.#onServing) changed();
  }

  /** One session to the end of its work; whether it came to serve. */
  async #serve(sessionLog: SessionLog, signal: AbortSignal): Promise<boolean> {
    // From before the claims: a topic that recovery found alive and that is deleted now must not be missed.
    const deletions = this.#followDeletions(sessionLog);
    const unfollow = endWhenFenced(sessionLog.session, this.#parts.feed);
    try {
      const served = await this.#serveUntilEnd(sessionLog, { signal, dropDeleted: deletions.drop });
      if (!sessionLog.session.signal.aborted) await this.#endInOrder(sessionLog);
      return served;
    } finally {
      deletions.end();
      unfollow();
    }
  }

  async #serveUntilEnd(
    sessionLog: SessionLog,
    { signal, dropDeleted }: { readonly signal: AbortSignal; readonly dropDeleted: () => void },
  ): Promise<boolean> {
    const { session } = sessionLog;
    const { log } = this.#parts.cluster;
    const keeper = this.#newKeeper(sessionLog, () => {
      // What was deleted while the shards loaded found nothing to drop.
      dropDeleted();
      // Until the session serves there is nobody to tell.
      if (this.#serving === sessionLog) this.#tellServing();
    });
    try {
      const whileAlive = anySignal(session.signal, signal);
      // Whoever waits until all sessions know a topic has not waited for one that was registered since.
      await readTopicFacts(this.#parts.cluster, this.#parts.feed, whileAlive);
      await keeper.start(whileAlive);
      this.#serving = sessionLog;
      this.#keeper = keeper;
      log.info("session serves", { session: session.sessionId, shards: sessionLog.shards.length });
      this.#tellServing();
      await this.#untilEnd(session, signal);
    } catch (error) {
      if (brokenInvariant(error)) throw error;
      if (!signal.aborted && !session.signal.aborted) {
        log.warn("session gives up", { session: session.sessionId, error });
        session.die(error instanceof Error ? error : String(error));
      }
    }
    this.#keeper = null;
    await keeper.stop();
    return this.#serving === sessionLog;
  }

  /**
   * Drops the logs of topics whose deletion the image shows: it knew them and now does not, which is proof. `drop` is to
   * be called when shards have loaded.
   */
  #followDeletions(sessionLog: SessionLog): { readonly drop: () => void; readonly end: () => void } {
    const gone = new Set<TopicId>();
    let cancelRetry: (() => void) | null = null;
    const drop = () => {
      cancelRetry?.();
      cancelRetry = null;
      // A creation whose copy landed late brings its id back: what is alive now is not gone.
      for (const { topicId } of this.#parts.feed.current.topics()) gone.delete(topicId);
      const remaining = sessionLog.dropDeletedTopics(gone);
      if (remaining > 0) cancelRetry = this.#clock.setTimer(DELETED_TOPIC_RETRY_MS, drop);
    };
    const unsubscribe = this.#parts.feed.subscribe((image, previous) => {
      for (const { topicId } of previous.topics()) if (!image.topicById(topicId)) gone.add(topicId);
      if (gone.size > 0) drop();
    });
    const end = () => {
      unsubscribe();
      cancelRetry?.();
    };
    return { drop, end };
  }

  /** Until the session or the broker ends. */
  #untilEnd(session: Session, stop: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([stop, session.signal]);
    return new Promise((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** Flush what is open, checkpoint, deregister: so that the next start replays nothing. */
  async #endInOrder(sessionLog: SessionLog): Promise<void> {
    const { session } = sessionLog;
    const clock = this.#clock;
    try {
      // A metadata store that is silent for so long will not commit anything of a broker that stops.
      if (!session.isProven()) throw new Error("the metadata store does not answer");
      await withDeadline(clock, LAST_STEPS_MS, "last flush and checkpoint", session.signal, async (signal) => {
        while (!sessionLog.isIdle) await sleep(clock, 5, signal);
        await sessionLog.checkpoint(signal);
      });
    } catch (error) {
      if (brokenInvariant(error)) throw error;
      this.#parts.cluster.log.warn("the last checkpoint was not written", { session: session.sessionId, error });
    }
    session.end("the broker stops");
  }
}
