// What a shard lets go of: an object only with the last that refers to it.
import { expect, it } from "vitest";
import { ShardPlaces } from "../../src/log/shard-places.ts";
import type { SegmentEntry } from "../../src/objects/checkpoint-lists.ts";
import { extentsOf } from "./sample-extents.ts";

const range = { baseOffset: 0, endOffset: 1, bytes: 10, maxTimestampMs: 0 };
const segment: SegmentEntry = { ...range, key: "s", form: { type: "segment", indexKey: "i", indexBytes: 28 } };

function partOf(key: string, position: number): SegmentEntry {
  return { ...range, key, form: { type: "group", position, crc32c: 0 } };
}

it("drops a group with the last of its parts, and a segment with its index", () => {
  const places = new ShardPlaces(() => {});
  const parts = [partOf("g", 0), partOf("g", 10), partOf("g", 20)] as const;
  for (const part of parts) places.addSegment(part);
  places.addSegment(partOf("h", 0));
  places.removeSegments([parts[1]]);
  places.removeSegments([segment, parts[0]]);
  expect([...places.dropped]).toEqual(["s", "i"]);
  places.removeSegments([parts[2]]);
  expect([...places.dropped]).toEqual(["s", "i", "g"]);
  expect(() => places.removeSegments([parts[2]])).toThrow("no part is in a list");
});

it("needs a flush until the last of its extents is pending no more", () => {
  const places = new ShardPlaces(() => {});
  const [first] = extentsOf([1]);
  if (!first) throw new Error("one extent was made");
  places.addExtent(first);
  places.addExtent(first);
  places.removeExtents([first]);
  expect(places.pendingFlushes.lowest("s")).toBe(1);
  places.removeExtents([first]);
  expect(places.pendingFlushes.lowest("s")).toBeUndefined();
});
