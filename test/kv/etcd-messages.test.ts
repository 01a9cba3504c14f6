// Between the seam and etcd's messages: revisions, prefixes, changes of a watch.

import type { IWatchResponse } from "etcd3";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvariantError } from "../../src/invariant.ts";
import { keyAfter, keyRange, toKeyValue, toRevision, toTxnRequest, toWatchBatch } from "../../src/kv/etcd-messages.ts";

describe("toRevision", () => {
  it("takes what a number holds exactly and refuses the rest", () => {
    expect(toRevision("0")).toBe(0);
    expect(toRevision("9007199254740991")).toBe(Number.MAX_SAFE_INTEGER);
    for (const text of ["9007199254740992", "-1", "1.5", "x"]) expect(() => toRevision(text)).toThrow(InvariantError);
  });
});

describe("keyRange", () => {
  it("holds exactly the keys that begin with the prefix", () => {
    const keys = fc.string({ unit: "grapheme", maxLength: 6 });
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 3 }), keys, (prefix, tail) => {
        const { key, range_end: end } = keyRange(prefix);
        const holds = (text: string) =>
          Buffer.compare(Buffer.from(text), key) >= 0 && Buffer.compare(Buffer.from(text), end) < 0;
        expect(holds(prefix + tail)).toBe(true);
        expect(holds(tail)).toBe(Buffer.from(tail).subarray(0, key.length).equals(key));
      }),
    );
  });

  it("gives an empty prefix every key", () => {
    expect(keyRange("")).toEqual({ key: Buffer.of(0), range_end: Buffer.of(0) });
  });
});

describe("keyAfter", () => {
  it("leaves no key between", () => {
    expect(keyAfter("a")).toEqual(Buffer.from("a\0"));
  });
});

describe("toKeyValue", () => {
  it("copies the bytes, and has no lease where etcd says 0", () => {
    const frame = Buffer.from("xvaluex");
    const stored = { key: Buffer.from("é"), create_revision: "2", mod_revision: "3", version: "1", lease: "0" };
    const entry = toKeyValue({ ...stored, value: frame.subarray(1, 6) });
    frame.fill(0);
    expect(entry).toEqual({ key: "é", value: new TextEncoder().encode("value"), createRevision: 2, modRevision: 3 });
    expect(toKeyValue({ ...stored, value: frame, lease: "8131736158219534337" }).lease).toBe("8131736158219534337");
  });
});

describe("toTxnRequest", () => {
  it("says each compare and operation in etcd's words", () => {
    const value = new Uint8Array([1]);
    const request = toTxnRequest({
      compare: [
        { key: "a", target: "create", equals: 0 },
        { key: "b", target: "mod", equals: 7 },
        { key: "c", target: "value", equals: value },
      ],
      then: [
        { type: "put", key: "a", value, lease: "5" },
        { type: "put", key: "b", value },
      ],
      otherwise: [
        { type: "get", key: "a" },
        { type: "delete", key: "b" },
      ],
    });
    const bytes = Buffer.of(1);
    expect(request).toEqual({
      compare: [
        { result: "Equal", target: "Create", key: Buffer.from("a"), create_revision: 0 },
        { result: "Equal", target: "Mod", key: Buffer.from("b"), mod_revision: 7 },
        { result: "Equal", target: "Value", key: Buffer.from("c"), value: bytes },
      ],
      success: [
        { request_put: { key: Buffer.from("a"), value: bytes, lease: "5" } },
        { request_put: { key: Buffer.from("b"), value: bytes, lease: "0" } },
      ],
      failure: [{ request_range: { key: Buffer.from("a") } }, { request_delete_range: { key: Buffer.from("b") } }],
    });
  });
});

describe("toWatchBatch", () => {
  const response = (events: readonly object[]) => ({ header: { revision: "9" }, events }) as unknown as IWatchResponse;
  const kv = { key: Buffer.from("k"), value: Buffer.of(), create_revision: "3", version: "1", lease: "0" };

  it("carries the revision of its last change, not that of the store", () => {
    const batch = toWatchBatch(
      response([
        { type: "Put", kv: { ...kv, mod_revision: "4" } },
        { type: "Delete", kv: { ...kv, mod_revision: "5" } },
      ]),
    );
    expect(batch?.revision).toBe(5);
    expect(batch?.events.map(({ type }) => type)).toEqual(["put", "delete"]);
    expect(batch?.events[1]).toEqual({ type: "delete", key: "k", modRevision: 5 });
  });

  it("is nothing where there are no changes", () => {
    expect(toWatchBatch(response([]))).toBeUndefined();
  });
});
