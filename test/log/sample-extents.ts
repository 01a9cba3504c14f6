// Extents for tests: dense, one flush each; and logs of nothing but them.
import type { Extent } from "../../src/log/extents.ts";
import { PartitionLog } from "../../src/log/partition-log.ts";
import { ShardPlaces } from "../../src/log/shard-places.ts";
import type { StoredReads } from "../../src/log/stretch.ts";

const refused = () => {
  throw new Error("nothing is read here");
};

/** For a log of which nothing is read. */
const noReads: StoredReads = {
  stretchOf: refused,
  stretchAt: refused,
  loadStretchAt: refused,
  stepsFrom: refused,
  readStretch: refused,
  noteDone: refused,
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

/** The log of a partition in which `extents` have been pending since `sinceMs`. */
export function logOf(
  extents: readonly Extent[],
  { sinceMs = 0, partition = 0, topicId = "AAECAwQFBgcICQoLDA0ODw" } = {},
): PartitionLog {
  const term = {
    leaderEpoch: 1,
    requireWritable: () => {},
    requireReadable: () => {},
    enqueue: () => {},
    reads: noReads,
    places: new ShardPlaces(() => {}),
    monotonicMs: () => sinceMs,
  };
  const log = new PartitionLog({ topicId, partition, isInternal: false }, term);
  log.restore(0, { extents: [...extents] }, extents.at(-1)?.endOffset ?? 0);
  return log;
}
