// What happens to the brokers from outside: crashes, pauses, takeovers, outages, cuts, expiring leases, jumping wall
// clocks, compactions of the metadata history, moves of log starts; brokers that restart, leave and join. Each with its
// own mean time, drawn by the swarm; each time one broker is struck, or all.
import { sleep } from "../../src/host/clock.ts";
import { KafkaError } from "../../src/kafka-error.ts";
import type { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { CLIENT_HOST } from "./client-world.ts";
import type { BrokerLife, BrokerWorld, SimBroker } from "./sim-broker.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimRandom } from "./sim-random.ts";
import type { StoreEvent } from "./store-oracle.ts";

const FAILPOINTS: readonly StoreEvent[] = ["wal", "ckpt", "s", "h", "h", "a", "c", "segment"];
/** What besides can go wrong between brokers. */
const CLUSTER_FAILPOINTS: readonly StoreEvent[] = [...FAILPOINTS, "topics", "a"];
/** How long a broker is cut from the object store: beyond what it takes to be found so. */
const STORE_CUT_MS: readonly [number, number] = [9_000, 18_000];
const FAILPOINT_WAIT_MS = 3_000;
/** Longer than any life goes on that was taken over. */
const DEAF_MS = 60_000;
/** How long a broker that was restarted in order is away. */
const RESTART_MS: readonly [number, number] = [50, 2_000];
/** How long one is away that left. */
const ABSENCE_MS: readonly [number, number] = [2_000, 20_000];
/** By this share of the phase with faults the last broker has joined. */
const JOINED_SHARE = 0.7;

/** Deals the faults of one schedule until it is stopped. */
export class Environment {
  readonly #world: BrokerWorld;
  readonly #cluster: SimCluster;
  readonly #kv: MemoryKeyValueStore;
  readonly #onZombie: (life: BrokerLife) => void;
  readonly #random: SimRandom;
  readonly #deaf: SimRandom;
  readonly #over = new AbortController();
  readonly #running: Promise<void>[] = [];
  /** Brokers on their way out, or away and coming back: they go on when the faults are over. */
  #absenceCount = 0;

  /** @param parts.onZombie told of a life that was taken over, shortly before it wakes */
  constructor(
    world: BrokerWorld,
    cluster: SimCluster,
    parts: { readonly kv: MemoryKeyValueStore; readonly onZombie: (life: BrokerLife) => void },
  ) {
    this.#world = world;
    this.#cluster = cluster;
    this.#kv = parts.kv;
    this.#onZombie = parts.onZombie;
    this.#random = world.random.split("environment");
    this.#deaf = world.random.split("deaf zombies");
  }

  /** Begins. */
  start(): void {
    const { environment, cluster } = this.#world.swarm;
    this.#every("crash", environment.crashEveryMs, (random) => this.#pick(random).crash(random.chance(0.3)));
    this.#every("pause", environment.pauseEveryMs, (random) => this.#pause(random));
    this.#every("takeover", environment.takeoverEveryMs, (random) => this.#takeOver(random));
    this.#every("store outage", environment.storeOutageEveryMs, (random) => this.#outage("store", random));
    this.#every("store cut", environment.storeCutEveryMs, (random) => this.#cutStore(random));
    this.#every("kv outage", environment.kvOutageEveryMs, (random) => this.#outage("kv", random));
    this.#every("lease expiry", environment.leaseExpiryEveryMs, (random) => this.#expireLease(random));
    this.#every("cut", environment.cutEveryMs, (random) => this.#cut(random));
    this.#every("wall jump", environment.wallJumpEveryMs, (random) => this.#jump(random, environment.wallJumpMs));
    this.#every("compaction", environment.compactionEveryMs, () => this.#compact());
    this.#every("log start", environment.logStartEveryMs, (random) => this.#moveLogStart(random));
    this.#every("restart", cluster.restartEveryMs, (random) => this.#leave(random, RESTART_MS));
    this.#every("leave", cluster.leaveEveryMs, (random) =>
      this.#leave(random, random.chance(0.7) ? ABSENCE_MS : undefined),
    );
    this.#every("restart of all", cluster.restartAllEveryMs, (random) => this.#crashAll(random));
    this.#every("peer cut", cluster.peerCutEveryMs, (random) => this.#cutPeers(random));
    this.#joinLate();
  }

  /** Whether nobody is about to leave or to come. */
  get isSettled(): boolean {
    return this.#absenceCount === 0;
  }

  /** Ends all faults, and undoes those that last. Who is on his way out or back goes on. */
  async stop(): Promise<void> {
    this.#over.abort(new Error("the faults are over"));
    await Promise.all(this.#running);
    const { network } = this.#world;
    network.resetRate = 0;
    for (const { name } of this.#cluster.lives) network.heal(CLIENT_HOST, name);
    this.#cluster.heal();
  }

  #pick(random: SimRandom): SimBroker {
    return this.#cluster.pick(random);
  }

  #every(name: string, meanMs: number, act: (random: SimRandom) => void | Promise<void>): void {
    if (meanMs === 0) return;
    const random = this.#random.split(name);
    const run = async () => {
      for (;;) {
        await sleep(this.#world.clock, meanMs * (0.2 + 1.6 * random.uniform()), this.#over.signal);
        await this.#failpoint(random);
        this.#world.trace.note(`environment: ${name}`);
        await act(random);
      }
    };
    this.#running.push(
      run().catch((error: unknown) => {
        if (!this.#over.signal.aborted) throw error;
      }),
    );
  }

  /** Most faults strike just after a step of the protocol: that is where a wrong order shows. */
  async #failpoint(random: SimRandom): Promise<void> {
    if (random.chance(0.4)) return;
    const { clock, oracle } = this.#world;
    const event = random.pick(this.#cluster.brokers.length === 1 ? FAILPOINTS : CLUSTER_FAILPOINTS);
    await Promise.race([oracle.next(event), sleep(clock, FAILPOINT_WAIT_MS, this.#over.signal)]);
    this.#over.signal.throwIfAborted();
    this.#world.ledger.count(`failpoint after ${event}`);
    await sleep(clock, random.pick([0, 0, 2, 10, 50]) * random.uniform(), this.#over.signal);
  }

  async #pause(random: SimRandom): Promise<void> {
    const life = this.#pick(random).running;
    if (!life || life.isPaused) return;
    this.#world.ledger.count("pauses");
    life.pause();
    await sleep(this.#world.clock, random.between(...this.#world.swarm.environment.pauseMs), this.#over.signal);
    if (life.isPaused && !life.clock.isDead) life.resume();
  }

  async #takeOver(random: SimRandom): Promise<void> {
    const broker = this.#pick(random);
    const zombie = broker.takeOver();
    if (!zombie) return;
    // Half of them do not learn from etcd that they were taken over: what they answer rests on what they know.
    const fromMs = this.#world.clock.monotonicMs();
    const outage = { fromMs, toMs: fromMs + DEAF_MS, effect: "silence" } as const;
    if (this.#deaf.chance(0.5)) zombie.kv.calls.addOutage(outage);
    const [shortest, longest] = random.pick([
      [500, 4_000],
      [3_000, 15_000],
    ] as const);
    await sleep(this.#world.clock, random.between(shortest, longest), this.#over.signal);
    // What clients ask of it waits until it wakes, and races with what it learns of its end.
    this.#onZombie(zombie);
    await sleep(this.#world.clock, random.between(1, 50), this.#over.signal);
    if (zombie.isPaused) zombie.resume();
    await sleep(this.#world.clock, random.between(100, 4_000), this.#over.signal);
    broker.bury(zombie);
  }

  #outage(of: "store" | "kv", random: SimRandom): void {
    this.#world.ledger.count(`${of} outages`);
    const fromMs = this.#world.clock.monotonicMs();
    const toMs = fromMs + random.between(...this.#world.swarm.environment.outageMs);
    const effect = random.pick(["refuse", "silence", "silence"] as const);
    const struck = this.#pick(random).current;
    const isForAll = this.#cluster.brokers.length > 1 && random.chance(0.5);
    for (const life of isForAll ? this.#cluster.lives : struck ? [struck] : []) {
      life[of].calls.addOutage({ fromMs, toMs, effect });
    }
  }

  /** One broker gets no answer of the object store, or now and then nobody: only the first may end a session early. */
  #cutStore(random: SimRandom): void {
    const isForAll = random.chance(0.3);
    this.#world.ledger.count(isForAll ? "long store outages" : "cuts from the store");
    const struck = this.#pick(random).current;
    const fromMs = this.#world.clock.monotonicMs();
    const effect = random.pick(["refuse", "silence"] as const);
    const outage = { fromMs, toMs: fromMs + random.between(...STORE_CUT_MS), effect };
    for (const life of isForAll ? this.#cluster.lives : struck ? [struck] : []) life.store.calls.addOutage(outage);
  }

  #expireLease(random: SimRandom): void {
    const leases = [...this.#world.oracle.leases.values()];
    if (leases.length === 0) return;
    this.#world.ledger.count("leases expired");
    this.#kv.expireLease(random.pick(leases));
  }

  async #cut(random: SimRandom): Promise<void> {
    const { network, clock, ledger } = this.#world;
    const name = this.#pick(random).current?.name ?? "";
    ledger.count("connection cuts");
    if (random.chance(0.5)) {
      network.reset(CLIENT_HOST, name);
      return;
    }
    network.cut(CLIENT_HOST, name);
    try {
      await sleep(clock, random.between(100, 6_000), this.#over.signal);
    } finally {
      network.heal(CLIENT_HOST, name);
    }
  }

  #jump(random: SimRandom, wallJumpMs: number): void {
    this.#world.ledger.count("wall clock jumps");
    const life = this.#pick(random).current;
    if (life) life.clock.skewMs = random.between(-wallJumpMs, wallJumpMs);
  }

  /** A broker leaves in order; it comes back after a while, or never. The last one stays. */
  #leave(random: SimRandom, awayMs: readonly [number, number] | undefined): void {
    const broker = this.#pick(random);
    const forMs = awayMs ? random.between(...awayMs) : undefined;
    if (this.#cluster.members.length === 1 || !broker.running || broker.running.isPaused) return;
    this.#world.ledger.count(forMs === undefined ? "brokers left for good" : "brokers left and came back");
    this.#absence(async () => {
      await broker.leave();
      if (forMs === undefined) return;
      await this.#pass(forMs);
      broker.join();
    });
  }

  #joinLate(): void {
    const random = this.#random.split("joins");
    for (const broker of this.#cluster.brokers) {
      if (!broker.isAway) continue;
      const afterMs = random.uniform() * JOINED_SHARE * this.#world.swarm.faultPhaseMs;
      this.#absence(async () => {
        await this.#pass(afterMs);
        this.#world.ledger.count("brokers joined late");
        broker.join();
      });
    }
  }

  #absence(run: () => Promise<void>): void {
    this.#absenceCount++;
    run()
      .catch((error: unknown) => this.#world.ledger.fail("nothing is thrown into the void", String(error)))
      .finally(() => this.#absenceCount--);
  }

  /** Time that passes also when faults are over. */
  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#world.clock.setTimer(ms, resolve);
    });
  }

  #crashAll(random: SimRandom): void {
    this.#world.ledger.count("all brokers killed at once");
    for (const broker of this.#cluster.members) broker.crash(random.chance(0.3));
  }

  async #cutPeers(random: SimRandom): Promise<void> {
    const { network, clock, ledger } = this.#world;
    const [left, right] = [this.#pick(random).current?.name, this.#pick(random).current?.name];
    if (left === undefined || right === undefined || left === right) return;
    ledger.count("cuts between brokers");
    network.cut(left, right);
    try {
      await sleep(clock, random.between(100, 10_000), this.#over.signal);
    } finally {
      network.heal(left, right);
    }
  }

  #compact(): void {
    this.#world.ledger.count("compactions of the metadata history");
    this.#kv.compact(this.#world.oracle.revision);
  }

  /** DeleteRecords without its API: the log start of a partition moves to a random committed offset. */
  async #moveLogStart(random: SimRandom): Promise<void> {
    const { oracle, ledger } = this.#world;
    const candidates = [...oracle.log.partitions()].filter(
      ({ topicId, end }) => end > 0 && oracle.liveTopicIds.has(topicId) && !oracle.isInternal(topicId),
    );
    if (candidates.length === 0) return;
    const committed = random.pick(candidates);
    const share = random.uniform() ** 2;
    const owner = oracle.ownerOf(committed.topicId, committed.partition);
    const life = this.#cluster.lives.find(({ name }) => name === owner);
    if (!life || life.clock.isDead || life.isPaused) return;
    try {
      const log = life.brokerLog?.partition(committed.topicId, committed.partition);
      if (!log) return;
      const offset = log.logStart + Math.floor((log.highWatermark - log.logStart) * share);
      log.moveLogStart(offset).then(
        () => {
          ledger.check("I14 an answered log start is committed", committed.logStart >= offset, () => {
            return `${committed.name}: a start of ${offset} was answered, ${committed.logStart} is committed`;
          });
          committed.answeredLogStart = Math.max(committed.answeredLogStart, offset);
        },
        () => ledger.count("log start move failed"),
      );
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
    }
  }
}
