// The index of a segment: which batches have an entry, where a read begins, what is refused.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  encodeSegmentIndex,
  requireIndexOf,
  SegmentIndex,
  SegmentIndexBuilder,
  type SegmentIndexEntry,
} from "../../src/objects/segment-index.ts";

const segment = { baseOffset: 10, endOffset: 1_000, bytes: 5_000 };
const entries: readonly SegmentIndexEntry[] = [
  { offset: 10, position: 32 },
  { offset: 200, position: 1_000 },
  { offset: 500, position: 3_000 },
];

function indexOf(list: readonly SegmentIndexEntry[]): SegmentIndex {
  return new SegmentIndex(encodeSegmentIndex(list), segment);
}

describe("an index", () => {
  it("has the first batch, then each one that comes 100 records or more after the last entry", () => {
    const builder = new SegmentIndexBuilder();
    for (const [offset, records] of [
      [0, 60],
      [60, 39],
      [99, 1],
      [100, 250],
      [350, 1],
      [351, 99],
      [450, 1],
    ] as const) {
      builder.add(offset, 32 + offset, records);
    }
    expect(builder.entries.map(({ offset }) => offset)).toEqual([0, 100, 350, 450]);
  });

  it("has each batch that comes 256 KiB or more after the last entry, however few records were passed", () => {
    const builder = new SegmentIndexBuilder();
    const kib = 1024;
    for (const [offset, at] of [
      [0, 0],
      [1, 255],
      [2, 256],
      [3, 1_300],
      [4, 1_301],
    ] as const) {
      builder.add(offset, 32 + at * kib, 1);
    }
    expect(builder.entries.map(({ offset }) => offset)).toEqual([0, 2, 3]);
  });

  it("leads to the last entry at or below an offset, and on to an entry past the bytes asked for", () => {
    const index = indexOf(entries);
    expect(index.locate(10, 1)).toEqual({ offset: 10, position: 32, length: 968 });
    expect(index.locate(199, 968)).toEqual({ offset: 10, position: 32, length: 968 });
    expect(index.locate(199, 969)).toEqual({ offset: 10, position: 32, length: 2_968 });
    expect(index.locate(200, 0)).toEqual({ offset: 200, position: 1_000, length: 2_000 });
    expect(index.locate(999, 1)).toEqual({ offset: 500, position: 3_000, length: 1_984 });
    expect(index.locate(10, 1_000_000)).toEqual({ offset: 10, position: 32, length: 4_952 });
  });

  it("finds what a linear scan finds", () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 999 }), fc.nat(6_000), (offset, bytesMax) => {
        const { position, length } = indexOf(entries).locate(offset, bytesMax);
        const first = entries.findLast((entry) => entry.offset <= offset);
        const past = entries.find((entry) => entry.position > position && entry.position >= position + bytesMax);
        expect(position).toBe(first?.position);
        expect(position + length).toBe(past?.position ?? 4_984);
      }),
    );
  });

  it.each([
    ["an empty one", []],
    ["a first entry at another offset", [{ offset: 11, position: 32 }]],
    ["a first entry at another byte", [{ offset: 10, position: 33 }]],
    ["offsets that do not ascend", [...entries, { offset: 500, position: 4_000 }]],
    ["positions that do not ascend", [...entries, { offset: 600, position: 3_000 }]],
    ["an offset past the segment", [...entries, { offset: 1_000, position: 4_000 }]],
    ["a position past the body", [...entries, { offset: 600, position: 4_984 }]],
  ])("is refused with %s", (_what, list) => {
    expect(() => indexOf(list)).toThrow(/^segment index: /);
  });

  it.each([
    ["a count that does not fit its bytes", 6, 0x7fff_ffff, /2147483647 entries are announced at byte 6/],
    ["a negative count", 6, -1, /-1 entries/],
    ["an interval of 0", 10, 0, /interval at byte 10/],
    ["another magic", 0, 0, /magic at byte 0/],
    ["a negative offset", 28, -1, /offset at byte 28/],
    ["a negative position", 36, -1, /entry at byte 28 names/],
  ])("is refused with %s", (_what, at, value, message) => {
    const bytes = encodeSegmentIndex(entries);
    new DataView(bytes.buffer).setInt32(at, value);
    expect(() => new SegmentIndex(bytes, segment)).toThrow(message);
  });

  it("is compared with the right one byte by byte", () => {
    const bytes = encodeSegmentIndex(entries);
    requireIndexOf(bytes.slice(), bytes);
    expect(() => requireIndexOf(bytes.subarray(0, -1), bytes)).toThrow(/byte 51 differs \(51 bytes, 52 are right\)/);
    expect(() => requireIndexOf(bytes, bytes.subarray(0, -1))).toThrow(/byte 51 differs/);
  });
});
