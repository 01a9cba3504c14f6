// Which flushes hold pending extents, against a plain filter.
import fc from "fast-check";
import { expect, it } from "vitest";
import { FlushNumbers } from "../../src/log/flush-numbers.ts";
import { extentsOf } from "./sample-extents.ts";

it("names the lowest flush in any range, in whatever order extents came", () => {
  const flushes = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 30 });
  fc.assert(
    fc.property(flushes, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), (list, from, to) => {
      const numbers = new FlushNumbers();
      const [sample] = extentsOf([1]);
      if (!sample) throw new Error("one extent was made");
      for (const flush of list) numbers.add({ ...sample, flush });
      const within = list.filter((flush) => flush >= from && flush <= to);
      expect(numbers.lowest("s", from, to)).toBe(within.length === 0 ? undefined : Math.min(...within));
      expect(numbers.lowest("another", from, to)).toBeUndefined();
    }),
  );
});

it("forgets a flush with the last extent of it that leaves, whatever else came and went", () => {
  const [sample] = extentsOf([1]);
  if (!sample) throw new Error("one extent was made");
  const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 8 })), { maxLength: 60 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 9 }), (list, from) => {
      const numbers = new FlushNumbers();
      const present: number[] = [];
      for (const [isAdded, flush] of list) {
        const at = present.indexOf(flush);
        if (isAdded) {
          present.push(flush);
          numbers.add({ ...sample, flush });
        } else if (at >= 0) {
          present.splice(at, 1);
          numbers.remove({ ...sample, flush });
        }
        const within = present.filter((candidate) => candidate >= from);
        expect(numbers.lowest("s", from)).toBe(within.length === 0 ? undefined : Math.min(...within));
      }
      expect(() => numbers.remove({ ...sample, flush: 9 })).toThrow("holds no pending extent");
    }),
  );
});
