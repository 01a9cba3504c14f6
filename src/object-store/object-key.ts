// What an object key may be. Narrower than S3's rule, so that every side of the seam can hold every key.
import { invariant } from "../invariant.ts";

/** Longest key in bytes, S3's limit. */
export const OBJECT_KEY_BYTES_MAX = 1024;
/** Most objects that one listing or one deletion may name, S3's limit. */
export const OBJECTS_PER_CALL_MAX = 1000;

const keyPattern = /^[A-Za-z0-9._~-]+(\/[A-Za-z0-9._~-]+)*$/;
const dotsPattern = /(^|\/)\.{1,2}(\/|$)/;

/** Whether `key` has 1 to {@link OBJECT_KEY_BYTES_MAX} bytes in non-empty parts of `[A-Za-z0-9._~-]`, none `.` or `..`. */
export function isObjectKey(key: string): boolean {
  return key.length <= OBJECT_KEY_BYTES_MAX && keyPattern.test(key) && !dotsPattern.test(key);
}

/** Refuses what is no key: a bug of the caller. */
export function checkObjectKey(key: string): void {
  invariant(isObjectKey(key), `not an object key: ${JSON.stringify(key.slice(0, 100))}`);
}

/** Refuses a deletion of more than {@link OBJECTS_PER_CALL_MAX} objects: a bug of the caller. */
export function checkObjectCount(count: number): void {
  invariant(count <= OBJECTS_PER_CALL_MAX, `${count} objects in one deletion`);
}

/** Refuses a page size outside 1 to {@link OBJECTS_PER_CALL_MAX}: a bug of the caller. */
export function checkListLimit(limit: number): void {
  invariant(Number.isInteger(limit) && limit >= 1 && limit <= OBJECTS_PER_CALL_MAX, `a listing of ${limit} objects`);
}
