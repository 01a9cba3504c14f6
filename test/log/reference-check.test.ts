// An object that has one bit more, less or other than it has to have is found, and one that is as it was written is not.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeGroup } from "../../src/log/reconciled-objects.ts";
import { contentFault, indexFault, type Reference, sizeFault } from "../../src/log/reference-check.ts";
import type { SegmentEntry } from "../../src/objects/checkpoint-lists.ts";
import { encodeSegment } from "../../src/objects/segment.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { batchOf } from "./log-world.ts";

const batch = batchOf(["one", "two", "three"]).bytes;
const encoded = encodeSegment([batch]);
const segmentBytes = new Uint8Array(Buffer.concat(encoded.segment));
const entry = (indexBytes: number): SegmentEntry => ({
  baseOffset: 0,
  endOffset: 3,
  bytes: segmentBytes.length,
  maxTimestampMs: 1002,
  key: "s.kfs",
  form: { type: "segment", indexKey: "s.index", indexBytes },
});
const segment: Reference = { type: "segment", key: "s.kfs", segment: entry(encoded.index.length), of: "orders-0" };
const index: Reference = { ...segment, type: "index", key: "s.index" };
const extent = {
  sessionId: "0".repeat(24),
  flush: 1,
  position: 0,
  length: batch.length,
  crc32c: crc32c(batch),
  baseOffset: 0,
  endOffset: 3,
  leaderEpoch: 1,
  firstTimestampMs: 1000,
  lastTimestampMs: 1002,
  maxTimestampMs: 1002,
  tailBytes: null,
};
const { baseOffset, endOffset, maxTimestampMs } = extent;
const identity = { topicId: "AAECAwQFBgcICQoLDA0ODw", partition: 0 };
const member = { ...identity, baseOffset, endOffset, maxTimestampMs, parts: [batch] };
const parted = new Uint8Array(Buffer.concat(encodeGroup("g", 1, [member]).object));
const parts: Reference = { type: "parts", key: "g", parts: [extent], of: "orders-0" };

describe("the size of an object", () => {
  it("has no fault where it is as written", () => {
    expect(sizeFault(segment, segmentBytes.length)).toBeUndefined();
    expect(sizeFault(index, encoded.index.length)).toBeUndefined();
    expect(sizeFault(parts, parted.length)).toBeUndefined();
  });

  it("is exact for a segment and its index, and a bound for what has a footer of its own", () => {
    for (const by of [-1, 1]) {
      expect(sizeFault(segment, segmentBytes.length + by)).toContain("bytes, not");
      expect(sizeFault(index, encoded.index.length + by)).toContain("bytes, not");
    }
    expect(sizeFault(parts, batch.length + 19)).toContain("at least");
    expect(sizeFault({ ...parts, parts: [] }, 19)).toContain("at least");
    expect(sizeFault({ ...parts, parts: [] }, 20)).toBeUndefined();
  });

  it("of an index is a bound in lists that tell no more", () => {
    const old: Reference = { ...index, segment: entry(segmentBytes.length) };
    expect(sizeFault(old, 28)).toBeUndefined();
    expect(sizeFault(old, segmentBytes.length + 1)).toContain("bytes, not");
  });
});

describe("the content of an object", () => {
  it("has no fault where it is as written", () => {
    expect(contentFault(segment, segmentBytes)).toBeUndefined();
    expect(contentFault(parts, parted)).toBeUndefined();
    expect(indexFault(encoded.index, segmentBytes)).toBeUndefined();
  });

  it("has a fault wherever a bit was changed", () => {
    const flipped = (bytes: Uint8Array, at: number) => {
      const changed = new Uint8Array(bytes);
      const byte = at % bytes.length;
      changed[byte] = (changed[byte] ?? 0) ^ (1 << (at % 8));
      return changed;
    };
    fc.assert(
      fc.property(fc.nat(), (at) => {
        expect(contentFault(segment, flipped(segmentBytes, at))).toBeDefined();
        expect(contentFault(parts, flipped(parted, at))).toBeDefined();
        expect(indexFault(flipped(encoded.index, at), segmentBytes)).toBeDefined();
      }),
    );
  });

  it("has a fault where it is whole and of other offsets, or another part is meant", () => {
    const other: Reference = { ...segment, segment: { ...entry(1), endOffset: 4 } };
    expect(contentFault(other, segmentBytes)).toContain("holds 0 to 3, not 0 to 4");
    expect(contentFault({ ...parts, parts: [{ ...extent, length: 10 }] }, parted)).toContain("checksum");
    expect(contentFault({ ...parts, parts: [{ ...extent, position: 1e6 }] }, parted)).toContain("bytes were read");
  });
});
