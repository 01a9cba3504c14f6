// The world of this room's tests: an in-memory store on virtual time, seen through a decorator that loses what it is
// told to lose.
import { setMaxListeners } from "node:events";
import type { ClusterComponents } from "../../src/cluster/cluster-components.ts";
import { ClusterKeys } from "../../src/cluster/keys.ts";
import { Session } from "../../src/cluster/session.ts";
import { sleep } from "../../src/host/clock.ts";
import { silentLog } from "../../src/host/log.ts";
import {
  type KeyValueStore,
  type KvCallOptions,
  KvError,
  type KvRangeOptions,
  type LeaseId,
  type Txn,
  type WatchBatch,
} from "../../src/kv/key-value-store.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";

/** What happens to one transaction: it is not applied and unanswered, applied and unanswered, or refused unsent. */
export type Fault = "lost" | "answer-lost" | "unavailable";

/** A store in which the next transactions fail as told. */
export class ScriptedStore implements KeyValueStore {
  readonly inner: KeyValueStore;
  /** One entry a transaction, in order; `undefined` passes it on. */
  readonly faults: (Fault | undefined)[] = [];
  /** Every transaction that was sent. */
  readonly sent: Txn[] = [];
  /** Run before the next transaction is applied. */
  before: (() => Promise<void>) | undefined;

  constructor(inner: KeyValueStore) {
    this.inner = inner;
  }

  async txn(txn: Txn, options: KvCallOptions) {
    const fault = this.faults.shift();
    if (fault === "unavailable") throw new KvError("unavailable", "refused by the test");
    this.sent.push(txn);
    if (fault === "lost") throw new KvError("unknown", "lost by the test");
    const { before } = this;
    this.before = undefined;
    await before?.();
    const result = await this.inner.txn(txn, options);
    if (fault === "answer-lost") throw new KvError("unknown", "answer lost by the test");
    return result;
  }

  get(key: string, options: KvCallOptions) {
    return this.inner.get(key, options);
  }

  range(prefix: string, options: KvRangeOptions) {
    return this.inner.range(prefix, options);
  }

  watch(prefix: string, options: KvCallOptions & { fromRevision: number }) {
    return this.inner.watch(prefix, options);
  }

  grantLease(ttlMs: number, options: KvCallOptions) {
    return this.inner.grantLease(ttlMs, options);
  }

  keepAlive(lease: LeaseId, options: KvCallOptions) {
    return this.inner.keepAlive(lease, options);
  }

  revokeLease(lease: LeaseId, options: KvCallOptions) {
    return this.inner.revokeLease(lease, options);
  }
}

/** The life of a world in which any number of sessions may live. */
function longLife(): AbortController {
  const life = new AbortController();
  setMaxListeners(0, life.signal);
  return life;
}

/** A store, its clock, and ways to wait on virtual time. */
export class World {
  readonly clock = new SimClock({ seed: "cluster" });
  readonly random = new SimRandom("cluster");
  readonly keys = new ClusterKeys("test");
  readonly store = new ScriptedStore(new MemoryKeyValueStore({ clock: this.clock }));
  readonly life = longLife();
  /** What sessions told of as bugs. */
  readonly bugs: Error[] = [];
  readonly components: ClusterComponents = {
    kv: this.store,
    clock: this.clock,
    random: this.random,
    log: silentLog,
    keys: this.keys,
  };

  /** The signal that most calls get. */
  get signal(): AbortSignal {
    return this.life.signal;
  }

  /** Lets virtual time pass until `work` has settled, two minutes at most. */
  settled<T>(work: Promise<T>): Promise<T> {
    return this.clock.complete(work, { untilMs: this.clock.monotonicMs() + 120_000 });
  }

  /** Lets `ms` of virtual time pass. */
  async pass(ms: number): Promise<void> {
    await this.turn();
    await this.clock.run({ untilMs: this.clock.monotonicMs() + ms });
    await this.turn();
  }

  /** Lets every promise job run that needs no time. */
  async turn(): Promise<void> {
    await this.clock.run({ untilMs: this.clock.monotonicMs() });
  }

  /** A registered session of a broker. */
  session(brokerId = 1, life: AbortSignal = this.signal): Promise<Session> {
    const options = { signal: this.signal, life, onBug: (error: Error) => void this.bugs.push(error) };
    return this.settled(Session.register(this.components, registration(brokerId), options));
  }

  /** A stored value. */
  async stored(key: string) {
    return (await this.store.inner.get(key, { signal: this.signal })).entry;
  }

  /** Deletes a key as somebody else would. */
  async remove(key: string): Promise<void> {
    await this.store.inner.txn({ compare: [], then: [{ type: "delete", key }] }, { signal: this.signal });
  }
}

/** The store of a world as one sees it whose watch of `prefix` is silent for `lagMs` before it tells a change. */
export class LaggingStore extends ScriptedStore {
  readonly #world: World;
  readonly #lag: { readonly prefix: string; readonly lagMs: number };

  constructor(world: World, lag: { readonly prefix: string; readonly lagMs: number }) {
    super(world.store.inner);
    this.#world = world;
    this.#lag = lag;
  }

  override watch(prefix: string, options: KvCallOptions & { fromRevision: number }) {
    const batches = super.watch(prefix, options);
    return prefix === this.#lag.prefix ? this.#late(batches) : batches;
  }

  async *#late(batches: AsyncIterableIterator<WatchBatch>): AsyncIterableIterator<WatchBatch> {
    for await (const batch of batches) {
      await sleep(this.#world.clock, this.#lag.lagMs, this.#world.signal);
      yield batch;
    }
  }
}

/** What a broker of the tests says of itself. */
export function registration(brokerId: number) {
  const host = `broker-${brokerId}`;
  const control = { controlHost: host, controlPort: 9093 };
  return { brokerId, process: `0${brokerId}`, host, port: 9092, ...control, rack: "", version: "test" };
}
