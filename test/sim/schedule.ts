// One schedule: brokers and their clients under a seed, first with faults, then without, when everything has to converge.
// The same seed gives the same schedule, event for event.

import { placement } from "../../src/cluster/placement.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { brief, isBrief, withChunks } from "./brief.ts";
import { CheckpointOracle } from "./checkpoint-oracle.ts";
import type { ClientWorld } from "./client-world.ts";
import { startClients } from "./clients.ts";
import { Environment } from "./environment.ts";
import { GroupOracle } from "./group-oracle.ts";
import { type Counts, Ledger, type Violation } from "./ledger.ts";
import { RemovalOracle } from "./removal-oracle.ts";
import { inSealedWorld } from "./sealed-world.ts";
import type { BrokerLife, BrokerWorld } from "./sim-broker.ts";
import { SimClock } from "./sim-clock.ts";
import { SimCluster } from "./sim-cluster.ts";
import { SimRandom } from "./sim-random.ts";
import { SimNetwork } from "./sim-transport.ts";
import { isVerified, SimVerifier } from "./sim-verifier.ts";
import { StateCheck } from "./state-check.ts";
import { StoreOracle } from "./store-oracle.ts";
import { drawSwarm, type Swarm } from "./swarm.ts";
import { Trace } from "./trace.ts";

/** What one schedule found. */
export interface ScheduleReport {
  readonly seed: string;
  readonly virtualMs: number;
  readonly eventCount: number;
  /** Equal for equal seeds. */
  readonly traceHash: string;
  /** Over the changes of the stores alone: equal also where only wall clocks differ. */
  readonly decisionHash: string;
  readonly violations: readonly Violation[];
  readonly evaluations: Counts;
  readonly events: Counts;
}

/** How a schedule is run. */
export interface ScheduleOptions {
  /** Gets every line of the trace. */
  readonly onLine?: (line: string) => void;
  /** Changes what the seed drew: for shrinking, and for seeing what a fault does. */
  readonly adjust?: (swarm: Swarm) => Swarm;
}

/** Once faults are over everything is done within this virtual time. */
const CONVERGENCE_MS = 60_000;
/** Within this time after that nothing stands but what is needed, looked at once in a while. */
const TIDY_MS = 60_000;
const TIDY_LOOK_MS = 500;
/** Bounds are checked after every so many events. */
const EVENTS_PER_CHECK = 8;
const ORDERLY_STOP_MS = 60_000;
/** Answers of calls that were given up, and reads of extents, which nobody's end cuts short: three attempts of 10 s. */
const ANSWERS_UNDER_WAY_MS = 31_000;
/** More than any schedule needs: past it something spins. */
const EVENTS_MAX = 500_000;

/** Runs the schedule of a seed; a brief one by its name. Never rejects: what is thrown in the simulated world is a violation. */
export function runSchedule(seed: string, options: ScheduleOptions = {}): Promise<ScheduleReport> {
  return inSealedWorld(() => new Schedule(seed, options).run());
}

class Schedule {
  readonly #seed: string;
  readonly #clock: SimClock;
  readonly #ledger: Ledger;
  readonly #trace: Trace;
  readonly #kv: MemoryKeyValueStore;
  readonly #oracle: StoreOracle;
  readonly #groups: GroupOracle;
  readonly #removals: RemovalOracle;
  readonly #state: StateCheck;
  readonly #world: BrokerWorld;
  readonly #cluster: SimCluster;
  readonly #verifier: SimVerifier | undefined;
  readonly #over = new AbortController();
  readonly #watchOver = new AbortController();
  #hasFaults = true;
  #eventCount = 0;

