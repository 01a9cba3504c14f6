// The seam of object storage: what S3 promises and no more. Objects are written whole; nothing is renamed or appended.

/**
 * Why a call failed, one kind for each thing a caller would do differently.
 * - `not-found`: there is no such object.
 * - `already-exists`: a put with `ifAbsent` found one. It may be this caller's own earlier copy: read and compare. A
 *   store that keeps checksums compares by itself, and takes the same content as done.
 * - `unavailable`: definitely not done, for now (503, connection refused, disk full). Wait, then try again.
 * - `unknown`: nobody can tell whether it was done (time-out, reset, 500). The same bytes may be sent again.
 * - `denied`: rights or configuration are wrong; waiting alone does not help.
 */
export type ObjectStoreErrorKind = "not-found" | "already-exists" | "unavailable" | "unknown" | "denied";

/** A failed call of an {@link ObjectStore}. */
export class ObjectStoreError extends Error {
  override readonly name = "ObjectStoreError";
  readonly kind: ObjectStoreErrorKind;

  /** @param message the operation, the key and what was met */
  constructor(kind: ObjectStoreErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** A part of an object: bytes [start, start + length). */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/** One row of a listing. */
export interface ObjectSummary {
  readonly key: string;
  readonly bytes: number;
}

/** Every call honours its signal; when it aborts, the outcome of a put or delete is unknown. */
export interface CallOptions {
  readonly signal: AbortSignal;
  /** Work that no client waits for: a store with several pools of connections keeps its puts and gets out of their way. */
  readonly isBackground?: boolean;
}

/** How an object is written. */
export interface PutOptions extends CallOptions {
  /** Fail with `already-exists` rather than replace an object. */
  readonly ifAbsent: boolean;
  /**
   * The caller promises that nobody ever writes into the parts again, also after the put: a store may then keep them
   * where it would have to copy. Without it they only have to stay as they are until the put has settled.
   */
  readonly areFinal?: boolean;
}

/**
 * A bucket (or the part of one below a prefix). Keys are `/`-separated, 1 to 1,024 bytes, no empty, `.` or `..` parts.
 * A put is atomic and durable when it resolves; a read after a resolved put sees it.
 */
export interface ObjectStore {
  /** Writes the concatenation of `parts`, whole or not at all. */
  put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void>;
  /**
   * Reads an object or a part of it. A range that begins inside the object and ends past it gives what is there; one
   * that begins at or past its end fails with `not-found`. The bytes belong to the caller.
   */
  get(key: string, options: CallOptions & { range?: ByteRange }): Promise<Uint8Array>;
  /** The size of an object. */
  head(key: string, options: CallOptions): Promise<{ bytes: number }>;
  /** At most `limit` (1 to 1,000) objects whose key begins with `prefix` and is greater than `startAfter`, ascending. */
  list(
    prefix: string,
    options: CallOptions & { startAfter?: string; limit: number },
  ): Promise<{ objects: ObjectSummary[]; isTruncated: boolean }>;
  /** Removes up to 1,000 objects; absent ones count as removed. */
  delete(keys: readonly string[], options: CallOptions): Promise<void>;
}
