// A key-value store as one node sees it over a bad network. Each life of a node gets its own. A watch is a stream: its
// batches come late, in order, and it may break; through a silent outage it shows nothing and then breaks.
import {
  type Compare,
  type KeyValue,
  type KeyValueStore,
  type KvCallOptions,
  KvError,
  type KvRangeOptions,
  type LeaseId,
  type Operation,
  type RangeResult,
  type Revision,
  type Txn,
  type TxnResult,
  type WatchBatch,
} from "../../src/kv/key-value-store.ts";
import { FaultyCalls, type FaultyCallsOptions } from "./faulty-calls.ts";
import type { SimNodeClock } from "./sim-clock.ts";
import type { SimRandom } from "./sim-random.ts";

/** The operations, as rates name them. */
export type KvOperation = "get" | "range" | "txn" | "lease";

/** Watches of prefixes with this ending stand still now and then: each is a stream of its own. */
export interface WatchLag {
  readonly prefixEnd: string;
  /** Chance per batch. */
  readonly rate: number;
  readonly lagMs: readonly [number, number];
}

/** As for calls, with the chance that a watch breaks before a batch. */
export interface FaultyKeyValueStoreOptions extends FaultyCallsOptions<KvOperation> {
  readonly watchBreakRate?: number;
  readonly watchLag?: WatchLag | undefined;
}

/** Passes calls on with faults; `calls` tells how many. */
export class FaultyKeyValueStore implements KeyValueStore {
  readonly calls: FaultyCalls<KvOperation>;
  readonly #store: KeyValueStore;
  readonly #node: SimNodeClock;
  readonly #random: SimRandom;
  watchBreakRate: number;
  watchLag: WatchLag | undefined;
  /** Watches broken so far. */
  watchBreakCount = 0;

  constructor(store: KeyValueStore, options: FaultyKeyValueStoreOptions) {
    this.#store = store;
    this.#node = options.node;
    this.#random = options.random.split("watch");
    this.watchBreakRate = options.watchBreakRate ?? 0;
    this.watchLag = options.watchLag;
    this.calls = new FaultyCalls(options);
  }

  get(key: string, options: KvCallOptions): Promise<{ revision: Revision; entry: KeyValue | undefined }> {
    return this.#call("get", key, options, (signal) => this.#store.get(key, { signal }));
  }

  range(prefix: string, options: KvRangeOptions): Promise<RangeResult> {
    return this.#call("range", prefix, options, (signal) => this.#store.range(prefix, { ...options, signal }));
  }

  txn(txn: Txn, options: KvCallOptions): Promise<TxnResult> {
    // What is on its way cannot be changed by the sender any more.
    const sent = copyTxn(txn);
    return this.#call("txn", "a transaction", options, (signal) => this.#store.txn(sent, { signal }));
  }

  grantLease(ttlMs: number, options: KvCallOptions): Promise<LeaseId> {
    return this.#call("lease", "a grant", options, (signal) => this.#store.grantLease(ttlMs, { signal }));
  }

  keepAlive(lease: LeaseId, options: KvCallOptions): Promise<void> {
    return this.#call("lease", "a keep-alive", options, (signal) => this.#store.keepAlive(lease, { signal }));
  }

  revokeLease(lease: LeaseId, options: KvCallOptions): Promise<void> {
    return this.#call("lease", "a revocation", options, (signal) => this.#store.revokeLease(lease, { signal }));
  }

  watch(prefix: string, options: KvCallOptions & { fromRevision: Revision }): AsyncIterableIterator<WatchBatch> {
    const inner = this.#store.watch(prefix, options);
    let isBroken = false;
    const breakStream = (why: string): Promise<never> => {
      isBroken = true;
      this.watchBreakCount++;
      void inner.return?.();
      return Promise.reject(new KvError("unknown", `the watch of ${prefix} broke: ${why}`));
    };
    const iterator: AsyncIterableIterator<WatchBatch> = {
      [Symbol.asyncIterator]: () => iterator,
      next: async () => {
        if (isBroken) return { done: true, value: undefined };
        const result = await inner.next();
        if (result.done) return result;
        const { outage } = this.calls;
        const isBreaking = this.#random.chance(this.watchBreakRate);
        await this.#pass((outage ? outage.toMs - this.#node.monotonicMs() : 0) + this.#lagOf(prefix));
        if (options.signal.aborted) return breakStream("it was given up");
        if (outage) return breakStream("it was silent through an outage");
        if (isBreaking) return breakStream("reset");
        return result;
      },
      return: async () => (await inner.return?.()) ?? { done: true, value: undefined },
    };
    return iterator;
  }

  #lagOf(prefix: string): number {
    const lag = this.watchLag;
    if (!lag || !prefix.endsWith(lag.prefixEnd) || !this.#random.chance(lag.rate)) return 0;
    return this.#random.between(...lag.lagMs);
  }

  /** Waits one way's latency and `extraMs`, for ever when the node has died. */
  #pass(extraMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#node.setTimer(this.calls.latency() + extraMs, resolve);
    });
  }

  #call<T>(
    kind: KvOperation,
    what: string,
    { signal }: KvCallOptions,
    apply: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.calls.call({
      kind,
      signal,
      apply: () => apply(forever),
      unavailable: (why) => new KvError("unavailable", `${kind} ${what}: ${why}`),
      unknown: (why, cause) => new KvError("unknown", `${kind} ${what}: ${why}`, { cause }),
    });
  }
}

/** What was sent is applied whatever its sender does. */
const forever = new AbortController().signal;

/** By hand, as `structuredClone` goes through a message channel of the host each time. */
function copyTxn({ compare, then, otherwise }: Txn): Txn {
  const copied = { compare: compare.map(copyCompare), then: then.map(copyOperation) };
  return otherwise ? { ...copied, otherwise: otherwise.map(copyOperation) } : copied;
}

function copyCompare(compare: Compare): Compare {
  return compare.target === "value" ? { ...compare, equals: new Uint8Array(compare.equals) } : compare;
}

function copyOperation(operation: Operation): Operation {
  return operation.type === "put" ? { ...operation, value: new Uint8Array(operation.value) } : operation;
}
