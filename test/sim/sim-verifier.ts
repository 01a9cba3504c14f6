// `kafscale verify` among brokers that come, go and break: nothing is ever lost in a schedule, so it may tell of nothing
// that is, and what it takes for nobody's must be needed by nobody, then and ever after. What it removes is judged like
// every removal.
import { type VerificationReport, verificationParts, verifyCluster } from "../../src/broker/cluster-verification.ts";
import { sleep } from "../../src/host/clock.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { brokenInvariant } from "../../src/invariant.ts";
import { FaultyKeyValueStore } from "./faulty-key-value-store.ts";
import { FaultyObjectStore } from "./faulty-object-store.ts";
import type { RemovalOracle } from "./removal-oracle.ts";
import type { BrokerWorld } from "./sim-broker.ts";
import { SimLog } from "./sim-log.ts";
import type { SimRandom } from "./sim-random.ts";
import { WitnessedKeyValueStore, WitnessedObjectStore } from "./store-observers.ts";

const NAME = "verifier";
/** Pause between two verifications. */
const PAUSE_MS: readonly [number, number] = [200, 8_000];

const SUFFIX = "v";

/** The name of the schedule in which, besides what `name` does, the cluster is verified all the while. */
export function verifiedName(name: string): string {
  return name + SUFFIX;
}

/** Whether the cluster is verified in a schedule of this name. */
export function isVerified(name: string): boolean {
  return name.endsWith(SUFFIX);
}

/** Verifies again and again until it is stopped. */
export class SimVerifier {
  readonly #world: BrokerWorld;
  readonly #removals: RemovalOracle;
  readonly #random: SimRandom;
  readonly #over = new AbortController();
  /** Every object that was taken for nobody's. */
  readonly #strays = new Set<string>();
  #running: Promise<void> = Promise.resolve();

  constructor(world: BrokerWorld, removals: RemovalOracle) {
    this.#world = world;
    this.#removals = removals;
    this.#random = world.random.split(NAME);
  }

  start(): void {
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#over.signal.aborted) throw error;
    });
  }

  /** Ends, and looks once more at what was taken for nobody's. */
  async stop(): Promise<void> {
    this.#over.abort(new Error("the verifier is told to stop"));
    await this.#running;
    for (const key of this.#strays) this.#requireNobodys(key);
  }

  async #run(): Promise<void> {
    for (;;) {
      await sleep(this.#world.clock, this.#random.between(...PAUSE_MS), this.#over.signal);
      await this.#verify();
    }
  }

  async #verify(): Promise<void> {
    const { ledger, swarm, trace } = this.#world;
    const isFaulty = this.#random.chance(0.3);
    const [isDeep, isRepairing] = [this.#random.chance(0.3), this.#random.chance(0.6)];
    const { graceMs } = swarm.broker.removal;
    trace.note(`${NAME} begins, deep ${isDeep}, repairing ${isRepairing}`);
    try {
      const report = await verifyCluster(this.#parts(isFaulty), {
        isDeep,
        isRepairing,
        graceMs,
        onProgress: () => {},
        onRemoved: (key) => trace.note(`${NAME} removed ${key}`),
      });
      this.#judge(report);
    } catch (error) {
      if (this.#over.signal.aborted) throw error;
      const bug = brokenInvariant(error);
      if (bug) ledger.fail("assertions of a verification hold", bug.message);
      // Before the first broker has written who the cluster is there is nothing to verify.
      ledger.count(`verifications given up: ${error instanceof Error ? error.name : "?"}`);
    }
  }

  #judge({ findings, removed }: VerificationReport): void {
    const { ledger, trace } = this.#world;
    ledger.count("verifications");
    if (removed.length > 0) ledger.count("objects removed by a verification", removed.length);
    for (const { kind, key, text } of findings) {
      trace.note(`${NAME} found ${kind} ${key}: ${text}`);
      if (kind === "unknown") ledger.count("findings: unknown");
      else if (kind !== "stray")
        ledger.fail("a verification tells of nothing that is not so", `${kind} ${key}: ${text}`);
    }
    const strays = [...findings.filter(({ kind }) => kind === "stray").map(({ key }) => key), ...removed];
    ledger.count("findings: stray", strays.length);
    for (const key of strays) {
      this.#strays.add(key);
      this.#requireNobodys(key);
    }
  }

  #requireNobodys(key: string): void {
    const why = this.#removals.whyNeeded(key);
    this.#world.ledger.check("what a verification takes for nobody's is needed by nobody", why === undefined, () => {
      return `${key}: ${why}`;
    });
  }

  #parts(isFaulty: boolean) {
    const { clock, ledger, oracle, swarm, trace, kv, store } = this.#world;
    const node = clock.node();
    const shared = { world: clock, node, lateMs: swarm.lateMs, trace: (line: string) => trace.note(`${NAME} ${line}`) };
    const random = this.#random;
    const faulty = {
      kv: new FaultyKeyValueStore(new WitnessedKeyValueStore(kv, oracle, NAME), {
        ...shared,
        random: random.split("kv"),
        latencyMs: swarm.kvLatencyMs,
        rates: isFaulty ? swarm.kvRates : {},
        watchBreakRate: 0,
        watchLag: undefined,
      }),
      store: new FaultyObjectStore(new WitnessedObjectStore(store, oracle, NAME), {
        ...shared,
        random: random.split("store"),
        latencyMs: swarm.storeLatencyMs,
        rates: isFaulty ? swarm.storeRates : {},
      }),
    };
    // It puts nothing, and no session of it can end.
    const log = new SimLog({ ledger, trace, isStoreAnsweringOthers: () => false, isFenced: () => false }, NAME);
    const cluster = { kv: faulty.kv, clock: node, random, log, keys: oracle.keys };
    const { objectKeys } = oracle;
    const guarded = { cluster, store: faulty.store, objectKeys, signal: this.#over.signal };
    return verificationParts(guarded, new UnexportedMetrics());
  }
}
