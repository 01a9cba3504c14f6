// Segments: golden bytes, an independent reader, round trips, and every damage told with its place.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/objects/format-error.ts";
import { checkSegmentPart, decodeSegment, decodeSegmentEnds, encodeSegment } from "../../src/objects/segment.ts";
import { requireIndexOf, SegmentIndex } from "../../src/objects/segment-index.ts";
import { Compression } from "../../src/records/compression.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { iterateBatches } from "../../src/records/record-batch.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { damaged, golden, joined } from "./golden-bytes.ts";
import { indexedBatches, readIndexFile, readSegmentFile } from "./kafscale-segment-reader.ts";

/** How a batch of a test is made. */
interface Shape {
  readonly records: number;
  /** Offsets between it and the batch before. */
  readonly gap: number;
  readonly timestampMs: number;
  readonly compression: Compression;
  readonly valueBytes: number;
}

const plain: Shape = { records: 1, gap: 0, timestampMs: 1_700_000_000_000, compression: 0, valueBytes: 3 };

function batchesOf(shapes: readonly Shape[], baseOffset = 0): Uint8Array[] {
  let next = baseOffset;
  return shapes.map(({ records, gap, timestampMs, compression, valueBytes }, index) => {
    const value = new Uint8Array(valueBytes).fill(index);
    const made = Array.from({ length: records }, (_, at) => ({ timestampMs: timestampMs + at, key: null, value }));
    const batch = encodeBatch(made, { baseOffset: next + gap, partitionLeaderEpoch: 3, compression });
    next += gap + records;
    return batch;
  });
}

const shape = fc.record({
  records: fc.integer({ min: 1, max: 130 }),
  gap: fc.constantFrom(0, 0, 0, 1, 70_000),
  timestampMs: fc.constantFrom(-1, 0, 1_700_000_000_000, 2 ** 52),
  compression: fc.constantFrom(Compression.NONE, Compression.GZIP),
  valueBytes: fc.integer({ min: 0, max: 40 }),
});
const shapes = fc.array(shape, { minLength: 1, maxLength: 12 });
const anyOffset = fc.constantFrom(0, 1, 4_294_967_296, 2 ** 52);

/** Vitest's own comparison takes milliseconds for a segment. */
function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.from(left).equals(right);
}

/** Several batches with an index of more than one entry, small enough to break every bit of. */
const small = encodeSegment(batchesOf([{ ...plain, records: 100, valueBytes: 0 }, plain, plain], 42));
const smallBytes = joined(small.segment);

