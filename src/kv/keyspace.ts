// The keys of an embedded store in etcd's order, with their revisions: what a transaction reads and changes. Synchronous
// and without time; leases are only names here.
import { invariant } from "../invariant.ts";
import type {
  Compare,
  KeyValue,
  LeaseId,
  Operation,
  Revision,
  Txn,
  TxnResult,
  WatchBatch,
  WatchEvent,
} from "./key-value-store.ts";

/** What a transaction did: its answer, and the change if there was one. */
export interface Applied {
  readonly result: TxnResult;
  readonly change: WatchBatch | undefined;
}

/** An ordered map with etcd's revisions. The first change gets revision 2, as in etcd. */
export class Keyspace {
  readonly #entries = new Map<string, KeyValue>();
  /** The keys of `#entries`, ascending by UTF-8 bytes. */
  readonly #keys: string[] = [];
  /** For each lease that holds something, its keys. */
  readonly #keysByLease = new Map<LeaseId, Set<string>>();
  /** Revision of the last change; 1 before any. Only grows. */
  #revision: Revision;

  constructor(revision: Revision = 1, entries: readonly KeyValue[] = []) {
    this.#revision = revision;
    for (const entry of entries) {
      this.#entries.set(entry.key, entry);
      this.#keys.push(entry.key);
      if (entry.lease !== undefined) this.#attach(entry.lease, entry.key);
    }
    this.#keys.sort(compareKeys);
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** How many keys there are. */
  get size(): number {
    return this.#keys.length;
  }

  get(key: string): KeyValue | undefined {
    return this.#entries.get(key);
  }

  /** Every entry whose key begins with `prefix`, ascending. The values are the stored bytes: copy before handing out. */
  range(prefix: string): KeyValue[] {
    const found: KeyValue[] = [];
    for (let index = this.#lowerBound(prefix); index < this.#keys.length; index++) {
      const key = this.#keys[index] ?? "";
      if (!key.startsWith(prefix)) break;
      const entry = this.#entries.get(key);
      invariant(entry, `key ${key} has no entry`);
      found.push(entry);
    }
    return found;
  }

  /** The keys that die with `lease`, ascending. */
  keysOf(lease: LeaseId): string[] {
    return [...(this.#keysByLease.get(lease) ?? [])].sort(compareKeys);
  }

  /** The branch of `txn` that would run now. */
  branchOf(txn: Txn): { succeeded: boolean; operations: readonly Operation[] } {
    const succeeded = txn.compare.every((compare) => this.#holds(compare));
    return { succeeded, operations: succeeded ? txn.then : (txn.otherwise ?? []) };
  }

  /** Runs `txn`. All its changes share one new revision; without a change the revision stays. */
  apply(txn: Txn): Applied {
    const { succeeded, operations } = this.branchOf(txn);
    const next = this.#revision + 1;
    const events: WatchEvent[] = [];
    const results = operations.map((operation) => this.#run(operation, next, events));
    const change = this.#conclude(next, events);
    return { result: { succeeded, revision: this.#revision, results }, change };
  }

  /** Deletes `keys` in one revision; absent ones change nothing. */
  deleteAll(keys: readonly string[]): WatchBatch | undefined {
    const next = this.#revision + 1;
    const events: WatchEvent[] = [];
    for (const key of keys) this.#run({ type: "delete", key }, next, events);
    return this.#conclude(next, events);
  }

  #conclude(next: Revision, events: WatchEvent[]): WatchBatch | undefined {
    if (events.length === 0) return undefined;
    this.#revision = next;
    return { revision: next, events };
  }

  #holds(compare: Compare): boolean {
    const entry = this.#entries.get(compare.key);
    switch (compare.target) {
      case "create":
        return (entry?.createRevision ?? 0) === compare.equals;
      case "mod":
        return (entry?.modRevision ?? 0) === compare.equals;
      case "value":
        return entry !== undefined && Buffer.compare(entry.value, compare.equals) === 0;
    }
  }

  #run(operation: Operation, next: Revision, events: WatchEvent[]): KeyValue | undefined {
    switch (operation.type) {
      case "get":
        return this.#entries.get(operation.key);
      case "put":
        events.push({ type: "put", entry: this.#put(operation, next) });
        return undefined;
      case "delete":
        if (this.#remove(operation.key)) events.push({ type: "delete", key: operation.key, modRevision: next });
        return undefined;
    }
  }

  #put({ key, value, lease }: Operation & { type: "put" }, next: Revision): KeyValue {
    const before = this.#entries.get(key);
    if (!before) this.#keys.splice(this.#lowerBound(key), 0, key);
    if (before?.lease !== undefined) this.#detach(before.lease, key);
    if (lease !== undefined) this.#attach(lease, key);
    const entry: KeyValue = {
      key,
      value: value.slice(),
      createRevision: before?.createRevision ?? next,
      modRevision: next,
      ...(lease === undefined ? {} : { lease }),
    };
    this.#entries.set(key, entry);
    return entry;
  }

  #remove(key: string): boolean {
    const entry = this.#entries.get(key);
    if (!entry) return false;
    if (entry.lease !== undefined) this.#detach(entry.lease, key);
    this.#entries.delete(key);
    this.#keys.splice(this.#lowerBound(key), 1);
    return true;
  }

  #attach(lease: LeaseId, key: string): void {
    const keys = this.#keysByLease.get(lease) ?? new Set();
    this.#keysByLease.set(lease, keys.add(key));
  }

  #detach(lease: LeaseId, key: string): void {
    const keys = this.#keysByLease.get(lease);
    invariant(keys, `lease ${lease} does not hold ${key}`);
    keys.delete(key);
    if (keys.size === 0) this.#keysByLease.delete(lease);
  }

  /** Index of the first key that is not below `key`. */
  #lowerBound(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#keys[middle] ?? "", key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Orders keys by their UTF-8 bytes, as etcd does: UTF-16 order with the surrogates moved behind everything else. */
export function compareKeys(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b) return utf8Rank(a) - utf8Rank(b);
  }
  return left.length - right.length;
}

function utf8Rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
