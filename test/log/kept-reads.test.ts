// What is kept of older records: within its bytes, and in which order it leaves.
import fc from "fast-check";
import { expect, it } from "vitest";
import { type Kept, KeptReads } from "../../src/log/kept-reads.ts";

const entryOf = (bytes: number): Kept => ({ bytes: new Uint8Array(bytes) });

function keptOf(bytesMax: number) {
  const evicted: string[] = [];
  const kept = new KeptReads<Kept>(bytesMax, (name) => void evicted.push(name));
  return { kept, evicted };
}

it("lets go of what readers have had first, then of what was touched the longest time ago", () => {
  const { kept, evicted } = keptOf(40);
  for (const name of ["a", "b", "c", "d"]) kept.set(name, entryOf(10), "next");
  kept.noteDone("c");
  kept.get("a");
  for (const name of ["e", "f", "g"]) kept.set(name, entryOf(10), "next");
  expect(evicted).toEqual(["c", "b", "d"]);
  expect([kept.has("a"), kept.has("e"), kept.has("b")]).toEqual([true, true, false]);
});

it("leaves a quarter to what is kept for many, and the rest to what waits for its reader", () => {
  const { kept, evicted } = keptOf(40);
  for (const name of ["m1", "m2", "m3"]) kept.set(name, entryOf(10), "many");
  for (const name of ["n1", "n2", "n3", "n4"]) kept.set(name, entryOf(10), "next");
  expect(evicted).toEqual(["m1", "m2", "n1"]);
  kept.set("m4", entryOf(10), "many");
  expect(evicted.slice(3)).toEqual(["m3"]);
});

it("has room for everything but what waits for its reader, and a quarter at most for many", () => {
  const { kept } = keptOf(40);
  expect(kept.roomBytes).toBe(40);
  kept.set("m1", entryOf(5), "many");
  expect(kept.roomBytes).toBe(35);
  for (const name of ["m2", "m3", "m4"]) kept.set(name, entryOf(5), "many");
  kept.set("n1", entryOf(15), "next");
  expect(kept.roomBytes).toBe(15);
  kept.noteDone("n1");
  expect(kept.roomBytes).toBe(30);
});

it("takes the room back from what nobody comes to read while all of it is filled several times, and not from what is", () => {
  const { kept } = keptOf(40);
  kept.set("lost", entryOf(10), "next");
  kept.set("slow", entryOf(10), "next");
  for (let index = 0; index < 100; index++) {
    kept.set(`read ${index}`, entryOf(10), "next");
    kept.noteDone(`read ${index}`);
    if (index % 10 === 0) expect(kept.get("slow")).toBeDefined();
    if (index < 10) expect([kept.has("lost"), kept.roomBytes]).toEqual([true, 20]);
  }
  expect([kept.has("lost"), kept.roomBytes]).toEqual([false, 30]);
});

it("keeps nothing that is larger than all of it, and forgets what had the name", () => {
  const { kept, evicted } = keptOf(10);
  kept.set("a", entryOf(5), "next");
  kept.set("a", entryOf(11), "many");
  expect([kept.has("a"), kept.bytes, evicted.length]).toEqual([false, 0, 0]);
});

it("never keeps more than its bytes, and has one entry of a name, whatever is done", () =>
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          what: fc.constantFrom("next", "many", "done", "get", "delete"),
          name: fc.constantFrom("a", "b", "c", "d", "e"),
          bytes: fc.nat(30),
        }),
        { maxLength: 60 },
      ),
      (steps) => {
        const { kept, evicted } = keptOf(50);
        const expected = new Map<string, number>();
        for (const { what, name, bytes } of steps) {
          if (what === "next" || what === "many") {
            kept.set(name, entryOf(bytes), what);
            expected.set(name, bytes);
          } else if (what === "done") kept.noteDone(name);
          else if (what === "get") expect(kept.get(name)?.bytes.length).toBe(expected.get(name));
          else {
            kept.delete(name);
            expected.delete(name);
          }
          for (const gone of evicted.splice(0)) expected.delete(gone);
          const sum = [...expected.values()].reduce((total, one) => total + (one || 1), 0);
          expect([...expected].map(([key]) => kept.peek(key)?.bytes.length)).toEqual([...expected.values()]);
          expect(kept.bytes).toBe(sum);
          expect(kept.bytes).toBeLessThanOrEqual(50);
          expect(kept.roomBytes).toBeGreaterThanOrEqual(0);
        }
      },
    ),
  ));
