import { expect, it } from "vitest";
import { References } from "../../src/wire/references.ts";

const own = Uint8Array.of(1, 2, 3, 4, 5, 6);
const [a, b] = [Uint8Array.of(10, 11), Uint8Array.of(20)];

it("gives the message's own bytes and what is referenced between them, in order", () => {
  const references = new References();
  references.add(0, a);
  references.add(4, b);
  expect(references.between(own).map((part) => [...part])).toEqual([[10, 11], [1, 2, 3, 4], [20], [5, 6]]);
  expect([references.bytesAfter(-1), references.bytesAfter(0), references.bytesAfter(4)]).toEqual([3, 1, 0]);
});

it("follows the bytes behind a mark when they move", () => {
  const references = new References();
  references.add(2, a);
  references.add(3, b);
  references.moveAfter(2, 2);
  expect(references.between(own).map((part) => [...part])).toEqual([[1, 2], [10, 11], [3, 4, 5], [20], [6]]);
});

it("always gives one part, and none of an earlier message", () => {
  const references = new References();
  references.add(6, a);
  references.clear();
  expect(references.between(own)).toEqual([own]);
  expect(references.between(new Uint8Array(0))).toHaveLength(1);
});
