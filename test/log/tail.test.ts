// The tail: the newest bytes within the bound, the oldest flush gone first.
import { expect, it } from "vitest";
import { Tail } from "../../src/log/tail.ts";
import { extentsOf } from "./sample-extents.ts";

it("keeps the newest flushes within its bytes and lets go of whole older ones", () => {
  const tail = new Tail(100);
  const extents = extentsOf([1, 1, 1, 1]);
  for (const extent of extents) {
    extent.tailBytes = new Uint8Array(40);
    tail.add([extent], 40);
  }
  expect(extents.map(({ tailBytes }) => tailBytes !== null)).toEqual([false, false, true, true]);
  expect(tail.bytes).toBe(80);
});

it("holds nothing of a flush larger than the whole tail", () => {
  const tail = new Tail(10);
  const [extent] = extentsOf([1]);
  if (!extent) throw new Error("one extent was made");
  extent.tailBytes = new Uint8Array(11);
  tail.add([extent], 11);
  expect([tail.bytes, extent.tailBytes]).toEqual([0, null]);
});

it("stays within its bytes over thousands of flushes, and is empty after the session", () => {
  const tail = new Tail(1_000);
  for (let n = 0; n < 5_000; n++) {
    tail.add(extentsOf([1]), 7);
    expect(tail.bytes).toBeLessThanOrEqual(1_000);
  }
  tail.clear();
  expect(tail.bytes).toBe(0);
});
