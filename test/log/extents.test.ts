// The index of pending extents against a plain list.
import fc from "fast-check";
import { expect, it } from "vitest";
import { Extents } from "../../src/log/extents.ts";
import { extentsOf } from "./sample-extents.ts";

it("finds the extent of any offset, from any log start, as a linear scan does", () => {
  const counts = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 30 });
  fc.assert(
    fc.property(counts, fc.nat(100), fc.nat(160), (list, logStart, offset) => {
      const extents = new Extents();
      const all = extentsOf(list);
      for (const extent of all) extents.push(extent);
      const dropped = extents.dropBelow(logStart);
      expect(dropped).toEqual(all.filter((extent) => extent.endOffset <= logStart));
      const kept = all.filter((extent) => extent.endOffset > logStart);
      expect(extents.all).toEqual(kept);
      expect(extents.bytes).toBe(kept.reduce((sum, extent) => sum + extent.length, 0));
      expect([...extents.from(offset)]).toEqual(kept.filter((extent) => extent.endOffset > offset));
    }),
  );
});

it("refuses an extent that does not continue the last one", () => {
  const extents = new Extents();
  const [first, second, third] = extentsOf([1, 2, 3]);
  if (!first || !second || !third) throw new Error("three extents were made");
  extents.push(first);
  expect(() => extents.push(third)).toThrow("does not continue");
  extents.push(second);
  expect(extents.all.length).toBe(2);
});

it("replaces a run only while all of it is there, and keeps count of the bytes", () => {
  const extents = new Extents();
  const all = extentsOf([1, 2, 3, 4]);
  for (const extent of all) extents.push(extent);
  const [first, second, third, fourth] = all;
  if (!first || !second || !third || !fourth) throw new Error("four extents were made");
  const merged = { ...second, endOffset: third.endOffset, length: 7 };
  expect(extents.replace([second, fourth], { ...second, endOffset: fourth.endOffset })).toBe(false);
  expect(extents.replace([], merged)).toBe(false);
  expect(extents.replace([second, third], merged)).toBe(true);
  expect(extents.all).toEqual([first, merged, fourth]);
  expect(extents.bytes).toBe(10 + 7 + 40);
  expect(extents.replace([second, third], merged)).toBe(false);
  expect(() => extents.replace([first, merged], { ...first, endOffset: 2 })).toThrow("replace 0 to 6");
});