  constructor(seed: string, options: ScheduleOptions) {
    this.#seed = seed;
    const random = new SimRandom(seed);
    const long = drawSwarm(random.split("swarm"));
    const drawn = isBrief(seed) ? withChunks(brief(long), random.split("chunked reads")) : long;
    const swarm = options.adjust?.(drawn) ?? drawn;
    const clock = new SimClock({ seed });
    this.#clock = clock;
    const nowMs = () => clock.monotonicMs();
    this.#ledger = new Ledger(nowMs);
    this.#trace = new Trace(nowMs, options.onLine);
    this.#kv = new MemoryKeyValueStore({ clock });
    this.#groups = new GroupOracle(this.#ledger);
    this.#oracle = new StoreOracle(this.#ledger, this.#trace, this.#groups);
    const checkpoints = new CheckpointOracle(this.#ledger, this.#oracle);
    this.#removals = new RemovalOracle(this.#ledger, this.#oracle, checkpoints);
    this.#oracle.checkpoints = checkpoints;
    this.#oracle.removals = this.#removals;
    this.#state = new StateCheck(this.#ledger, this.#oracle);
    void this.#follow();
    const network = new SimNetwork({ world: clock, random: random.split("network"), resetRate: swarm.resetRate });
    this.#world = {
      clock,
      network,
      random,
      ledger: this.#ledger,
      trace: this.#trace,
      oracle: this.#oracle,
      kv: this.#kv,
      store: new MemoryObjectStore(),
      swarm,
      processes: new Map(),
      hasFaults: () => this.#hasFaults,
      // One that was taken over while it recovered has what was committed before, and is refused whatever it does.
      onServing: (life) => {
        const isZombie = this.#cluster.brokers.some(({ zombies }) => zombies.has(life));
        if (!isZombie) this.#state.onServing(life);
      },
    };
    this.#cluster = new SimCluster(this.#world);
    this.#verifier = isVerified(seed) ? new SimVerifier(this.#world, this.#removals) : undefined;
  }

  /** Tells the oracle of every revision. */
  async #follow(): Promise<void> {
    const { signal } = this.#watchOver;
    try {
      for await (const change of this.#kv.watch("", { signal, fromRevision: 1 })) this.#oracle.onChange(change);
    } catch (error) {
      if (!signal.aborted) this.#ledger.fail("the oracle follows the store", String(error));
    }
  }

  async run(): Promise<ScheduleReport> {
    const onRejection = (error: unknown) => this.#ledger.fail("no failure is lost", textOf(error));
    process.on("unhandledRejection", onRejection);
    try {
      await this.#runPhases();
    } catch (error) {
      this.#ledger.fail("nothing is thrown into the void", textOf(error));
    } finally {
      process.off("unhandledRejection", onRejection);
    }
    this.#over.abort(new Error("the schedule is over"));
    this.#watchOver.abort(new Error("the schedule is over"));
    this.#cluster.end();
    return this.#report();
  }

