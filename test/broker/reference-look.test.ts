// An object that is gone, one that is damaged and one of which nobody can tell are three things.
import { beforeEach, expect, it } from "vitest";
import { ReferenceLook } from "../../src/broker/reference-look.ts";
import type { Reference } from "../../src/log/reference-check.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { VerifiedWorld } from "./verified-world.ts";

let world: VerifiedWorld;
const reference = (key: string): Reference => ({ type: "parts", key, parts: [], of: "orders-0" });
const references = new Map(["test/a", "test/b", "test/c"].map((key) => [key, [reference(key)]]));

beforeEach(async () => {
  world = new VerifiedWorld();
  await world.identify();
  await world.put("test/a", new Uint8Array(20));
  await world.put("test/b", new Uint8Array(19));
});

const look = (isDeep: boolean) => new ReferenceLook(world.guarded, { isDeep });

it("tells missing from damaged, and passes over what nobody refers to", async () => {
  let count = 0;
  const keys = [...references.keys(), "test/d"];
  const faults = await world.complete(look(false).faults(keys, references, () => count++));
  const kinds = [...faults].map(([key, { kind }]) => `${key} ${kind}`);
  expect(kinds.sort()).toEqual(["test/b damaged", "test/c missing"]);
  expect(count).toBe(4);
});

it("reads the bytes where it is told to", async () => {
  const faults = await world.complete(look(true).faults(["test/a"], references, () => {}));
  expect(faults.get("test/a")).toMatchObject({ kind: "damaged", text: expect.stringContaining("magic") as string });
});

it("says which objects stand, with their sizes", async () => {
  const standing = await world.complete(look(false).standing(["test/a", "test/c"]));
  expect([...standing]).toEqual([["test/a", 20]]);
});

it("says unknown of one object that answers nothing, and gives up a store that does not or that denies", async () => {
  const { memoryStore } = world;
  const refuse = () => Promise.reject(new ObjectStoreError("unavailable", "503"));
  memoryStore.head = refuse;
  const faults = await world.complete(look(false).faults(["test/a"], references, () => {}));
  expect(faults.get("test/a")).toEqual({ kind: "unknown", text: "503" });
  memoryStore.get = refuse;
  await expect(world.complete(look(false).faults(["test/a"], references, () => {}))).rejects.toThrow("503");
  memoryStore.head = () => Promise.reject(new ObjectStoreError("denied", "no rights"));
  await expect(world.complete(look(false).standing(["test/a"]))).rejects.toThrow("no rights");
});
