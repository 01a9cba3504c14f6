// The broker of a schedule, life after life. A life is a process: it starts, may be paused and woken, and is killed with
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

/** One process. */
export class BrokerLife {
  readonly name: string;
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
  /** What SIGTERM aborts while the broker starts. */
  readonly #stopped = new AbortController();
  /** Settles when the start has come to its end. */
  #started: Promise<void> = Promise.resolve();

  constructor(world: BrokerWorld, number: number) {
    this.#world = world;
    this.name = `broker-${number}`;
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
    const { ledger } = this.#world;
    const settings = this.#settings();
    const log = new SimLog(this.#world, this.name);
    const components = {
      clock: this.clock,
      random: this.#random,
      log,
      metrics: this.metrics,
      transport: this.#transport,
      store: this.store,
      kv: this.kv,
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

  /** Ends in order, as on SIGTERM, also in the middle of the start. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error(`${this.name} is told to stop`));
    await this.#started;
    await this.broker?.stop();
  }

  /** Ends everything of this life at once. */
  kill(isSilent: boolean): void {
    this.#world.trace.note(`${this.name} is killed`);
    this.clock.kill();
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
    this.store.calls.rates = {};
  }

  #settings(): BrokerSettings {
    const { broker } = this.#world.swarm;
    const { log, group, kafka } = embeddedBrokerSettings;
    return {
      ...embeddedBrokerSettings,
      clusterName: SIM_CLUSTER,
      brokerId: 1,
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
  readonly #world: BrokerWorld;
  readonly #lives: BrokerLife[] = [];
  /** The life that clients talk to. */
  current: BrokerLife;
  /** Lives that were taken over while they were paused. */
  readonly zombies = new Set<BrokerLife>();

  constructor(world: BrokerWorld) {
    this.#world = world;
    this.current = this.#next();
  }

  #next(): BrokerLife {
    const life = new BrokerLife(this.#world, this.#lives.length + 1);
    this.#lives.push(life);
    life.start((why) => this.#ended(life, why));
    return life;
  }

  /** A process ended by itself: it is started again, as an operator or a pod would. */
  #ended(life: BrokerLife, why: unknown): void {
    this.#world.ledger.count("process ended by itself");
    this.#world.trace.note(`${life.name} ended: ${why instanceof Error ? why.message : String(why)}`);
    life.kill(false);
    if (this.current === life) this.#world.clock.setTimer(RESTART_MS, () => this.#replace(life));
  }

  #replace(life: BrokerLife): void {
    if (this.current === life) this.current = this.#next();
  }

  /** kill -9, and a new process a moment later. */
  crash(isSilent: boolean): void {
    this.#world.ledger.count("crashes");
    const life = this.current;
    life.kill(isSilent);
    this.#world.clock.setTimer(RESTART_MS, () => this.#replace(life));
  }

  /** The process has ended in order, and a new one starts. */
  restart(): void {
    const life = this.current;
    life.kill(false);
    this.#replace(life);
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
    this.current.kill(true);
    for (const zombie of [...this.zombies]) this.bury(zombie);
  }

  /** The current life is paused, and another process takes its place. */
  takeOver(): BrokerLife {
    this.#world.ledger.count("takeovers");
    const zombie = this.current;
    if (!zombie.isPaused) zombie.pause();
    this.zombies.add(zombie);
    this.current = this.#next();
    return zombie;
  }

  /** Ends a life that was taken over. */
  bury(zombie: BrokerLife): void {
    zombie.kill(false);
    this.zombies.delete(zombie);
  }

  /** Ends all faults of calls, wakes who sleeps, buries the zombies. */
  heal(): void {
    this.current.heal();
    if (this.current.isPaused) this.current.resume();
    for (const zombie of [...this.zombies]) this.bury(zombie);
  }
}

function causeOf<T extends Error>(error: unknown, type: abstract new (...args: never[]) => T): T | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof type) return at;
  return undefined;
}
