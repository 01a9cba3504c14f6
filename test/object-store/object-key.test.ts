// What an object key may be, and how many objects one call may name: at each bound and one past it.
import { expect, it } from "vitest";
import {
  checkListLimit,
  checkObjectCount,
  checkObjectKey,
  isObjectKey,
  OBJECT_KEY_BYTES_MAX,
  OBJECTS_PER_CALL_MAX,
} from "../../src/object-store/object-key.ts";

it("takes parts of letters, digits and ._~- up to its length", () => {
  for (const key of ["a", "a/b", "A.b_c~d-e/0", "...", "a/..b", ".a", "k".repeat(OBJECT_KEY_BYTES_MAX)]) {
    expect([key, isObjectKey(key)]).toEqual([key, true]);
  }
  for (const key of ["", "/", "a/", "/a", "a//b", ".", "..", "../a", "a/./b", "a b", "a+b", "a\\b", "ü"]) {
    expect([key, isObjectKey(key)]).toEqual([key, false]);
  }
  expect(() => checkObjectKey("k".repeat(OBJECT_KEY_BYTES_MAX + 1))).toThrow("not an object key");
});

it("takes up to 1,000 objects in a deletion and 1 to 1,000 in a listing", () => {
  checkObjectCount(0);
  checkObjectCount(OBJECTS_PER_CALL_MAX);
  checkListLimit(1);
  checkListLimit(OBJECTS_PER_CALL_MAX);
  expect(() => checkObjectCount(OBJECTS_PER_CALL_MAX + 1)).toThrow("1001 objects");
  expect(() => checkListLimit(0)).toThrow("0 objects");
  expect(() => checkListLimit(OBJECTS_PER_CALL_MAX + 1)).toThrow("1001 objects");
});
