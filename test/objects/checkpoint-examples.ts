// A section with something in every field, shared by the tests of checkpoints.
import type { PendingExtent, ProducerEntry, SegmentEntry, SubBlockRef } from "../../src/objects/checkpoint-lists.ts";
import type { CheckpointSection } from "../../src/objects/checkpoint-section.ts";

/** Two sessions that wrote the example's extents. */
export const OLD_SESSION = "00112233445566778899aabb";
export const NEW_SESSION = "ffeeddccbbaa998877665544";

/** The partition whose lists the examples are. */
export const address = { topicId: "AQIDBAUGBwgJCgsMDQ4PEA", partition: 3 };

/** Pending extents of both sessions. */
export const examplePending: readonly PendingExtent[] = [
  {
    sessionId: OLD_SESSION,
    n: 4_000_000,
    shardEpoch: 8,
    baseOffset: 100,
    offsetCount: 50,
    position: 4096,
    length: 1234,
    firstTimestampMs: 1_700_000_000_000,
    lastTimestampMs: 1_700_000_000_500,
    maxTimestampMs: 1_700_000_000_500,
    crc32c: 0xcafe_babe,
  },
  {
    sessionId: NEW_SESSION,
    n: 12,
    shardEpoch: 9,
    baseOffset: 150,
    offsetCount: 1,
    position: 0,
    length: 70,
    firstTimestampMs: -1,
    lastTimestampMs: Number.MAX_SAFE_INTEGER,
    maxTimestampMs: Number.MIN_SAFE_INTEGER,
    crc32c: 7,
  },
];

/** Producers with and without remembered batches. */
export const exampleProducers: readonly ProducerEntry[] = [
  {
    producerId: 1000,
    producerEpoch: 0,
    lastTimestampMs: 1_700_000_000_500,
    batches: [
      { firstSequence: 0, lastSequence: 4, baseOffset: 100, timestampMs: 1_700_000_000_000 },
      { firstSequence: 2_147_483_647, lastSequence: 0, baseOffset: 105, timestampMs: -1 },
    ],
  },
  { producerId: 1001, producerEpoch: 32_767, lastTimestampMs: -1, batches: [] },
];

const firstSegment = {
  baseOffset: 0,
  endOffset: 100,
  bytes: 5000,
  maxTimestampMs: 1_699_999_999_999,
  key: "p/t/i/3/a.kfs",
};

/** A segment of its own, and a part of a group. */
export const exampleSegments: readonly SegmentEntry[] = [
  { ...firstSegment, form: { type: "segment", indexKey: "p/t/i/3/a.index", indexBytes: 40 } },
  {
    baseOffset: 100,
    endOffset: 101,
    bytes: 70,
    maxTimestampMs: -1,
    key: "p/grp/7/a-1",
    form: { type: "group", position: 4096, crc32c: 0xcafe_babe },
  },
];

/** How version 1, which knew no groups and no length of an index, is read. */
export const exampleSegmentsV1: readonly SegmentEntry[] = [
  { ...firstSegment, form: { type: "segment", indexKey: "p/t/i/3/a.index", indexBytes: 5000 } },
];

/** A section of shard 1023 whose lists are stored as told. */
export function exampleSection(stored: {
  readonly pending?: SubBlockRef;
  readonly producers?: SubBlockRef;
  readonly fold?: SubBlockRef;
  readonly segments?: SubBlockRef;
}): CheckpointSection {
  return {
    shard: 1023,
    epoch: 9,
    covers: [{ sessionId: NEW_SESSION, n: 120 }],
    partitions: [
      {
        ...address,
        logStart: 90,
        logEnd: 151,
        pendingFrom: 100,
        leaderEpochs: [
          { leaderEpoch: 8, startOffset: 0 },
          { leaderEpoch: 9, startOffset: 150 },
        ],
        pending: { stored: stored.pending, removed: [], added: examplePending.slice(1) },
        producers: { stored: stored.producers, removed: [999], added: exampleProducers },
        fold: {
          stored: stored.fold,
          removed: [new Uint8Array([9])],
          added: [{ key: new Uint8Array(), value: new Uint8Array([0, 255]) }],
        },
        segments: { stored: stored.segments, removed: [0], added: exampleSegments },
        openTransactions: [
          { producerId: 1000, producerEpoch: 0, firstOffset: 120, startTimestampMs: 1_700_000_000_400 },
        ],
      },
    ],
    dropped: ["p/topic/old.kfs"],
  };
}
