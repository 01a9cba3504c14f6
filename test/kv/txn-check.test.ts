// The limits of a transaction, at each and one past it.
import { expect, it } from "vitest";
import {
  checkKey,
  checkTxn,
  copyEntry,
  KEY_LENGTH_MAX,
  refusalIfAborted,
  TXN_BYTES_MAX,
} from "../../src/kv/txn-check.ts";

it("counts the bytes of keys, values and compared values in both branches", () => {
  const value = new Uint8Array(TXN_BYTES_MAX / 4);
  const txn = (last: Uint8Array) => ({
    compare: [{ key: "é", target: "value", equals: value } as const],
    then: [{ type: "put", key: "b", value } as const, { type: "get", key: "c" } as const],
    otherwise: [{ type: "put", key: "d", value } as const, { type: "put", key: "e", value: last } as const],
  });
  const keyBytes = 2 + 4;
  expect(() => checkTxn(txn(value.subarray(keyBytes)))).not.toThrow();
  expect(() => checkTxn(txn(value.subarray(keyBytes - 1)))).toThrow(`${TXN_BYTES_MAX + 1} bytes`);
});

it("takes keys of one character up to the bound and no others", () => {
  checkKey("k");
  checkKey("k".repeat(KEY_LENGTH_MAX));
  expect(() => checkKey("")).toThrow("0 characters");
  expect(() => checkKey("k".repeat(KEY_LENGTH_MAX + 1))).toThrow("4097 characters");
});

it("lets both branches write the same key, and one branch read what it writes", () => {
  const put = { type: "put", key: "a", value: new Uint8Array() } as const;
  expect(() => checkTxn({ compare: [], then: [put, { type: "get", key: "a" }], otherwise: [put] })).not.toThrow();
  expect(() => checkTxn({ compare: [], then: [], otherwise: [put, { type: "delete", key: "a" }] })).toThrow("twice");
});

it("says that a call given up before it was sent was not done, with the reason", () => {
  const reason = new Error("stopped");
  expect(refusalIfAborted(AbortSignal.abort(reason), "a get")).toMatchObject({ kind: "unavailable", cause: reason });
  expect(refusalIfAborted(new AbortController().signal, "a get")).toBeUndefined();
});

it("copies an entry with its value", () => {
  const entry = { key: "a", value: new Uint8Array([1]), createRevision: 2, modRevision: 3 };
  const copy = copyEntry(entry);
  expect(copy).toEqual(entry);
  expect(copy.value).not.toBe(entry.value);
});
