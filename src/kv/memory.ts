// The key-value store in memory: etcd's semantics for one process, gone with it. The twin of etcd in tests and
// simulations, and the metadata of a playground.
import type { Clock } from "../host/clock.ts";
import {
  type KeyValue,
  type KeyValueStore,
  type KvCallOptions,
  KvError,
  type KvRangeOptions,
  type LeaseId,
  type RangeResult,
  type Revision,
  type Txn,
  type TxnResult,
  type WatchBatch,
} from "./key-value-store.ts";
import { RevisionedStore } from "./revisioned-store.ts";
import { refusalIfAborted } from "./txn-check.ts";

/** An empty store. Leases expire by `clock`. */
export class MemoryKeyValueStore implements KeyValueStore {
  readonly #store: RevisionedStore;
  #closed: KvError | undefined;

  /** @param options.historyRevisionsMax changes kept for watches, 10,000 unless told */
  constructor(options: { readonly clock: Clock; readonly historyRevisionsMax?: number }) {
    this.#store = new RevisionedStore({
      ...options,
      onChange: (change) => {
        this.#store.history.append(change);
        this.#store.history.publish(change.revision);
      },
    });
  }

  async get(key: string, { signal }: KvCallOptions): Promise<{ revision: Revision; entry: KeyValue | undefined }> {
    this.#admit(signal, "a get");
    return { revision: this.#store.revision, entry: this.#store.get(key) };
  }

  async range(prefix: string, { signal, isNewestOnly }: KvRangeOptions): Promise<RangeResult> {
    this.#admit(signal, "a range");
    return { revision: this.#store.revision, entries: this.#store.range(prefix, isNewestOnly) };
  }

  async txn(txn: Txn, { signal }: KvCallOptions): Promise<TxnResult> {
    this.#admit(signal, "a transaction");
    return this.#store.txn(txn);
  }

  watch(prefix: string, options: KvCallOptions & { fromRevision: Revision }): AsyncIterableIterator<WatchBatch> {
    return this.#store.history.watch(prefix, options);
  }

  async grantLease(ttlMs: number, { signal }: KvCallOptions): Promise<LeaseId> {
    this.#admit(signal, "a lease");
    return this.#store.grantLease(ttlMs);
  }

  async keepAlive(lease: LeaseId, { signal }: KvCallOptions): Promise<void> {
    this.#admit(signal, "a keep-alive");
    this.#store.keepAlive(lease);
  }

  async revokeLease(lease: LeaseId, { signal }: KvCallOptions): Promise<void> {
    this.#admit(signal, "a revocation");
    this.#store.endLease(lease);
  }

  /** Forgets the history before `revision`, as etcd's compaction does: watches from before it fail. */
  compact(revision: Revision): void {
    this.#store.history.compact(revision);
  }

  /** Lets `lease` expire now. */
  expireLease(lease: LeaseId): void {
    this.#store.endLease(lease);
  }

  /** Stops the timers of leases and ends the watches. Every later call fails with `unavailable`. */
  close(): void {
    this.#closed = new KvError("unavailable", "the store was closed");
    this.#store.close(this.#closed);
  }

  #admit(signal: AbortSignal, what: string): void {
    const refusal = this.#closed ?? refusalIfAborted(signal, what);
    if (refusal) throw refusal;
  }
}
