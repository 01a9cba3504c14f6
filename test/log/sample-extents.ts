// Extents for tests: dense, one flush each.
import type { Extent } from "../../src/log/extents.ts";
import type { StoredReads } from "../../src/log/stretch.ts";

const refused = () => {
  throw new Error("nothing is read here");
};

/** For a log of which nothing is read. */
export const noReads: StoredReads = {
  stretchOf: refused,
  stretchesOf: refused,
  loadStretches: refused,
  readStretch: refused,
  noteDangling: refused,
};

/** Extents that hold `counts` offsets each, from offset 0 on. */
export function extentsOf(counts: readonly number[], sessionId = "s"): Extent[] {
  let next = 0;
  return counts.map((count, index) => {
    const baseOffset = next;
    next += count;
    return {
      sessionId,
      flush: index + 1,
      position: 0,
      length: count * 10,
      crc32c: 0,
      baseOffset,
      endOffset: next,
      leaderEpoch: 1,
      firstTimestampMs: 0,
      lastTimestampMs: 0,
      maxTimestampMs: 0,
      tailBytes: null,
    };
  });
}
