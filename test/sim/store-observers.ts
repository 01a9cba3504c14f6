// The stores with a witness: every change is told to the oracle in the order in which it happens, whoever made it and
// whether or not he ever hears of it.
import type {
  KeyValue,
  KeyValueStore,
  KvCallOptions,
  KvRangeOptions,
  LeaseId,
  RangeResult,
  Revision,
  Txn,
  TxnResult,
  WatchBatch,
} from "../../src/kv/key-value-store.ts";
import type { ByteRange, CallOptions, ObjectStore, ObjectSummary } from "../../src/object-store/object-store.ts";

/** What the witness of an object store is told. `writer` is the life of a node that made the call. */
export interface ObjectWitness {
  /** The object now holds these bytes. */
  onPut(key: string, bytes: Uint8Array, writer: string): void;
  /** A put met an object that was there. */
  onExisting(key: string, bytes: Uint8Array): void;
  onDelete(key: string): void;
  /** A read found no such object. */
  onMissing(key: string): void;
  onList(prefix: string): void;
}

/** An object store as one life of a node reaches it; each change is told to a witness. */
export class WitnessedObjectStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #witness: ObjectWitness;
  readonly #writer: string;

  constructor(store: ObjectStore, witness: ObjectWitness, writer: string) {
    this.#store = store;
    this.#witness = witness;
    this.#writer = writer;
  }

  async put(key: string, parts: readonly Uint8Array[], options: CallOptions & { ifAbsent: boolean }): Promise<void> {
    const bytes = new Uint8Array(Buffer.concat(parts));
    try {
      await this.#store.put(key, parts, options);
    } catch (error) {
      this.#witness.onExisting(key, bytes);
      throw error;
    }
    this.#witness.onPut(key, bytes, this.#writer);
  }

  async get(key: string, options: CallOptions & { range?: ByteRange }): Promise<Uint8Array> {
    try {
      return await this.#store.get(key, options);
    } catch (error) {
      this.#witness.onMissing(key);
      throw error;
    }
  }

  head(key: string, options: CallOptions): Promise<{ bytes: number }> {
    return this.#store.head(key, options);
  }

  list(
    prefix: string,
    options: CallOptions & { startAfter?: string; limit: number },
  ): Promise<{ objects: ObjectSummary[]; isTruncated: boolean }> {
    this.#witness.onList(prefix);
    return this.#store.list(prefix, options);
  }

  async delete(keys: readonly string[], options: CallOptions): Promise<void> {
    await this.#store.delete(keys, options);
    for (const key of keys) this.#witness.onDelete(key);
  }
}

/** What the witness of a key-value store is told. */
export interface KvWitness {
  /** What a transaction was answered, at the moment it was applied. */
  onTxn(txn: Txn, result: TxnResult, writer: string): void;
}

/** A key-value store as one life of a node reaches it; each transaction is told to a witness. */
export class WitnessedKeyValueStore implements KeyValueStore {
  readonly #store: KeyValueStore;
  readonly #witness: KvWitness;
  readonly #writer: string;

  constructor(store: KeyValueStore, witness: KvWitness, writer: string) {
    this.#store = store;
    this.#witness = witness;
    this.#writer = writer;
  }

  async txn(txn: Txn, options: KvCallOptions): Promise<TxnResult> {
    const result = await this.#store.txn(txn, options);
    this.#witness.onTxn(txn, result, this.#writer);
    return result;
  }

  get(key: string, options: KvCallOptions): Promise<{ revision: Revision; entry: KeyValue | undefined }> {
    return this.#store.get(key, options);
  }

  range(prefix: string, options: KvRangeOptions): Promise<RangeResult> {
    return this.#store.range(prefix, options);
  }

  watch(prefix: string, options: KvCallOptions & { fromRevision: Revision }): AsyncIterableIterator<WatchBatch> {
    return this.#store.watch(prefix, options);
  }

  grantLease(ttlMs: number, options: KvCallOptions): Promise<LeaseId> {
    return this.#store.grantLease(ttlMs, options);
  }

  keepAlive(lease: LeaseId, options: KvCallOptions): Promise<void> {
    return this.#store.keepAlive(lease, options);
  }

  revokeLease(lease: LeaseId, options: KvCallOptions): Promise<void> {
    return this.#store.revokeLease(lease, options);
  }
}
