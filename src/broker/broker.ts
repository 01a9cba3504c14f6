// One broker: its parts put together, started in order and stopped in the reverse one. Knows no adapter and no process:
// a simulation starts the same thing on virtual parts.
import type { ClusterComponents } from "../cluster/cluster-components.ts";
import { ImageBarrier } from "../cluster/image-barrier.ts";
import { ImageCatchUp } from "../cluster/image-catch-up.ts";
import { ImageFeed } from "../cluster/image-feed.ts";
import { ClusterKeys } from "../cluster/keys.ts";
import { PeerWatch } from "../cluster/peer-watch.ts";
import { ProducerIds } from "../cluster/producer-ids.ts";
import type { Registration } from "../cluster/session.ts";
import { Topics, type TopicsOptions } from "../cluster/topics.ts";
import type { ControlPlane } from "../control/control-plane.ts";
import { ControlService } from "../control/control-service.ts";
import { GroupCoordinator } from "../group/group-coordinator.ts";
import { longLivedController } from "../host/abort.ts";
import { ByteBudget } from "../host/byte-budget.ts";
import { type Clock, sleep, withDeadline } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Metrics } from "../host/metrics.ts";
import type { Random } from "../host/random.ts";
import { TaskGroup } from "../host/tasks.ts";
import type { Address, Transport } from "../host/transport.ts";
import { brokenInvariant } from "../invariant.ts";
import type { Peer } from "../kafka/connection.ts";
import { Dispatcher } from "../kafka/dispatch.ts";
import { FetchSessions } from "../kafka/fetch-sessions.ts";
import { handlers } from "../kafka/handlers.ts";
import { KafkaServer } from "../kafka/server.ts";
import { supportedApisOf } from "../kafka/supported-apis.ts";
import type { KeyValueStore } from "../kv/key-value-store.ts";
import { BrokerLog } from "../log/broker-log.ts";
import { StoreReach } from "../log/store-reach.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { ObjectKeys } from "../objects/object-keys.ts";
import type { BrokerSettings } from "./broker-settings.ts";
import { type ClusterGuardParts, ClusterMismatchError, guardCluster, noteRevisions } from "./cluster-guard.ts";

/** Injected parts of a broker. */
export interface BrokerComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly transport: Transport;
  readonly store: ObjectStore;
  readonly kv: KeyValueStore;
  /** Calls between brokers. Without it the broker has to be the only one. */
  readonly control?: ControlPlane;
}

/** A running broker. */
export class Broker {
  readonly #settings: BrokerSettings;
  readonly #components: BrokerComponents;
  readonly #cluster: ClusterComponents;
  readonly #tasks: TaskGroup;
  /** Ends sessions in order; aborts first when the broker stops. */
  readonly #logLife = longLivedController();
  /** Aborts with the reason when the broker cannot go on. */
  readonly #whole = longLivedController();
  #fail: (error: unknown) => void = () => {};
  /** Rejects when the broker cannot go on: a bug or a broken store. The process has to end. Never resolves. */
  readonly failed: Promise<never>;
  #server: KafkaServer | null = null;
  #brokerLog: BrokerLog | null = null;
  #groups: GroupCoordinator | null = null;
  /** The run of the log's sessions; ends after the last one's orderly end. */
  #sessions: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | null = null;

