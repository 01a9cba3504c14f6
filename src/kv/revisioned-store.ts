// What the memory store and the journal share: keys, leases and watch history behind one synchronous face, so that both
// mean the same. Every change is told to `onChange` in the turn that made it; when watches see it is the owner's decision.
import type { Clock } from "../host/clock.ts";
import { invariant } from "../invariant.ts";
import {
  type KeyValue,
  KvError,
  type LeaseId,
  type Revision,
  type Txn,
  type TxnResult,
  type WatchBatch,
} from "./key-value-store.ts";
import { Keyspace } from "./keyspace.ts";
import { checkTxn, copyEntry } from "./txn-check.ts";
import { WatchHistory } from "./watch-history.ts";

/** Changes kept for watches: as many as a lagging broker may need, at a bounded price in memory. */
const HISTORY_LIMITS = { revisionsMax: 10_000, bytesMax: 64 * 1024 * 1024 };

interface Lease {
  readonly ttlMs: number;
  /** On the clock's monotonic time. Only keep-alives move it. */
  deadlineMs: number;
  cancelTimer: () => void;
}

/** Parts and start state of a {@link RevisionedStore}. */
export interface RevisionedStoreOptions {
  readonly clock: Clock;
  /** Called with each change, in order, before the call that made it returns. */
  readonly onChange: (change: WatchBatch) => void;
  readonly historyRevisionsMax?: number;
  /** State to begin with, none of it under a lease. Watches from before it fail with `compacted`. */
  readonly restored?: { readonly revision: Revision; readonly entries: readonly KeyValue[] };
}

/** Keys, leases and history of an embedded store. */
export class RevisionedStore {
  readonly history: WatchHistory;
  readonly #clock: Clock;
  readonly #keyspace: Keyspace;
  readonly #onChange: (change: WatchBatch) => void;
  readonly #leases = new Map<LeaseId, Lease>();
  #lastLease = 0;

  constructor({ clock, onChange, historyRevisionsMax, restored }: RevisionedStoreOptions) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.#keyspace = new Keyspace(restored?.revision, restored?.entries);
    const limits = { ...HISTORY_LIMITS, revisionsMax: historyRevisionsMax ?? HISTORY_LIMITS.revisionsMax };
    this.history = new WatchHistory(limits, this.revision, restored ? restored.revision + 1 : 1);
  }

  get revision(): Revision {
    return this.#keyspace.revision;
  }

  /** The entry of `key`, as a copy. */
  get(key: string): KeyValue | undefined {
    const entry = this.#keyspace.get(key);
    return entry && copyEntry(entry);
  }

  /** Every entry below `prefix`, ascending, as copies; or the one of them that changed last. */
  range(prefix: string, isNewestOnly = false): KeyValue[] {
    const entries = this.#keyspace.range(prefix);
    if (!isNewestOnly || entries.length === 0) return entries.map(copyEntry);
    return [copyEntry(entries.reduce((newest, entry) => (entry.modRevision > newest.modRevision ? entry : newest)))];
  }

  /** @throws KvError `lease-not-found` before anything is changed, `too-large` */
  txn(txn: Txn): TxnResult {
    checkTxn(txn);
    for (const operation of this.#keyspace.branchOf(txn).operations) {
      if (operation.type === "put" && operation.lease !== undefined) this.#lease(operation.lease);
    }
    const { result, change } = this.#keyspace.apply(txn);
    if (change) this.#onChange(change);
    return { ...result, results: result.results.map((entry) => entry && copyEntry(entry)) };
  }

  grantLease(ttlMs: number): LeaseId {
    invariant(ttlMs > 0, `a lease of ${ttlMs} ms`);
    const id = String(++this.#lastLease);
    const lease: Lease = { ttlMs, deadlineMs: this.#clock.monotonicMs() + ttlMs, cancelTimer: () => {} };
    this.#leases.set(id, lease);
    this.#armTimer(id, lease);
    return id;
  }

  /** @throws KvError `lease-not-found` */
  keepAlive(id: LeaseId): void {
    const lease = this.#lease(id);
    lease.deadlineMs = this.#clock.monotonicMs() + lease.ttlMs;
  }

  /** Ends a lease with its keys, by revocation or because its time is up. An absent one changes nothing. */
  endLease(id: LeaseId): void {
    const lease = this.#leases.get(id);
    if (!lease) return;
    lease.cancelTimer();
    this.#leases.delete(id);
    const change = this.#keyspace.deleteAll(this.#keyspace.keysOf(id));
    if (change) this.#onChange(change);
  }

  /** Stops every timer and ends the watches with `failure`. Leases no longer expire. */
  close(failure: KvError): void {
    for (const lease of this.#leases.values()) lease.cancelTimer();
    this.history.fail(failure);
  }

  #lease(id: LeaseId): Lease {
    const lease = this.#leases.get(id);
    if (!lease) throw new KvError("lease-not-found", `lease ${id} has ended or never was`);
    return lease;
  }

  /** Keep-alives only move the deadline; the timer looks at it when it fires. */
  #armTimer(id: LeaseId, lease: Lease): void {
    lease.cancelTimer = this.#clock.setTimer(Math.max(0, lease.deadlineMs - this.#clock.monotonicMs()), () => {
      if (this.#clock.monotonicMs() >= lease.deadlineMs) this.endLease(id);
      else this.#armTimer(id, lease);
    });
  }
}
