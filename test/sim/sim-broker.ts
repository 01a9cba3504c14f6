// One broker of a schedule, life after life. A life is a process: it starts, may be paused and woken, and is killed with
// everything it holds; the stores stay. Calls of a dead life that are under way may still be applied.
import { Broker } from "../../src/broker/broker.ts";
import { type BrokerSettings, embeddedBrokerSettings } from "../../src/broker/broker-settings.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import type { Address } from "../../src/host/transport.ts";
import { InvariantError } from "../../src/invariant.ts";
import type { KeyValueStore } from "../../src/kv/key-value-store.ts";
import type { BrokerLog } from "../../src/log/broker-log.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { FaultyKeyValueStore } from "./faulty-key-value-store.ts";
import { FaultyObjectStore } from "./faulty-object-store.ts";
import type { Ledger } from "./ledger.ts";
import type { SimClock, SimNodeClock } from "./sim-clock.ts";
import { SimControl } from "./sim-control.ts";
import { SimLog } from "./sim-log.ts";
import type { SimRandom } from "./sim-random.ts";
import type { SimNetwork, SimTransport } from "./sim-transport.ts";
import { WitnessedKeyValueStore, WitnessedObjectStore } from "./store-observers.ts";
import { SIM_CLUSTER, type StoreOracle } from "./store-oracle.ts";
import type { Swarm } from "./swarm.ts";
import type { Trace } from "./trace.ts";

/** What the lives of a broker share. */
export interface BrokerWorld {
  readonly clock: SimClock;
  readonly network: SimNetwork;
  readonly random: SimRandom;
  readonly ledger: Ledger;
  readonly trace: Trace;
  readonly oracle: StoreOracle;
  readonly kv: KeyValueStore;
  readonly store: ObjectStore;
  readonly swarm: Swarm;
  /** Every process so far, by its host name. */
  readonly processes: Map<string, BrokerLife>;
  /** Whether calls and connections still meet faults. */
  hasFaults(): boolean;
  /** Called in the step in which a session of `life` begins to serve. */
  onServing(life: BrokerLife): void;
}

const KAFKA_PORT = 9092;
/** One way to a store without faults. */
const NEAR_MS: readonly [number, number] = [0.5, 5];
/** How long a process takes to be started again. */
const RESTART_MS = 400;
/** How long a process that was told to stop is waited for before it is killed. */
const STOP_PATIENCE_MS = 28_000;

/** One process. */
export class BrokerLife {
  /** Its host as well: each process has its own. */
  readonly name: string;
  readonly brokerId: number;
  readonly clock: SimNodeClock;
  readonly kv: FaultyKeyValueStore;
  readonly store: FaultyObjectStore;
  readonly metrics = new UnexportedMetrics();
  /** Ways of the present moment; a healed store is near. */
  readonly #storeLatencyMs: [number, number];
  readonly #world: BrokerWorld;
  readonly #transport: SimTransport;
  readonly #random: SimRandom;
  broker: Broker | undefined;
  isPaused = false;
  /** Its machine is gone: nobody there refuses a connection. */
  isSilent = false;
  /** Resolves when the process is killed. */
  readonly died: Promise<void>;
  #tellDeath: () => void = () => {};
  /** What SIGTERM aborts while the broker starts. */
  readonly #stopped = new AbortController();
  /** Settles when the start has come to its end. */
  #started: Promise<void> = Promise.resolve();

  constructor(world: BrokerWorld, brokerId: number, number: number) {
    this.#world = world;
    this.brokerId = brokerId;
    this.name = world.swarm.brokerCount === 1 ? `broker-${number}` : `broker-${brokerId}.${number}`;
    this.died = new Promise((resolve) => {
      this.#tellDeath = resolve;
    });
    world.processes.set(this.name, this);
    this.clock = world.clock.node();
    this.#random = world.random.split(this.name);
    this.#transport = world.network.transport(this.name, this.clock);
    const { swarm, ledger, trace, oracle } = world;
    const shared = { world: world.clock, node: this.clock, lateMs: swarm.lateMs, trace: this.#traced(trace) };
    const hasFaults = world.hasFaults();
    this.#storeLatencyMs = hasFaults ? [...swarm.storeLatencyMs] : [...NEAR_MS];
    this.kv = new FaultyKeyValueStore(new WitnessedKeyValueStore(world.kv, oracle, this.name), {
      ...shared,
      random: this.#random.split("kv"),
      latencyMs: swarm.kvLatencyMs,
      rates: hasFaults ? swarm.kvRates : {},
      watchBreakRate: hasFaults ? swarm.watchBreakRate : 0,
      watchLag: hasFaults ? swarm.watchLag : undefined,
    });
    this.store = new FaultyObjectStore(new WitnessedObjectStore(world.store, oracle, this.name), {
      ...shared,
      random: this.#random.split("store"),
      latencyMs: this.#storeLatencyMs,
      rates: hasFaults ? swarm.storeRates : {},
    });
    ledger.count("lives");
  }

  #traced(trace: Trace): (line: string) => void {
    return (line) => trace.note(`${this.name} ${line}`);
  }

