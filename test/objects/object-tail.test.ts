// Tails, blocks and fields: the parts that WAL objects and checkpoints share.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BlockKind, blockPlace, encodeBlock, openBlock } from "../../src/objects/block.ts";
import {
  readCount,
  readDistance,
  readSessionId,
  readSize,
  writeDistance,
  writeSessionId,
  writeSize,
} from "../../src/objects/fields.ts";
import { FormatError } from "../../src/objects/format-error.ts";
import { decodeTrailer, encodeTail, openTail, TRAILER_BYTES, tailFormat } from "../../src/objects/object-tail.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { Reader } from "../../src/wire/reader.ts";
import { Writer } from "../../src/wire/writer.ts";
import { joined } from "./golden-bytes.ts";

const format = tailFormat({ magic: "TESTTEST", version: 2, place: "test tail" });

/** A tail with another version and a checksum that fits it. */
function withVersion(tail: Uint8Array, version: number): Uint8Array {
  const changed = tail.slice();
  const view = new DataView(changed.buffer);
  view.setUint16(changed.length - 16, version);
  view.setUint32(changed.length - 4, crc32c(changed.subarray(0, changed.length - 4)));
  return changed;
}

describe("the tail of an object", () => {
  const tail = encodeTail(format, [new Uint8Array([1, 2]), new Uint8Array([3])]);

  it("leads from the last byte to its body", () => {
    expect(decodeTrailer(format, tail, 100)).toEqual({ position: 77, length: 3 + TRAILER_BYTES });
    const { version, reader } = openTail(format, tail, 100);
    expect({ version, body: [...reader.take(3)], remaining: reader.remaining }).toEqual({
      version: 2,
      body: [1, 2, 3],
      remaining: 0,
    });
  });

  it("is read in every earlier version and in no later one", () => {
    expect(openTail(format, withVersion(tail, 1), 100).version).toBe(1);
    for (const version of [0, 3]) {
      expect(() => openTail(format, withVersion(tail, version), 100)).toThrow(
        /test tail: format version \d is not one/,
      );
    }
  });

  it("of another kind of object is refused by its magic", () => {
    const other = tailFormat({ ...format, magic: "OTHEROBJ" });
    expect(() => openTail(other, tail, 100)).toThrow(/the magic is not "OTHEROBJ" \(at byte 88\)/);
  });
});

describe("a block", () => {
  it("of each kind opens as that kind and no other", () => {
    for (const kind of Object.values(BlockKind)) {
      const writer = new Writer();
      writer.uint32(77);
      const block = encodeBlock(kind, writer);
      expect(openBlock(kind, block).reader.uint32()).toBe(77);
      const other = kind === BlockKind.FOLD ? BlockKind.SECTION : BlockKind.FOLD;
      expect(() => openBlock(other, block)).toThrow(FormatError);
      expect(blockPlace(kind)).toMatch(/^checkpoint /);
    }
  });
});

describe("fields", () => {
  it("carry any two timestamps as a distance", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.maxSafeInteger(), (from, value) => {
        const writer = new Writer();
        writeDistance(writer, from, value);
        expect(readDistance(new Reader(joined(writer.finish())), from)).toBe(value);
      }),
    );
  });

  it("carry a distance that is the mark of an absolute value", () => {
    const writer = new Writer();
    writeDistance(writer, 0, Number.MIN_SAFE_INTEGER);
    expect(readDistance(new Reader(joined(writer.finish())), 0)).toBe(Number.MIN_SAFE_INTEGER);
  });

  it("refuse sizes outside an int31 and counts that cannot fit", () => {
    const writer = new Writer();
    for (const size of [-1, 2 ** 31, 0.5, Number.NaN])
      expect(() => writeSize(writer, size)).toThrow(/is not an integer/);
    writeSize(writer, 2 ** 31 - 1);
    const bytes = joined(writer.finish());
    expect(readSize(new Reader(bytes))).toBe(2 ** 31 - 1);
    expect(() => readCount(new Reader(bytes), 1)).toThrow(/2147483647 elements are announced/);
  });

  it("carry session ids as 12 bytes", () => {
    const writer = new Writer();
    writeSessionId(writer, "0123456789abcdef01234567");
    const bytes = joined(writer.finish());
    expect(bytes).toHaveLength(12);
    expect(readSessionId(new Reader(bytes))).toBe("0123456789abcdef01234567");
    expect(() => writeSessionId(writer, "xyz")).toThrow(/is not a session id/);
  });
});
