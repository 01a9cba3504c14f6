// An object is told once, however many refer to it, and so is what many shards cannot do without.
import { expect, it } from "vitest";
import { faultFindings, restlessFinding } from "../../src/broker/findings.ts";
import type { ShardReferences } from "../../src/log/shard-references.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";

const none = new Set<string>();
const shard = (number: number, keys: readonly string[], failure?: Error): ShardReferences => ({
  shard: number,
  stamp: "1",
  references: keys.map((key) => ({ type: "parts", key, parts: [], of: `orders-${number}` })),
  dropped: none,
  segmentsEnd: new Map(),
  failure,
});

it("tells an object with the first who refers to it, unless it was told before", () => {
  const faults = new Map([
    ["a", { kind: "missing", text: "gone" } as const],
    ["b", { kind: "damaged", text: "cut" } as const],
  ]);
  const shards = [shard(1, ["a", "b", "c"]), shard(2, ["a"])];
  const told = { kind: "missing", key: "a", text: "gone; orders-1 refers to it", isRemovable: false };
  expect(faultFindings(shards, faults, new Set(["b"]))).toEqual([told]);
  expect(faultFindings(shards, faults, none).map(({ key }) => key)).toEqual(["a", "b"]);
});

it("tells of shards together that fail for one reason, and tells damage from silence", () => {
  const reason = () => new Error("no shard", { cause: new Error("ckpt/1 is gone") });
  const failing = Array.from({ length: 25 }, (_, number) => shard(number, [], reason()));
  const silent = shard(99, [], new ObjectStoreError("unavailable", "503"));
  const [damage, silence, ...rest] = faultFindings([...failing, silent], new Map(), none);
  expect(damage).toMatchObject({ kind: "unreadable", text: "no shard: ckpt/1 is gone" });
  expect(damage?.key).toMatch(/^shards 0, 1, .*19 and 5 more$/);
  expect(silence).toMatchObject({ kind: "unknown", key: "shard 99", text: "503" });
  expect(rest).toEqual([]);
});

it("says unknown of shards that change with each look", () => {
  expect(restlessFinding([shard(3, []), shard(4, [])], 8)).toMatchObject({ kind: "unknown", key: "shards 3, 4" });
});
