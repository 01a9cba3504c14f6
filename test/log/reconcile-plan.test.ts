// When extents become segments or groups, and which segments become one: against the rules as a table.
import { expect, it } from "vitest";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import {
  batchesOf,
  defaultReconcile,
  fitting,
  oldestExtents,
  planReconcile,
  segmentBytesOf,
  segmentsToMerge,
} from "../../src/log/reconcile-plan.ts";
import type { SegmentEntry } from "../../src/objects/checkpoint-lists.ts";
import { extentsOf, logOf } from "./sample-extents.ts";

const KIB = 1024;
const MINUTE_MS = 60_000;

/** A partition in which `bytes` have been pending since the moment 0. */
function pending(bytes: number, sinceMs = 0): PartitionLog {
  const extents = bytes === 0 ? [] : extentsOf([1]).map((extent) => ({ ...extent, length: bytes }));
  return logOf(extents, { sinceMs });
}

function planned(logs: readonly PartitionLog[], nowMs: number): [number[], number[], boolean] {
  const { large, small, isSmallDue } = planReconcile(logs, nowMs, defaultReconcile);
  return [large.map((log) => logs.indexOf(log)), small.map((log) => logs.indexOf(log)), isSmallDue];
}

it("reconciles 4 MiB at once, and anything after ten minutes", () => {
  const logs = [0, 100, 256 * KIB, 4096 * KIB - 1, 4096 * KIB].map((bytes) => pending(bytes));
  expect(planned(logs, 0)).toEqual([[4], [], false]);
  expect(planned(logs, 10 * MINUTE_MS)).toEqual([[4], [1, 2, 3], false]);
  expect(planned(logs, 10 * MINUTE_MS + 1)).toEqual([[4], [1, 2, 3], true]);
});

it("takes along what would be due before long", () => {
  const logs = [pending(100), pending(100, 4 * MINUTE_MS), pending(100, 6 * MINUTE_MS)];
  expect(planned(logs, 9 * MINUTE_MS + 1)).toEqual([[], [0, 1], false]);
  expect(planned(logs, 10 * MINUTE_MS + 1)).toEqual([[], [0, 1], true]);
  expect(planned(logs, Number.POSITIVE_INFINITY)).toEqual([[], [0, 1, 2], true]);
});

it("takes the oldest extents up to a size, and one in any case", () => {
  const extents = extentsOf([1, 2, 3]);
  const count = (bytesMax: number) => oldestExtents(extents, bytesMax).length;
  expect([count(1), count(10), count(29), count(30), count(59), count(60)]).toEqual([1, 1, 1, 2, 2, 3]);
});

it("takes as many partitions of a group as fit, those that are too large left out, and the first in any case", () => {
  const logs = [50, 20, 60, 10, 30].map((bytes) => pending(bytes));
  const fits = (bytesMax: number) => fitting(logs, bytesMax).length;
  expect([fits(1), fits(69), fits(70), fits(1_000)]).toEqual([1, 1, 2, 5]);
});

it("works on neighbours that fit into memory together, and on one that does not by itself", () => {
  const batches = (sizes: readonly number[]) =>
    batchesOf(
      sizes.map((bytes) => ({ bytes })),
      100,
    ).map((batch) => batch.map(({ bytes }) => bytes));
  expect(batches([])).toEqual([]);
  expect(batches([30, 70, 1, 99, 101, 5])).toEqual([[30, 70], [1, 99], [101], [5]]);
});

it("cuts smaller segments the more partitions are due, never below a quarter of a whole one", () => {
  const mib = [1, 2, 3, 8, 9, 1_000].map((count) => segmentBytesOf(count, defaultReconcile) / (1024 * KIB));
  expect(mib.map(Math.floor)).toEqual([64, 64, 42, 16, 16, 16]);
});

function segments(sizes: readonly number[]): SegmentEntry[] {
  return sizes.map((bytes, index) => {
    const form = { type: "group", position: 0, crc32c: 0 } as const;
    return { baseOffset: index, endOffset: index + 1, bytes, maxTimestampMs: 0, key: "k", form };
  });
}

it("merges the first eight or more adjacent segments that are each below an eighth, never past a whole one", () => {
  const merged = (sizes: readonly number[]) => {
    const run = segmentsToMerge(segments(sizes), 800, defaultReconcile);
    return run && [run[0]?.baseOffset, run.length];
  };
  const small = (count: number, bytes = 10) => Array.from({ length: count }, () => bytes);
  expect(merged(small(7))).toBeUndefined();
  expect(merged(small(8))).toEqual([0, 8]);
  expect(merged([...small(7), 100, ...small(7)])).toBeUndefined();
  expect(merged([...small(7), 99, ...small(7)])).toEqual([0, 15]);
  expect(merged([500, ...small(7), 100, ...small(9), 500])).toEqual([9, 9]);
  expect(merged(small(20, 99))).toEqual([0, 8]);
});
