// The limits that every side of the key-value store enforces before a transaction leaves the caller. They lie below
// etcd's own defaults (128 operations, 1.5 MiB), so that a transaction that passes here passes there.
import { invariant } from "../invariant.ts";
import { type KeyValue, KvError, type Operation, type Txn } from "./key-value-store.ts";

/** Most entries in each list of a transaction (invariant I16). */
export const TXN_ENTRIES_MAX = 64;
/** Most bytes of keys and values in one transaction. */
export const TXN_BYTES_MAX = 256 * 1024;
/** Longest key in UTF-16 units; also the room a lease name or a revision takes is counted with it. */
export const KEY_LENGTH_MAX = 4096;

/**
 * Refuses a transaction that no store would take.
 * @throws KvError `too-large` past {@link TXN_ENTRIES_MAX} or {@link TXN_BYTES_MAX}
 * @throws InvariantError for an empty or overlong key, or one that is written twice in one branch
 */
export function checkTxn(txn: Txn): void {
  const lists = [txn.compare, txn.then, txn.otherwise ?? []];
  for (const list of lists) {
    if (list.length > TXN_ENTRIES_MAX) {
      throw new KvError("too-large", `a list of the transaction has ${list.length} entries, above ${TXN_ENTRIES_MAX}`);
    }
  }
  checkWrittenOnce(txn.then);
  checkWrittenOnce(txn.otherwise ?? []);
  const bytes = txnBytes(txn);
  if (bytes > TXN_BYTES_MAX) {
    throw new KvError("too-large", `the transaction has ${bytes} bytes, above ${TXN_BYTES_MAX}`);
  }
}

/** Refuses an empty or overlong key. */
export function checkKey(key: string): void {
  invariant(key.length > 0 && key.length <= KEY_LENGTH_MAX, `a key has ${key.length} characters`);
}

/** The error of a call whose signal was aborted before anything was done, or `undefined`. */
export function refusalIfAborted(signal: AbortSignal, what: string): KvError | undefined {
  if (!signal.aborted) return undefined;
  return new KvError("unavailable", `${what} was given up before it was sent`, { cause: signal.reason });
}

/** `entry` with a value of its own, so that neither side can change the other's bytes. */
export function copyEntry(entry: KeyValue): KeyValue {
  return { ...entry, value: entry.value.slice() };
}

function checkWrittenOnce(operations: readonly Operation[]): void {
  const written = new Set<string>();
  for (const operation of operations) {
    if (operation.type === "get") continue;
    invariant(!written.has(operation.key), `key ${operation.key} is written twice in one transaction`);
    written.add(operation.key);
  }
}

function txnBytes(txn: Txn): number {
  let bytes = 0;
  for (const entry of [...txn.compare, ...txn.then, ...(txn.otherwise ?? [])]) {
    checkKey(entry.key);
    bytes += Buffer.byteLength(entry.key);
    if ("value" in entry) bytes += entry.value.byteLength;
    if ("equals" in entry && typeof entry.equals !== "number") bytes += entry.equals.byteLength;
  }
  return bytes;
}