  get address(): Address {
    return { host: this.name, port: KAFKA_PORT };
  }

  /** The partition logs, once the broker has begun to serve. */
  get brokerLog(): BrokerLog | undefined {
    return this.broker?.brokerLog;
  }

  /** Starts the process; `ended` is called when it ends by itself. */
  start(ended: (why: unknown) => void): void {
    const { ledger, trace } = this.#world;
    const settings = this.#settings();
    const isStoreAnsweringOthers = (withinMs: number) => this.#isStoreAnsweringOthers(withinMs);
    const isFenced = () => this.#world.oracle.isFenced(this.name);
    const log = new SimLog({ ledger, trace, isStoreAnsweringOthers, isFenced }, this.name);
    const components = {
      clock: this.clock,
      random: this.#random,
      log,
      metrics: this.metrics,
      transport: this.#transport,
      store: this.store,
      kv: this.kv,
      control: new SimControl(this.#transport),
    };
    const fail = (error: unknown) => {
      if (this.clock.isDead || error === this.#stopped.signal.reason) return;
      const bug = causeOf(error, InvariantError);
      if (bug) ledger.fail("assertions of the broker hold", `${this.name}: ${bug.message}`);
      ended(error);
    };
    this.#started = Broker.start(settings, components, { signal: this.#stopped.signal }).then((broker) => {
      if (this.clock.isDead) return;
      this.broker = broker;
      this.#world.onServing(this);
      broker.brokerLog.onServing(() => this.#world.onServing(this));
      broker.failed.catch(fail);
    }, fail);
  }

  #isStoreAnsweringOthers(withinMs: number): boolean {
    const sinceMs = this.#world.clock.monotonicMs() - withinMs;
    return [...this.#world.processes.values()].some(
      (life) => life.brokerId !== this.brokerId && life.store.calls.answeredMs >= sinceMs,
    );
  }

  /** Ends in order, as on SIGTERM, also in the middle of the start. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error(`${this.name} is told to stop`));
    await this.#started;
    await this.broker?.stop();
  }

  /** Ends everything of this life at once. */
  kill(isSilent: boolean): void {
    this.#world.trace.note(`${this.name} is killed`);
    this.isPaused = false;
    this.isSilent = isSilent;
    this.clock.kill();
    this.#tellDeath();
    this.#world.network.kill(this.#transport, { isSilent });
  }

  pause(): void {
    this.#world.trace.note(`${this.name} is paused`);
    this.isPaused = true;
    this.clock.pause();
  }

  resume(): void {
    this.#world.trace.note(`${this.name} goes on`);
    this.isPaused = false;
    this.clock.resume();
  }

  /** No call meets a fault any more. */
  heal(): void {
    [this.#storeLatencyMs[0], this.#storeLatencyMs[1]] = NEAR_MS;
    this.kv.calls.rates = {};
    this.kv.watchBreakRate = 0;
    this.kv.watchLag = undefined;
    this.store.calls.rates = {};
  }

  #settings(): BrokerSettings {
    const { broker } = this.#world.swarm;
    const { log, group, kafka } = embeddedBrokerSettings;
    return {
      ...embeddedBrokerSettings,
      clusterName: SIM_CLUSTER,
      brokerId: this.brokerId,
      listener: this.address,
      advertised: this.address,
      kafka: { ...kafka, isAutoCreateEnabled: false },
      group: { ...group, offsetsPartitionCount: broker.offsetsPartitionCount, initialRebalanceDelayMs: 300 },
      log: { ...log, ...broker },
    };
  }
}

