// What generated decoders allocate. A count is announced by the peer, so at most 64 KiB are taken on its word; a longer
// array grows as its elements arrive.

/** Most elements allocated at once: 64 KiB of slots. */
const PREALLOCATED_ELEMENTS_MAX = 8192;

/** No bytes: the default of every byte field. */
export const EMPTY_BYTES = new Uint8Array(0);

/** An array to be filled in order from index 0 with `count` elements. */
export function newArray<T>(count: number): T[] {
  // Many arrays are empty, and the literal is four times cheaper.
  if (count === 0) return [];
  // oxlint-disable-next-line unicorn/no-new-array -- the argument is the length
  return count <= PREALLOCATED_ELEMENTS_MAX ? new Array<T>(count) : [];
}
