// The seam of the metadata store: etcd's v3 semantics (revisions, transactions, leases, watches) and nothing else's.

/** A store-wide counter that grows by one with each transaction that changes something. */
export type Revision = number;
/** Id of a lease, as the store's decimal text. */
export type LeaseId = string;

/**
 * Why a call failed.
 * - `unavailable`: definitely not done (refused before it was sent, quota full).
 * - `unknown`: no answer; a write may have been applied or may still be. Read, or send the very same transaction again.
 * - `compacted`: a watch or read asked for a revision that is gone: list again.
 * - `lease-not-found`: the lease has expired or was revoked.
 * - `too-large`: refused because of its size or its number of operations: a bug of the caller.
 * - `denied`: credentials or rights.
 */
export type KvErrorKind = "unavailable" | "unknown" | "compacted" | "lease-not-found" | "too-large" | "denied";

/** A failed call of a {@link KeyValueStore}. */
export class KvError extends Error {
  override readonly name = "KvError";
  readonly kind: KvErrorKind;

  constructor(kind: KvErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** One key as stored. */
export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision at which the key came into being; 0 never occurs for an existing key. */
  readonly createRevision: Revision;
  /** Revision of its last change. */
  readonly modRevision: Revision;
  /** Lease it dies with, if any. */
  readonly lease?: LeaseId;
}

/** A condition of a transaction. An absent key has create and mod revision 0 and equals no value. */
export type Compare =
  | { readonly key: string; readonly target: "create"; readonly equals: Revision }
  | { readonly key: string; readonly target: "mod"; readonly equals: Revision }
  | { readonly key: string; readonly target: "value"; readonly equals: Uint8Array };

/** One step of a transaction. A key may be written once per transaction. */
export type Operation =
  | { readonly type: "put"; readonly key: string; readonly value: Uint8Array; readonly lease?: LeaseId }
  | { readonly type: "delete"; readonly key: string }
  | { readonly type: "get"; readonly key: string };

/** `if` every compare holds, `then` is applied atomically, else `otherwise`. At most 64 entries per list (invariant I16). */
export interface Txn {
  readonly compare: readonly Compare[];
  readonly then: readonly Operation[];
  readonly otherwise?: readonly Operation[];
}

/** The answer of a transaction; `results` has one entry per operation of the branch that ran: what a `get` found. */
export interface TxnResult {
  readonly succeeded: boolean;
  readonly revision: Revision;
  readonly results: readonly (KeyValue | undefined)[];
}

/** The answer of a range: keys ascending, all as of `revision`. */
export interface RangeResult {
  readonly revision: Revision;
  readonly entries: readonly KeyValue[];
}

/** A change seen by a watch. */
export type WatchEvent =
  | { readonly type: "put"; readonly entry: KeyValue }
  | { readonly type: "delete"; readonly key: string; readonly modRevision: Revision };

/** All changes of one or more successive revisions, never a part of a revision. */
export interface WatchBatch {
  readonly revision: Revision;
  readonly events: readonly WatchEvent[];
}

/** Every call honours its signal; when it aborts, the outcome of a write is unknown. */
export interface KvCallOptions {
  readonly signal: AbortSignal;
}

/** What a range is asked for besides its prefix. */
export interface KvRangeOptions extends KvCallOptions {
  /** Only the entry that changed last, if there is any: what is newer than a view is told by one of them. */
  readonly isNewestOnly?: boolean;
}

/** The store. Reads are linearizable. */
export interface KeyValueStore {
  get(key: string, options: KvCallOptions): Promise<{ revision: Revision; entry: KeyValue | undefined }>;
  /** Every key that begins with `prefix`. */
  range(prefix: string, options: KvRangeOptions): Promise<RangeResult>;
  txn(txn: Txn, options: KvCallOptions): Promise<TxnResult>;
  /**
   * Changes of keys that begin with `prefix`, from `fromRevision` on, in order, each once. Throws a `compacted` error
   * when that revision is gone, an `unknown` one when the stream broke; the caller lists again and resumes.
   */
  watch(prefix: string, options: KvCallOptions & { fromRevision: Revision }): AsyncIterableIterator<WatchBatch>;
  /** A new lease that lives `ttlMs` past its grant or last keep-alive. */
  grantLease(ttlMs: number, options: KvCallOptions): Promise<LeaseId>;
  /** @throws KvError `lease-not-found` when it has ended */
  keepAlive(lease: LeaseId, options: KvCallOptions): Promise<void>;
  /** Ends a lease and deletes its keys; an absent lease counts as ended. */
  revokeLease(lease: LeaseId, options: KvCallOptions): Promise<void>;
}
