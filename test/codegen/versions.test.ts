import { expect, it } from "vitest";
import {
  contains,
  formatVersions,
  includes,
  intersect,
  isEmpty,
  listVersions,
  NONE,
  parseVersions,
} from "../../codegen/versions.ts";

it("reads and writes every spelling of a range", () => {
  for (const text of ["0", "3", "0-5", "2+", "none"])
    expect(formatVersions(parseVersions(text) ?? { lowest: 9, highest: 9 })).toBe(text);
  for (const text of ["", "5-2", "a", "1-", "-1", "1+2", "1 - 2"]) expect(parseVersions(text)).toBeUndefined();
});

it("knows what is in a range and what two ranges share", () => {
  const open = { lowest: 3, highest: Infinity };
  expect([2, 3, 99].map((version) => includes(open, version))).toEqual([false, true, true]);
  expect(intersect(open, { lowest: 0, highest: 5 })).toEqual({ lowest: 3, highest: 5 });
  expect(isEmpty(intersect(open, { lowest: 0, highest: 2 }))).toBe(true);
  expect(contains(open, NONE)).toBe(true);
  expect(contains({ lowest: 3, highest: 9 }, open)).toBe(false);
  expect(listVersions({ lowest: 2, highest: 4 })).toEqual([2, 3, 4]);
  expect(() => listVersions(open)).toThrow("have no end");
});