  private constructor(settings: BrokerSettings, components: BrokerComponents) {
    this.#settings = settings;
    this.#components = components;
    const { kv, clock, random, log } = components;
    this.#cluster = { kv, clock, random, log, keys: new ClusterKeys(settings.clusterName) };
    this.failed = new Promise<never>((_, reject) => {
      this.#fail = (error) => {
        // Nothing more may be written or answered from a state that may be wrong.
        if (brokenInvariant(error)) this.abandon();
        this.#whole.abort(error);
        reject(error);
      };
    });
    // Whoever waits for `failed` sees the rejection; that nobody does yet is no error.
    this.failed.catch(() => {});
    this.#tasks = new TaskGroup(log, (name, error) => this.#fail(new Error(`${name} failed`, { cause: error })));
  }

  /**
   * Starts a broker; resolves when it serves. Rejects with the reason when it cannot or when `signal` aborts, leaving
   * nothing behind.
   */
  static async start(
    settings: BrokerSettings,
    components: BrokerComponents,
    options: { readonly signal: AbortSignal },
  ): Promise<Broker> {
    const broker = new Broker(settings, components);
    try {
      await broker.#start(AbortSignal.any([options.signal, broker.#whole.signal]));
    } catch (error) {
      await broker.stop();
      throw error;
    }
    return broker;
  }

  /** The bound address of the Kafka listener. */
  get address(): Address {
    if (!this.#server) throw new Error("the broker does not listen");
    return this.#server.address;
  }

  /** Whether every partition placed on this broker is served: what a readiness probe asks. */
  get isReady(): boolean {
    return this.#brokerLog?.isSettled ?? false;
  }

  /** What its stores fail at now, a clause each; nothing where all answer. */
  get outages(): readonly string[] {
    return this.#brokerLog?.outages.reasons() ?? [];
  }

  /** The partition logs, for tools and tests of this process. */
  get brokerLog(): BrokerLog {
    if (!this.#brokerLog) throw new Error("the broker has not started");
    return this.#brokerLog;
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { log, metrics, store } = this.#components;
    const cluster = this.#cluster;
    const objectKeys = new ObjectKeys(this.#settings.objectPrefix ?? this.#settings.clusterName);
    const guarded = { cluster, store, objectKeys };
    const { clusterId, revision } = await guardCluster({ ...guarded, signal });
    const feed = new ImageFeed(cluster, { clusterId, onFailure: (error) => this.#fail(error) });
    await aborted(feed.start({ signal: this.#tasks.signal }), signal);
    // Bound before the registration, which names the port. Requests wait until the recovery is done.
    let startDispatch: (dispatcher: Dispatcher) => void = () => {};
    const dispatcher = new Promise<Dispatcher>((resolve) => {
      startDispatch = resolve;
    });
    const server = await this.#listen(dispatcher);
    this.#server = server;
    signal.throwIfAborted();
    const reach = this.#storeReach(objectKeys);
    const registration = await this.#registration(server.address, feed, reach);
    const settings = this.#settings.log;
    const onBug = (error: unknown) => this.#onBug(error);
    const peers = this.#components.control?.peers;
    const confirmCluster = (attempt: AbortSignal) => this.#confirmCluster({ ...guarded, signal: attempt });
    this.#tasks.spawn("revision in the bucket", (alive) => noteRevisions({ ...guarded, signal: alive }, revision));
    const brokerLog = new BrokerLog({
      cluster,
      feed,
      store: reach,
      objectKeys,
      metrics,
      settings,
      registration,
      peers,
      onBug,
      confirmCluster,
    });
    this.#brokerLog = brokerLog;
    const served = new Promise<void>((resolve) => {
      brokerLog.onServing(resolve);
    });
    this.#sessions = brokerLog.run(this.#logLife.signal).catch((error: unknown) => this.#fail(error));
    await aborted(served, signal);
    startDispatch(this.#newDispatcher(feed, brokerLog, registration.process));
    log.info("broker serves", { broker: this.#settings.brokerId, ...server.address, cluster: clusterId });
  }

  /** Before each further session: what was restored from a backup meanwhile must not be written to. */
  async #confirmCluster(parts: ClusterGuardParts): Promise<void> {
    try {
      await guardCluster(parts);
    } catch (error) {
      if (error instanceof ClusterMismatchError) this.#fail(error);
      throw error;
    }
  }

  /** What answers requests, with the coordinators that stand on the log. */
  #newDispatcher(feed: ImageFeed, brokerLog: BrokerLog, process: string): Dispatcher {
    const { clock, random, log, metrics } = this.#components;
    const { kafka, group, brokerId } = this.#settings;
    const shared = { clock, random, log, metrics, brokerId, brokerLog };
    const catchUp = new ImageCatchUp(this.#cluster, feed);
    const topics = new Topics(this.#cluster, feed, this.#joinPeers(feed, process));
    const onBug = (error: unknown) => this.#onBug(error);
    const groups = new GroupCoordinator({ ...shared, settings: group, feed, topics, onBug });
    this.#groups = groups;
    return new Dispatcher(handlers, {
      ...shared,
      settings: kafka,
      image: () => feed.current,
      topics,
      catchUp,
      producerIds: new ProducerIds(this.#cluster, { signal: this.#tasks.signal }),
      groups,
      fetchSessions: new FetchSessions(this.#components, kafka),
      supportedApis: supportedApisOf(handlers),
    });
  }

  #listen(dispatcher: Promise<Dispatcher>): Promise<KafkaServer> {
    const { transport, clock, log, metrics } = this.#components;
    const { kafka, requestBudgetBytes, listener } = this.#settings;
    const budget = new ByteBudget(requestBudgetBytes);
    let ready: Dispatcher | null = null;
    void dispatcher.then((made) => {
      ready = made;
    });
    const parts = {
      transport,
      clock,
      log,
      metrics,
      settings: kafka,
      budget,
      // Not through the promise once it is there: a request has to start in the very call that brings it.
      start: (frame: Uint8Array, peer: Peer) =>
        ready ? ready.start(frame, peer) : dispatcher.then((made) => made.start(frame, peer)),
      onBug: (error: unknown) => this.#onBug(error),
    };
    return KafkaServer.listen(parts, listener);
  }

  /** A broken invariant means that state may be wrong: the process ends. Any other bug cost one connection. */
  #onBug(error: unknown): void {
    if (brokenInvariant(error)) this.#fail(error);
  }

  #storeReach(objectKeys: ObjectKeys): StoreReach {
    const { store, clock, random } = this.#components;
    const key = objectKeys.reach(this.#settings.brokerId);
    return new StoreReach({ store, clock, random, key, signal: this.#tasks.signal });
  }

  /** What the sessions say of this process. The calls of other brokers are answered from here on. */
  async #registration(bound: Address, feed: ImageFeed, reach: StoreReach): Promise<Registration> {
    const { brokerId, advertised, rack, version } = this.#settings;
    const { control, clock, random } = this.#components;
    const process = Buffer.from(random.bytes(8)).toString("hex");
    const isStoreAnswering = () => reach.isAnswering();
    const reached = await control?.listen(new ControlService({ process, feed, clock, isStoreAnswering }));
    const { host: controlHost, port: controlPort } = reached ?? { host: "", port: 0 };
    const port = advertised.port || bound.port;
    return { brokerId, process, host: advertised.host, port, controlHost, controlPort, rack, version };
  }

  /** Begins to watch the neighbours; gives what makes a change of topics wait for all brokers. */
  #joinPeers(feed: ImageFeed, process: string): TopicsOptions {
    const { control } = this.#components;
    const { brokerId, kafka } = this.#settings;
    if (!control) return { limits: kafka };
    const { peers } = control;
    const cluster = this.#cluster;
    const watch = new PeerWatch({ cluster, feed, peers, brokerId });
    this.#tasks.spawn("watch of peers", (signal) => watch.run(signal));
    return { limits: kafka, barrier: new ImageBarrier({ cluster, feed, peers, process }) };
  }

  /**
   * Stops in order: shards to the other brokers, no new connections, the answers under way, the groups, then flush,
   * checkpoint and deregistration. Ends within `drainTimeoutMs`, `drainNoticeMs`, `stopGraceMs` and `stopTimeoutMs`
   * together, whatever the stores do. Repeating it waits for the same stop.
   * Rejects with the broken invariant if one ended the broker meanwhile.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { log, clock } = this.#components;
    log.info("broker stops", { broker: this.#settings.brokerId });
    await this.#drain();
    // Requests of a broker that never served have nobody who would answer them.
    await this.#server?.close(this.#groups ? this.#settings.stopGraceMs : 0);
    this.#groups?.close();
    this.#logLife.abort(new Error("the broker stops"));
    // A store that answers no more must not keep the process: what is committed is safe without this stop's last steps.
    const cancel = clock.setTimer(this.#settings.stopTimeoutMs, () => {
      log.warn("the stop takes too long, leaving without it", { broker: this.#settings.brokerId });
      this.#brokerLog?.abandon();
    });
    await this.#sessions;
    cancel();
    await this.#tasks.stop();
    const bug = brokenInvariant(this.#whole.signal.reason);
    if (bug) throw bug;
  }

  /** Lets the other brokers take the shards while clients are still served here, and are told who leads. */
  async #drain(): Promise<void> {
    const { log, clock } = this.#components;
    const { brokerId, drainTimeoutMs, drainNoticeMs } = this.#settings;
    if (!this.#brokerLog?.isServing) return;
    try {
      const brokerLog = this.#brokerLog;
      const { signal } = this.#tasks;
      const isTaken = await withDeadline(clock, drainTimeoutMs, "drain", signal, (call) => brokerLog.drain(call));
      // Clients of the last shards are still told here who leads now, instead of finding a closed port.
      if (isTaken) await sleep(clock, drainNoticeMs, signal);
    } catch (error) {
      log.warn("not every shard was handed over, the other brokers claim the rest", { broker: brokerId, error });
    }
  }

  /** Ends everything at once and without a word, as a crash does. For simulations and for a process that must exit. */
  abandon(): void {
    this.#stopping ??= Promise.resolve();
    this.#brokerLog?.abandon();
    this.#groups?.close();
    this.#logLife.abort(new Error("the broker was abandoned"));
    this.#tasks.abort();
    void this.#server?.close(0);
  }
}

/** Rejects as soon as `signal` aborts. */
function aborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}
