// The footer of a WAL object: round trips, golden bytes, and refusal of everything that was damaged.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/objects/format-error.ts";
import {
  decodeWalFooter,
  decodeWalTrailer,
  encodeWalFooter,
  verifyExtent,
  WAL_TRAILER_BYTES,
  type WalExtent,
  type WalFooter,
  type WalProducerBatch,
} from "../../src/objects/wal-object.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { damaged, golden } from "./golden-bytes.ts";

const int31 = fc.integer({ min: 0, max: 0x7fff_ffff });
const timestamp = fc.oneof(fc.integer({ min: -1, max: 2_000_000_000_000 }), fc.maxSafeInteger());
const topicId = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString("base64url"));

const extents = fc
  .array(
    fc.record({
      topicId,
      partition: int31,
      shardEpoch: int31,
      baseOffset: fc.maxSafeNat().map((offset) => Math.floor(offset / 2)),
      offsetCount: fc.integer({ min: 1, max: 0x7fff_ffff }),
      gap: fc.nat(1000),
      length: fc.integer({ min: 1, max: 100_000 }),
      firstTimestampMs: timestamp,
      lastTimestampMs: timestamp,
      maxTimestampMs: timestamp,
      crc32c: fc.integer({ min: 0, max: 0xffff_ffff }),
    }),
    { maxLength: 8 },
  )
  .map((list) => {
    let end = 0;
    return list.map(({ gap, ...extent }): WalExtent => {
      const position = end + gap;
      end = position + extent.length;
      return { ...extent, position };
    });
  });

const footers: fc.Arbitrary<WalFooter> = extents.chain((list) =>
  fc.record({
    extents: fc.constant(list),
    producerBatches: list.length === 0 ? fc.constant([]) : producerBatches(list),
    logStarts: fc.array(fc.record({ topicId, partition: int31, shardEpoch: int31, logStart: fc.maxSafeNat() }), {
      maxLength: 3,
    }),
  }),
);

function producerBatches(list: readonly WalExtent[]): fc.Arbitrary<WalProducerBatch[]> {
  const batch = fc
    .record({
      extentIndex: fc.nat(list.length - 1),
      producerId: fc.maxSafeNat(),
      producerEpoch: fc.integer({ min: -1, max: 0x7fff }),
      firstSequence: fc.integer({ min: -1, max: 0x7fff_ffff }),
      lastSequence: fc.integer({ min: -1, max: 0x7fff_ffff }),
      within: fc.double({ min: 0, max: 0.999, noNaN: true }),
      timestampMs: timestamp,
      isTransactional: fc.boolean(),
      marker: fc.constantFrom("none" as const, "abort" as const, "commit" as const),
    })
    .map(({ within, ...rest }): WalProducerBatch => {
      const extent = list[rest.extentIndex] as WalExtent;
      return { ...rest, baseOffset: extent.baseOffset + Math.floor(within * extent.offsetCount) };
    });
  return fc.array(batch, { maxLength: 6 }).map((found) => found.sort((a, b) => a.extentIndex - b.extentIndex));
}

/** Bytes of all extents together. */
function extentBytes(footer: WalFooter): number {
  const last = footer.extents.at(-1);
  return last ? last.position + last.length : 0;
}

const example: WalFooter = {
  extents: [
    {
      topicId: "AQIDBAUGBwgJCgsMDQ4PEA",
      partition: 3,
      shardEpoch: 7,
      baseOffset: 1_000_000,
      offsetCount: 20,
      position: 0,
      length: 900,
      firstTimestampMs: 1_700_000_000_000,
      lastTimestampMs: 1_700_000_000_100,
      maxTimestampMs: 1_700_000_000_150,
      crc32c: 0xdead_beef,
    },
    {
      topicId: "AQIDBAUGBwgJCgsMDQ4PEA",
      partition: 4,
      shardEpoch: 9,
      baseOffset: 0,
      offsetCount: 1,
      position: 900,
      length: 68,
      firstTimestampMs: -1,
      lastTimestampMs: Number.MAX_SAFE_INTEGER,
      maxTimestampMs: Number.MIN_SAFE_INTEGER,
      crc32c: 1,
    },
  ],
  producerBatches: [
    {
      extentIndex: 0,
      producerId: 4000,
      producerEpoch: 2,
      firstSequence: 2_147_483_640,
      lastSequence: 3,
      baseOffset: 1_000_004,
      timestampMs: 1_700_000_000_090,
      isTransactional: true,
      marker: "none",
    },
    {
      extentIndex: 1,
      producerId: 4000,
      producerEpoch: 2,
      firstSequence: -1,
      lastSequence: -1,
      baseOffset: 0,
      timestampMs: -1,
      isTransactional: true,
      marker: "commit",
    },
  ],
  logStarts: [{ topicId: "EA8ODQwLCgkIBwYFBAMCAQ", partition: 0, shardEpoch: 1, logStart: 77 }],
};