  async #runPhases(): Promise<void> {
    const { swarm } = this.#world;
    const clients = startClients(this.#clientWorld());
    const onZombie = ({ address }: BrokerLife) => clients.askZombie(address);
    const environment = new Environment(this.#world, this.#cluster, { kv: this.#kv, onZombie });
    environment.start();
    this.#verifier?.start();
    await this.#runUntil(swarm.faultPhaseMs, () => this.#ledger.violations.length > 0);
    if (this.#ledger.violations.length === 0) {
      this.#hasFaults = false;
      await environment.stop();
      const isAllDone = () => clients.isDone() && environment.isSettled && this.#misplaced().next().done === true;
      const isDone = await this.#runUntil(CONVERGENCE_MS, () => isAllDone() || this.#ledger.violations.length > 0);
      this.#ledger.check("once faults are over everything is acknowledged and read", isDone, () => clients.backlog());
      this.#ledger.check("once faults are over every shard is where it is placed", isDone, () => {
        return `misplaced: ${[...this.#misplaced()].join(", ")}; settled: ${environment.isSettled}`;
      });
      this.#over.abort(new Error("the schedule is over"));
      if (this.#ledger.violations.length === 0) await this.#untilTidy();
      await this.#verifier?.stop();
      if (this.#ledger.violations.length === 0) await this.#stopInOrder();
    }
  }

  /** Everything that nobody needs goes by itself. */
  async #untilTidy(): Promise<void> {
    let strays = this.#removals.strays();
    const lastMs = this.#clock.monotonicMs() + TIDY_MS;
    while (strays.length > 0 && this.#clock.monotonicMs() < lastMs) {
      await this.#runUntil(TIDY_LOOK_MS, () => this.#ledger.violations.length > 0);
      strays = this.#removals.strays();
    }
    this.#ledger.check("once faults are over nothing stands but what is needed", strays.length === 0, () => {
      return `${strays.length} strays: ${strays.slice(0, 5).join(", ")}`;
    });
  }

  /** Runs for `durationMs`, or until `isDone`; whether it came to hold. */
  #runUntil(durationMs: number, isDone: () => boolean): Promise<boolean> {
    const until = () => {
      if (++this.#eventCount % EVENTS_PER_CHECK === 0) this.#state.checkBounds();
      return isDone();
    };
    return this.#clock.run({ untilMs: this.#clock.monotonicMs() + durationMs, until, eventsMax: EVENTS_MAX });
  }

  #clientWorld(): ClientWorld {
    const { clock, network, random, ledger, trace, oracle, swarm } = this.#world;
    return {
      clock,
      network,
      random: random.split("clients"),
      ledger,
      trace,
      oracle,
      groups: this.#groups,
      swarm: swarm.clients,
      environment: swarm.environment,
      addresses: () => this.#cluster.addresses,
      hasOneBroker: swarm.brokerCount === 1,
      over: this.#over.signal,
      isProducing: () => this.#hasFaults,
    };
  }

  /** Shards that are not owned by the broker on which the living ones place them. Asked after each event: the first will do. */
  *#misplaced(): Generator<number> {
    const { oracle } = this.#world;
    const members = this.#cluster.members.filter(({ running }) => running !== undefined);
    const owners = placement(members.map(({ brokerId }) => brokerId));
    const names = new Map(members.map(({ brokerId, running }) => [brokerId, running?.name]));
    for (const [shard, brokerId] of owners.entries()) {
      const sessionId = oracle.claims.get(shard)?.sessionId ?? "";
      const owner = oracle.liveSessions.has(sessionId) ? oracle.sessionWriters.get(sessionId) : undefined;
      if (owner === undefined || owner !== names.get(brokerId ?? 0)) yield shard;
    }
  }

  /** All brokers stop as on SIGTERM; nothing of them may be left. Then new processes have to find everything. */
  async #stopInOrder(): Promise<void> {
    // Between the end of one process and the start of the next there is nothing to stop.
    await this.#runUntil(CONVERGENCE_MS, () => this.#cluster.members.every(({ running }) => running));
    const lives = this.#cluster.lives;
    let stoppedCount = 0;
    for (const life of lives) {
      life.stop().then(
        () => stoppedCount++,
        (error: unknown) => this.#ledger.fail("a broker stops in order", String(error)),
      );
    }
    const isDone = await this.#runUntil(ORDERLY_STOP_MS, () => stoppedCount === lives.length);
    this.#ledger.check("a broker stops in order", isDone, () => {
      return `${lives.length - stoppedCount} of ${lives.length} brokers still stop after ${ORDERLY_STOP_MS} ms`;
    });
    await this.#runUntil(ANSWERS_UNDER_WAY_MS, () => false);
    for (const { name, clock } of lives) {
      this.#ledger.check("nothing is left after a stop", clock.pendingCount === 0, () => {
        return `${name} left ${clock.pendingCount} timers`;
      });
    }
    const { liveSessions } = this.#oracle;
    this.#ledger.check("an orderly end leaves no session", liveSessions.size === 0, () => [...liveSessions].join());
    const before = this.#ledger.eventCount("recoveries with records");
    for (const broker of this.#cluster.members) broker.restart();
    const isServing = () => this.#ledger.eventCount("recoveries with records") > before;
    await this.#runUntil(CONVERGENCE_MS, isServing);
    const hasRecords = [...this.#oracle.log.partitions()].some(
      ({ end, topicId }) => end > 0 && this.#oracle.liveTopicIds.has(topicId),
    );
    this.#ledger.check("a new process finds everything", isServing() || !hasRecords, () => "it does not serve");
  }

  #report(): ScheduleReport {
    return {
      seed: this.#seed,
      virtualMs: this.#clock.monotonicMs(),
      eventCount: this.#eventCount,
      traceHash: this.#trace.hash,
      decisionHash: this.#trace.decisionHash,
      violations: this.#ledger.violations,
      evaluations: this.#ledger.evaluations,
      events: this.#ledger.events,
    };
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
