// What the witness of the stores reads out of what passes by: the footer of an object, the entry that a transaction is to
// write, and what the transaction weighs.
import type { KeyValue, Txn } from "../../src/kv/key-value-store.ts";
import { decodeWalFooter, decodeWalTrailer, type WalFooter } from "../../src/objects/wal-object.ts";

/** The footer of a WAL object. */
export function footerOf(object: Uint8Array): WalFooter {
  const { position, length } = decodeWalTrailer(object, object.length);
  return decodeWalFooter(object.subarray(position, position + length), object.length);
}

/** What a put of a transaction writes. @throws Error for another operation */
export function entryOf(operation: Txn["then"][number] | undefined): KeyValue {
  if (operation?.type !== "put") throw new Error("no put");
  return { key: operation.key, value: operation.value, createRevision: 1, modRevision: 1 };
}

/** Bytes of its keys and values, and 16 for each comparison. */
export function txnBytes(txn: Txn): number {
  let bytes = 0;
  for (const compare of txn.compare) bytes += compare.key.length + 16;
  for (const operation of [...txn.then, ...(txn.otherwise ?? [])]) {
    bytes += operation.key.length + (operation.type === "put" ? operation.value.length : 0);
  }
  return bytes;
}