/** Keeps one life after the other going. */
export class SimBroker {
  readonly brokerId: number;
  readonly #world: BrokerWorld;
  readonly #lives: BrokerLife[] = [];
  /** Lives that were taken over while they were paused. */
  readonly zombies = new Set<BrokerLife>();
  /** It has left, or has not come yet: no process is started for it. */
  #isAway = true;

  constructor(world: BrokerWorld, brokerId: number) {
    this.#world = world;
    this.brokerId = brokerId;
  }

  /** The last life that clients talk to, alive or dead; undefined before the first. */
  get current(): BrokerLife | undefined {
    return this.#lives.at(-1);
  }

  get isAway(): boolean {
    return this.#isAway;
  }

  /** The life that runs, also while it is paused. */
  get running(): BrokerLife | undefined {
    const { current } = this;
    return current?.clock.isDead ? undefined : current;
  }

  /** Starts the first process, or one again after {@link leave}. */
  join(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#next();
  }

  #next(): BrokerLife {
    const life = new BrokerLife(this.#world, this.brokerId, this.#lives.length + 1);
    this.#lives.push(life);
    life.start((why) => this.#ended(life, why));
    return life;
  }

  /** A process ended by itself: it is started again, as an operator or a pod would. */
  #ended(life: BrokerLife, why: unknown): void {
    this.#world.ledger.count("process ended by itself");
    this.#world.trace.note(`${life.name} ended: ${why instanceof Error ? why.message : String(why)}`);
    life.kill(false);
    if (this.current === life) this.#replaceLater(life);
  }

  #replaceLater(life: BrokerLife): void {
    this.#world.clock.setTimer(RESTART_MS, () => {
      if (this.current === life && !this.#isAway) this.#next();
    });
  }

  /** kill -9, and a new process a moment later. */
  crash(isSilent: boolean): void {
    const life = this.current;
    if (!life) return;
    this.#world.ledger.count("crashes");
    life.kill(isSilent);
    this.#replaceLater(life);
  }

  /** The process has ended in order, and a new one starts. */
  restart(): void {
    this.current?.kill(false);
    this.#isAway = false;
    this.#next();
  }

  /**
   * SIGTERM, and no new process. Resolves when the old one has ended: in order, killed after the patience of an operator,
   * or by a fault that struck meanwhile.
   */
  async leave(): Promise<void> {
    const life = this.running;
    if (!life || this.#isAway) return;
    this.#isAway = true;
    const { ledger, clock, trace } = this.#world;
    trace.note(`${life.name} is told to stop`);
    const stopped = life.stop().then(
      () => ledger.count("orderly stops"),
      (error: unknown) => ledger.fail("a broker stops in order", `${life.name}: ${String(error)}`),
    );
    const patience = new Promise<void>((resolve) => {
      clock.setTimer(STOP_PATIENCE_MS, resolve);
    });
    await Promise.race([stopped, life.died, patience]);
    if (!life.clock.isDead) life.kill(false);
  }

  /** Nothing of any life happens any more; the faults that were dealt are counted. */
  end(): void {
    for (const { kv, store } of this.#lives) {
      for (const [name, { calls }] of Object.entries({ kv, store })) {
        for (const [fault, count] of Object.entries(calls.counts)) {
          if (count > 0) this.#world.ledger.count(`${name} calls: ${fault}`, count);
        }
      }
      if (kv.watchBreakCount > 0) this.#world.ledger.count("watches broken", kv.watchBreakCount);
    }
    this.#isAway = true;
    this.current?.kill(true);
    for (const zombie of [...this.zombies]) this.bury(zombie);
  }

  /** The current life is paused, and another process takes its place. */
  takeOver(): BrokerLife | undefined {
    const zombie = this.running;
    if (!zombie) return undefined;
    this.#world.ledger.count("takeovers");
    if (!zombie.isPaused) zombie.pause();
    this.zombies.add(zombie);
    this.#next();
    return zombie;
  }

  /** Ends a life that was taken over. */
  bury(zombie: BrokerLife): void {
    zombie.kill(false);
    this.zombies.delete(zombie);
  }

  /** Ends all faults of calls, wakes who sleeps, buries the zombies. */
  heal(): void {
    const { current } = this;
    current?.heal();
    if (current?.isPaused) current.resume();
    for (const zombie of [...this.zombies]) this.bury(zombie);
  }
}

function causeOf<T extends Error>(error: unknown, type: abstract new (...args: never[]) => T): T | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof type) return at;
  return undefined;
}