describe("WAL footer", () => {
  it("decodes to what was encoded", () => {
    fc.assert(
      fc.property(footers, (footer) => {
        const bytes = encodeWalFooter(footer);
        const objectBytes = extentBytes(footer) + bytes.length;
        expect(decodeWalTrailer(bytes, objectBytes)).toEqual({ position: extentBytes(footer), length: bytes.length });
        expect(decodeWalTrailer(bytes.slice(-WAL_TRAILER_BYTES), objectBytes).length).toBe(bytes.length);
        expect(decodeWalFooter(bytes, objectBytes)).toEqual(footer);
      }),
      { numRuns: 300 },
    );
  });

  it("has the golden bytes of format version 1", () => {
    const bytes = encodeWalFooter(example);
    expect(Buffer.from(bytes).toString("hex")).toBe(Buffer.from(golden("wal-footer-v1", bytes)).toString("hex"));
    expect(decodeWalFooter(golden("wal-footer-v1", bytes), 968 + bytes.length)).toEqual(example);
  });

  it("refuses every truncation and every flipped bit with a FormatError", () => {
    const bytes = encodeWalFooter(example);
    let count = 0;
    for (const damage of damaged(bytes)) {
      const objectBytes = 968 + damage.bytes.length;
      expect(() => decodeWalFooter(damage.bytes, objectBytes), damage.name).toThrow(FormatError);
      count += 1;
    }
    expect(count).toBe(bytes.length * 10 - 1);
  });

  it("refuses a footer whose extents do not fit in the object", () => {
    const bytes = encodeWalFooter(example);
    expect(() => decodeWalFooter(bytes, 967 + bytes.length)).toThrow(/wal footer: an extent ends at 968/);
    expect(() => decodeWalTrailer(bytes, bytes.length - 1)).toThrow(FormatError);
  });

  it("never throws anything but a FormatError, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(1000), (bytes, more) => {
        try {
          decodeWalFooter(bytes, bytes.length + more);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
        expect(bytes.length).toBeLessThanOrEqual(200);
      }),
      { numRuns: 500 },
    );
  });

  it("never throws anything but a FormatError for a wrong body under a right checksum", () => {
    const valid = encodeWalFooter(example);
    fc.assert(
      fc.property(fc.nat(valid.length - WAL_TRAILER_BYTES - 1), fc.nat(255), (index, byte) => {
        const bytes = valid.slice();
        bytes[index] = byte;
        new DataView(bytes.buffer).setUint32(bytes.length - 4, crc32c(bytes.subarray(0, bytes.length - 4)));
        try {
          const footer = decodeWalFooter(bytes, 968 + bytes.length);
          expect(footer.extents.every((extent) => extent.position + extent.length <= 968)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses to encode extents that overlap", () => {
    const [first, second] = example.extents as [WalExtent, WalExtent];
    const overlapping = { ...example, extents: [first, { ...second, position: 899 }] };
    expect(() => encodeWalFooter(overlapping)).toThrow(/before the end 900/);
  });

  it("takes under 40 bytes an extent of a busy flush", () => {
    const busy = Array.from(
      { length: 1000 },
      (_, index): WalExtent => ({
        ...(example.extents[0] as WalExtent),
        partition: index,
        baseOffset: 5_000_000 + index,
        position: index * 900,
      }),
    );
    expect(encodeWalFooter({ extents: busy, producerBatches: [], logStarts: [] }).length).toBeLessThan(40 * 1000);
  });
});

describe("WAL extent", () => {
  it("is refused when a bit or a byte of it differs", () => {
    const bytes = new Uint8Array([1, 2, 3, 4]);
    const extent = { length: 4, crc32c: crc32c(bytes) };
    verifyExtent(extent, bytes);
    expect(() => verifyExtent(extent, new Uint8Array([1, 2, 3, 5]))).toThrow(/wal extent: the checksum/);
    expect(() => verifyExtent(extent, bytes.subarray(0, 3))).toThrow(/3 bytes were read, 4 belong to it/);
  });
});
