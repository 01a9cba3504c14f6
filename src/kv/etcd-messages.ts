// Between the words of the seam and etcd's messages. Revisions arrive as decimal text and leave as safe integers; one that
// is not safe is a broken assumption, never rounded. Bytes that leave are copies: a view would keep a whole frame.
import type { IKeyValue, IRequestOp, ITxnRequest, ITxnResponse, IWatchResponse } from "etcd3";
import { invariant } from "../invariant.ts";
import type {
  Compare,
  KeyValue,
  Operation,
  Revision,
  Txn,
  TxnResult,
  WatchBatch,
  WatchEvent,
} from "./key-value-store.ts";

/** A revision out of its decimal text. */
export function toRevision(text: string): Revision {
  const revision = Number(text);
  invariant(Number.isSafeInteger(revision) && revision >= 0, `etcd's revision ${text} is no safe number`);
  return revision;
}

/** First key of the keys below `prefix`, and the first key behind them. An empty prefix stands for every key. */
export function keyRange(prefix: string): { readonly key: Buffer; readonly range_end: Buffer } {
  if (prefix === "") return { key: Buffer.of(0), range_end: Buffer.of(0) };
  const key = Buffer.from(prefix);
  const end = Buffer.from(key);
  // No byte of UTF-8 is 0xff, so the last one always has a successor.
  end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1);
  return { key, range_end: end };
}

/** The key right behind `key`, where the next page of a range begins. */
export function keyAfter(key: string): Buffer {
  return Buffer.concat([Buffer.from(key), Buffer.of(0)]);
}

/** An entry as stored. */
export function toKeyValue(stored: IKeyValue): KeyValue {
  return {
    key: stored.key.toString(),
    value: new Uint8Array(stored.value),
    createRevision: toRevision(stored.create_revision),
    modRevision: toRevision(stored.mod_revision),
    ...(stored.lease === "0" ? {} : { lease: stored.lease }),
  };
}

/** A transaction as etcd takes it. */
export function toTxnRequest({ compare, then, otherwise = [] }: Txn): ITxnRequest {
  return { compare: compare.map(toCompare), success: then.map(toRequest), failure: otherwise.map(toRequest) };
}

/** What a transaction found, for the operations of the branch that ran. */
export function toTxnResult(response: ITxnResponse): TxnResult {
  const results = response.responses.map(({ response_range: range }) => {
    const stored = range?.kvs[0];
    return stored && toKeyValue(stored);
  });
  return { succeeded: response.succeeded, revision: toRevision(response.header.revision), results };
}

/** The changes that a message of a watch carries; undefined when it carries none. */
export function toWatchBatch(response: IWatchResponse): WatchBatch | undefined {
  const events = response.events.map(({ type, kv }): WatchEvent => {
    if (type === "Put") return { type: "put", entry: toKeyValue(kv) };
    return { type: "delete", key: kv.key.toString(), modRevision: toRevision(kv.mod_revision) };
  });
  const last = events.at(-1);
  if (last === undefined) return undefined;
  return { revision: last.type === "put" ? last.entry.modRevision : last.modRevision, events };
}

function toCompare(compare: Compare): NonNullable<ITxnRequest["compare"]>[number] {
  const key = Buffer.from(compare.key);
  switch (compare.target) {
    case "create":
      return { result: "Equal", target: "Create", key, create_revision: compare.equals };
    case "mod":
      return { result: "Equal", target: "Mod", key, mod_revision: compare.equals };
    case "value":
      return { result: "Equal", target: "Value", key, value: asBuffer(compare.equals) };
  }
}

function toRequest(operation: Operation): IRequestOp {
  const key = Buffer.from(operation.key);
  switch (operation.type) {
    case "get":
      return { request_range: { key } };
    case "delete":
      return { request_delete_range: { key } };
    case "put":
      return { request_put: { key, value: asBuffer(operation.value), lease: operation.lease ?? "0" } };
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
