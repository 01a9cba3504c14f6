// Lists of a partition: as sub-blocks, and put together from a sub-block and the changes since.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  applyFold,
  applyPending,
  applyProducers,
  applySegments,
  decodeListBlock,
  encodeListBlock,
  foldKey,
  foldList,
  type PendingExtent,
  pendingList,
  producerList,
  type SegmentEntry,
  segmentList,
} from "../../src/objects/checkpoint-lists.ts";
import { FormatError } from "../../src/objects/format-error.ts";
import { address, examplePending, exampleProducers, exampleSegments } from "./checkpoint-examples.ts";
import { damaged } from "./golden-bytes.ts";

const none = { stored: undefined, removed: [] };
const bytes = fc.uint8Array({ maxLength: 12 });

describe("sub-block", () => {
  it("decodes to what was encoded, for every kind", () => {
    const pending = encodeListBlock(pendingList, address, examplePending);
    expect(decodeListBlock(pendingList, pending, address)).toEqual(examplePending);
    const producers = encodeListBlock(producerList, address, exampleProducers);
    expect(decodeListBlock(producerList, producers, address)).toEqual(exampleProducers);
    const segments = encodeListBlock(segmentList, address, exampleSegments);
    expect(decodeListBlock(segmentList, segments, address)).toEqual(exampleSegments);
    fc.assert(
      fc.property(fc.array(fc.record({ key: bytes, value: bytes })), (entries) => {
        expect(decodeListBlock(foldList, encodeListBlock(foldList, address, entries), address)).toEqual(entries);
      }),
    );
  });

  it("of pending extents decodes to what was encoded, whatever the order and the timestamps", () => {
    const natural = fc.integer({ min: 0, max: 0x7fff_ffff });
    const extent = fc.record({
      sessionId: fc.constantFrom("00112233445566778899aabb", "ffeeddccbbaa998877665544"),
      n: fc.integer({ min: 1, max: 2 ** 40 }),
      shardEpoch: natural,
      baseOffset: fc.integer({ min: 0, max: 2 ** 50 }),
      offsetCount: fc.integer({ min: 1, max: 0x7fff_ffff }),
      position: natural,
      length: natural,
      firstTimestampMs: fc.maxSafeInteger(),
      lastTimestampMs: fc.maxSafeInteger(),
      maxTimestampMs: fc.maxSafeInteger(),
      crc32c: fc.integer({ min: 0, max: 0xffff_ffff }),
    });
    fc.assert(
      fc.property(fc.array(extent), (entries) => {
        expect(decodeListBlock(pendingList, encodeListBlock(pendingList, address, entries), address)).toEqual(entries);
      }),
      { numRuns: 300 },
    );
  });

  it("refuses every truncation and every flipped bit", () => {
    const block = encodeListBlock(pendingList, address, examplePending);
    let count = 0;
    for (const damage of damaged(block)) {
      expect(() => decodeListBlock(pendingList, damage.bytes, address), damage.name).toThrow(FormatError);
      count += 1;
    }
    expect(count).toBe(block.length * 10 - 1);
  });

  it("refuses a block of another kind or another partition", () => {
    const block = encodeListBlock(pendingList, address, examplePending);
    expect(() => decodeListBlock(producerList, block, address)).toThrow(/checkpoint producers: the kind is 2, not 3/);
    expect(() => decodeListBlock(pendingList, block, { ...address, partition: 4 })).toThrow(/belongs to/);
  });

  it("keeps no view of the bytes it was read from", () => {
    const block = encodeListBlock(foldList, address, [{ key: new Uint8Array([1]), value: new Uint8Array([2]) }]);
    const [entry] = decodeListBlock(foldList, block, address);
    block.fill(0);
    expect(entry).toEqual({ key: new Uint8Array([1]), value: new Uint8Array([2]) });
  });
});

describe("a list from its sub-block and the changes since", () => {
  it("drops pending extents that end at or below the offset from which they are pending", () => {
    const [first, second] = examplePending as [PendingExtent, PendingExtent];
    expect(applyPending([first], { ...none, added: [second] }, 0)).toEqual([first, second]);
    expect(applyPending([first], { ...none, added: [second] }, 149)).toEqual([first, second]);
    expect(applyPending([first], { ...none, added: [second] }, 150)).toEqual([second]);
    expect(applyPending([first], { ...none, added: [second] }, 151)).toEqual([]);
  });

  it("replaces a producer by its id and forgets the removed ones", () => {
    const [first, second] = exampleProducers as [(typeof exampleProducers)[0], (typeof exampleProducers)[0]];
    const newer = { ...first, producerEpoch: 5 };
    const found = applyProducers([first, second], { ...none, removed: [1001], added: [newer] });
    expect([...found]).toEqual([[1000, newer]]);
  });

  it("replaces a folded record by its key, byte for byte", () => {
    const key = new Uint8Array([0xff, 0]);
    const other = new Uint8Array([0xff, 1]);
    const stored = [
      { key, value: new Uint8Array([1]) },
      { key: other, value: new Uint8Array([2]) },
    ];
    const newer = { key, value: new Uint8Array([3]) };
    const found = applyFold(stored, { ...none, removed: [other], added: [newer] });
    expect([...found]).toEqual([[foldKey(key), newer]]);
  });

  it("keeps segments ascending", () => {
    const [segment] = exampleSegments as [SegmentEntry];
    const merged = { ...segment, baseOffset: 50 };
    const last = { ...segment, baseOffset: 300 };
    const found = applySegments([segment, last], { ...none, removed: [0], added: [merged] });
    expect(found.map(({ baseOffset }) => baseOffset)).toEqual([50, 300]);
  });

  it("replaces segments by one that begins where the first of them did", () => {
    const [segment, part] = exampleSegments as [SegmentEntry, SegmentEntry];
    const merged = { ...segment, endOffset: part.endOffset, key: "merged" };
    expect(applySegments([segment, part], { ...none, removed: [0, 100], added: [merged] })).toEqual([merged]);
  });
});