describe("a segment", () => {
  it("has the golden bytes, and so has its index", () => {
    const made = encodeSegment(batchesOf([plain, { ...plain, records: 2, timestampMs: 1_600_000_000_000 }], 7));
    const bytes = golden("segment-v1", joined(made.segment));
    expect(joined(made.segment)).toEqual(bytes);
    const index = golden("segment-index-v1", small.index);
    expect(small.index).toEqual(index);
    expect(decodeSegment(bytes).summary).toMatchObject({ baseOffset: 7, endOffset: 10, recordCount: 3 });
    expect(readSegmentFile(bytes)).toMatchObject({ version: 1, flags: 0, baseOffset: 7n, lastOffset: 9n });
    expect(readIndexFile(index).entries).toEqual([
      { offset: 42n, position: 32 },
      { offset: 142n, position: 32 + (batchesOf([{ ...plain, records: 100, valueBytes: 0 }])[0]?.length ?? 0) },
    ]);
  });

  it("gives back its batches and says what they say, in any number of parts", () => {
    fc.assert(
      fc.property(shapes, anyOffset, fc.nat(12), (list, baseOffset, cut) => {
        const batches = batchesOf(list, baseOffset);
        const made = encodeSegment(batches);
        const parts = [joined(batches.slice(0, cut)), joined(batches.slice(cut))].filter((part) => part.length > 0);
        expect(isEqual(joined(encodeSegment(parts).segment), joined(made.segment))).toBe(true);
        expect(isEqual(encodeSegment(parts).index, made.index)).toBe(true);
        const { summary, batches: read } = decodeSegment(joined(made.segment));
        expect(isEqual(read, joined(batches))).toBe(true);
        expect(summary).toEqual(made.summary);
        const views = [...iterateBatches(read)];
        expect(summary).toMatchObject({
          baseOffset: views[0]?.baseOffset,
          endOffset: views.at(-1)?.nextOffset,
          recordCount: list.reduce((sum, { records }) => sum + records, 0),
          maxTimestampMs: Math.max(...views.map(({ maxTimestamp }) => maxTimestamp)),
        });
      }),
    );
  });

  it("is read by a reader that knows the format from its description alone", () => {
    fc.assert(
      fc.property(shapes, anyOffset, (list, baseOffset) => {
        const { segment, index, summary } = encodeSegment(batchesOf(list, baseOffset));
        const found = readSegmentFile(joined(segment));
        const { batches } = found;
        expect(found).toMatchObject({
          version: 1,
          flags: 0,
          baseOffset: batches[0]?.baseOffset,
          lastOffset: batches.at(-1)?.lastOffset,
          messageCount: batches.reduce((sum, { messageCount }) => sum + messageCount, 0),
          createdAt: batches.reduce((max, { maxTimestamp }) => (maxTimestamp > max ? maxTimestamp : max), -1n),
        });
        expect(batches).toHaveLength(list.length);
        expect(readIndexFile(index)).toEqual({ interval: 100, entries: indexedBatches(batches) });
        const ours = new SegmentIndex(index, summary).entries();
        expect(ours.map((entry) => ({ ...entry, offset: BigInt(entry.offset) }))).toEqual(indexedBatches(batches));
      }),
    );
  });

  it("is refused with its place when it is cut anywhere or any bit of it is flipped", () => {
    let count = 0;
    for (const { name, bytes } of damaged(smallBytes)) {
      expect(() => decodeSegment(bytes), name).toThrow(FormatError);
      count++;
    }
    expect(count).toBeGreaterThan(smallBytes.length * 8);
  });

  it.each([
    ["magic", 0, /magic at byte 0/],
    ["version", 5, /version 0 at byte 4/],
    ["flags", 6, /flags at byte 6/],
    ["base offset", 15, /baseOffset at byte 8 is 43, the batches say 42/],
    ["message count", 19, /recordCount at byte 16 is 103, the batches say 102/],
    ["created-at", 27, /maxTimestampMs at byte 20/],
    ["reserved bytes", 31, /reserved bytes at byte 28/],
    ["body", 40, /checksum of the body/],
    ["checksum", -16, /checksum of the body/],
    ["last offset", -5, /endOffset at byte \d+ is 143, the batches say 144/],
    ["magic of the footer", -1, /magic at byte \d+ is not "END!"/],
  ])("names a damaged %s", (_what, at, message) => {
    const bytes = smallBytes.slice();
    const position = at < 0 ? bytes.length + at : at;
    bytes[position] = (bytes[position] ?? 0) ^ 1;
    expect(() => decodeSegment(bytes)).toThrow(message);
  });

  it("is refused when its body is no row of batches, although the checksum fits", () => {
    const bytes = smallBytes.slice();
    const second = new SegmentIndex(small.index, small.summary).entries()[1]?.position ?? 0;
    const resealed = (change: (view: DataView) => void) => {
      const copy = bytes.slice();
      const view = new DataView(copy.buffer);
      change(view);
      view.setUint32(copy.length - 16, crc32c(copy.subarray(32, copy.length - 16)));
      return () => decodeSegment(copy);
    };
    expect(resealed((view) => view.setInt32(second + 8, 1))).toThrow(`at byte ${second} is no batch: 13 bytes`);
    expect(resealed((view) => view.setInt32(second + 8, -1))).toThrow(`at byte ${second} is no batch`);
    expect(resealed((view) => view.setInt32(second + 8, 2 ** 30))).toThrow(`the batch at byte ${second} goes past`);
    expect(resealed((view) => view.setUint8(second + 16, 1))).toThrow(/magic 1/);
    expect(resealed((view) => view.setBigInt64(second, 141n))).toThrow(/offset 141 after one that ends at 142/);
    expect(resealed((view) => view.setBigInt64(second, 2n ** 60n))).toThrow(/baseOffset of a batch is outside/);
    expect(resealed((view) => view.setInt32(second + 57, 2))).toThrow(/counts 2 records/);
    expect(resealed((view) => view.setInt32(second + 23, -1))).toThrow(/offsets 142 to 141/);
  });

  it("cannot be made of nothing, nor of batches whose offsets go back", () => {
    expect(() => encodeSegment([])).toThrow(/one batch at least/);
    expect(() => encodeSegment(batchesOf([plain, plain]).toReversed())).toThrow(/offset 0 after one that ends at 2/);
  });

  it("is placed by its two ends alone", () => {
    const start = smallBytes.subarray(0, 40);
    const end = smallBytes.subarray(-20);
    expect(decodeSegmentEnds(start, smallBytes.length, end)).toEqual(small.summary);
    expect(() => decodeSegmentEnds(start.subarray(0, 31), smallBytes.length, end)).toThrow(/not its two ends/);
    expect(() => decodeSegmentEnds(start, 48, end)).toThrow(/48 bytes is no segment/);
    expect(() => decodeSegmentEnds(start, 2 ** 31, end)).toThrow(/no segment/);
  });
});

describe("a part of a segment", () => {
  const [first, second] = new SegmentIndex(small.index, small.summary).entries();
  if (!first || !second) throw new Error("the index has two entries");
  const at = { position: second.position, baseOffset: second.offset };
  const part = smallBytes.slice(second.position, -16);

  it("gives its whole batches, without one that is cut off", () => {
    expect(checkSegmentPart(part, at)).toEqual(part);
    const size = part.length / 2;
    for (const length of [size, size + 1, size + 16, size + 40, part.length - 1]) {
      expect(checkSegmentPart(part.subarray(0, length), at)).toHaveLength(size);
    }
    expect(checkSegmentPart(part.subarray(0, 5), at)).toHaveLength(0);
  });

  it("is refused when it is not what the index leads to, or a batch is damaged", () => {
    expect(() => checkSegmentPart(part, { ...at, baseOffset: 141 })).toThrow(/first batch has offset 142, not 141/);
    expect(() => checkSegmentPart(part.subarray(1), at)).toThrow(FormatError);
    const broken = part.slice();
    broken[70] = (broken[70] ?? 0) ^ 1;
    const brokenAt = second.position + (part.length / 2 <= 70 ? part.length / 2 : 0);
    expect(() => checkSegmentPart(broken, at)).toThrow(`the batch at byte ${brokenAt} does not match its checksum`);
  });
});

describe("damage of an index", () => {
  it("is found whatever bit it is, against the segment", () => {
    let refusedAlone = 0;
    for (const { name, bytes } of damaged(small.index)) {
      expect(() => requireIndexOf(bytes, small.index), name).toThrow(FormatError);
      try {
        expect(new SegmentIndex(bytes, small.summary).entryCount).toBe(2);
      } catch (error) {
        expect(error, name).toBeInstanceOf(FormatError);
        refusedAlone++;
      }
    }
    expect(refusedAlone).toBeGreaterThan(small.index.length * 4);
  });
});
