import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DecodeError } from "../../src/wire/decode-error.ts";
import { Reader } from "../../src/wire/reader.ts";
import { UNKNOWN_TAG_BYTES_MAX, UNKNOWN_TAGS_MAX } from "../../src/wire/unknown-tag.ts";
import { Writer } from "../../src/wire/writer.ts";

const reads: readonly (readonly [name: string, read: (reader: Reader) => unknown])[] = [
  ["int8", (reader) => reader.int8()],
  ["bool", (reader) => reader.bool()],
  ["int16", (reader) => reader.int16()],
  ["uint16", (reader) => reader.uint16()],
  ["int32", (reader) => reader.int32()],
  ["uint32", (reader) => reader.uint32()],
  ["int64", (reader) => reader.int64()],
  ["int64Big", (reader) => reader.int64Big()],
  ["float64", (reader) => reader.float64()],
  ["uuid", (reader) => reader.uuid()],
  ["uvarint", (reader) => reader.uvarint()],
  ["varint", (reader) => reader.varint()],
  ["varlong", (reader) => reader.varlong()],
  ["string", (reader) => reader.string()],
  ["nullableString", (reader) => reader.nullableString()],
  ["compactString", (reader) => reader.compactString()],
  ["compactNullableString", (reader) => reader.compactNullableString()],
  ["bytes", (reader) => reader.bytes()],
  ["nullableBytes", (reader) => reader.nullableBytes()],
  ["compactBytes", (reader) => reader.compactBytes()],
  ["compactNullableBytes", (reader) => reader.compactNullableBytes()],
  ["records", (reader) => reader.records()],
  ["compactRecords", (reader) => reader.compactRecords()],
  ["arrayCount", (reader) => reader.arrayCount(1)],
  ["compactArrayCount", (reader) => reader.compactArrayCount(1)],
  ["unknownTags", (reader) => reader.unknownTags()],
];

describe.each(reads)("%s", (_name, read) => {
  it("stays within its bytes, or refuses with the position", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), fc.nat({ max: 24 }), (bytes, from) => {
        const start = Math.min(from, bytes.length);
        const reader = new Reader(bytes, start);
        try {
          read(reader);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          expect((error as DecodeError).position).toBeLessThanOrEqual(bytes.length);
        }
        expect(reader.position).toBeGreaterThanOrEqual(start);
        expect(reader.position).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 300 },
    );
  });

  it("does not see bytes behind its end, whatever array they lie in", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        const around = Uint8Array.from([1, 1, 1, ...bytes, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        const alone = outcome(() => read(new Reader(bytes)));
        const within = outcome(() => read(new Reader(around, 3, 3 + bytes.length)));
        expect(within).toEqual(alone);
      }),
      { numRuns: 300 },
    );
  });
});

/** The value, or that it was refused. */
function outcome(read: () => unknown): unknown {
  try {
    return { value: read() };
  } catch (error) {
    return error instanceof DecodeError ? "refused" : error;
  }
}

function written(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer();
  write(writer);
  return Buffer.concat(writer.finish());
}

describe("int64", () => {
  it("gives the safe range exactly and refuses everything else", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), (value) => {
        const bytes = written((writer) => writer.int64Big(value));
        const isSafe = value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
        expect(new Reader(bytes).int64Big()).toBe(value);
        if (isSafe) expect(BigInt(new Reader(bytes).int64())).toBe(value);
        else expect(() => new Reader(bytes).int64()).toThrow(DecodeError);
      }),
    );
  });

  it.each([1n << 53n, -(1n << 53n), (1n << 63n) - 1n, -(1n << 63n)])("refuses %s, naming the value", (value) => {
    const bytes = written((writer) => writer.int64Big(value));
    expect(() => new Reader(bytes).int64()).toThrow(`int64 ${value} is outside the safe range`);
  });

  it.each([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, -1, 0, 2 ** 32, -(2 ** 32)])("gives back %s", (value) => {
    expect(new Reader(written((writer) => writer.int64(value))).int64()).toBe(value);
  });
});

describe("varints", () => {
  it("refuses a sixth byte", () => {
    expect(() => new Reader(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0)).uvarint()).toThrow("more than 5 bytes");
  });

  it("refuses an eleventh byte of a varlong", () => {
    expect(() => new Reader(new Uint8Array(11).fill(0x80)).varlong()).toThrow("more than 10 bytes");
  });

  it("refuses a varlong outside the safe range", () => {
    const longMin = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
    expect(() => new Reader(longMin).varlong()).toThrow("outside the safe range");
  });

  it("takes 32 bits as Kafka does, negative past 2^31", () => {
    expect(new Reader(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f)).uvarint()).toBe(-1);
  });
});

describe("lengths and counts", () => {
  it.each([
    ["string", [0x7f, 0xff], (reader: Reader) => reader.string()],
    ["compact string", [0x80, 0x80, 0x02], (reader: Reader) => reader.compactString()],
    ["bytes", [0x7f, 0xff, 0xff, 0xff], (reader: Reader) => reader.bytes()],
    ["compact bytes", [0xff, 0xff, 0xff, 0xff, 0x07], (reader: Reader) => reader.compactBytes()],
    ["array", [0x7f, 0xff, 0xff, 0xff], (reader: Reader) => reader.arrayCount(1)],
    ["compact array", [0xff, 0xff, 0xff, 0xff, 0x07], (reader: Reader) => reader.compactArrayCount(1)],
  ] as const)("of a %s are refused when more is announced than remains", (_name, bytes, read) => {
    expect(() => read(new Reader(Uint8Array.from([...bytes, 1, 2, 3])))).toThrow(DecodeError);
  });

  it("of an array are compared with the least bytes of an element", () => {
    const bytes = Uint8Array.of(0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8);
    expect(new Reader(bytes).arrayCount(4)).toBe(2);
    expect(() => new Reader(bytes).arrayCount(5)).toThrow("2 elements are announced, 8 bytes remain");
  });

  it("of a string end at 32,767 bytes in both forms", () => {
    const long = "x".repeat(0x7fff);
    expect(new Reader(written((writer) => writer.compactString(long))).compactString()).toBe(long);
    const longer = Uint8Array.from([0x81, 0x80, 0x02, ...new Uint8Array(0x8000)]);
    expect(() => new Reader(longer).compactString()).toThrow("more than 32767");
  });

  it("may not be negative where null does not exist", () => {
    expect(() => new Reader(Uint8Array.of(0xff, 0xff)).string()).toThrow(DecodeError);
    expect(() => new Reader(Uint8Array.of(0)).compactString()).toThrow(DecodeError);
    expect(() => new Reader(Uint8Array.of(0xff, 0xff, 0xff, 0xff)).bytes()).toThrow(DecodeError);
    expect(new Reader(Uint8Array.of(0xff, 0xff)).nullableString()).toBeNull();
    expect(new Reader(Uint8Array.of(0)).compactNullableBytes()).toBeNull();
  });
});

describe("the elements of a message", () => {
  it("are counted over its arrays and unknown tags, anew after a reset", () => {
    const bytes = Uint8Array.of(0, 0, 0, 2, 3, 1, 9, 0, 0);
    const read = (reader: Reader) => [reader.arrayCount(1), reader.compactArrayCount(1), reader.unknownTags()?.length];
    const allowing = new Reader(bytes);
    allowing.elementsMax = 5;
    expect(read(allowing)).toEqual([2, 2, 1]);
    expect(read(allowing.reset(bytes))).toEqual([2, 2, 1]);
    allowing.elementsMax = 4;
    expect(() => read(allowing.reset(bytes))).toThrow("more than 4 elements");
  });
});

describe("unknown tags", () => {
  const tagged = (count: number, payloadBytes: number): Uint8Array =>
    written((writer) => {
      writer.uvarint(count);
      for (let tag = 0; tag < count; tag += 1) {
        writer.uvarint(tag);
        writer.uvarint(payloadBytes);
        writer.raw(new Uint8Array(payloadBytes));
      }
    });

  it("are kept up to the limits and refused one past them", () => {
    expect(new Reader(tagged(UNKNOWN_TAGS_MAX, 1)).unknownTags()).toHaveLength(UNKNOWN_TAGS_MAX);
    expect(() => new Reader(tagged(UNKNOWN_TAGS_MAX + 1, 1)).unknownTags()).toThrow("more than 64 unknown tags");
    expect(new Reader(tagged(2, UNKNOWN_TAG_BYTES_MAX / 2)).unknownTags()).toHaveLength(2);
    expect(() => new Reader(tagged(2, UNKNOWN_TAG_BYTES_MAX / 2 + 1)).unknownTags()).toThrow("65536 bytes");
  });

  it("announced by the million cost nothing", () => {
    expect(() => new Reader(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x07, 1, 0)).unknownTags()).toThrow(DecodeError);
  });
});

describe("views and strings", () => {
  it("gives byte fields as views of the array and strings as copies", () => {
    const bytes = written((writer) => {
      writer.bytes(Uint8Array.of(1, 2, 3));
      writer.string("topic");
    });
    const reader = new Reader(bytes);
    const view = reader.bytes();
    expect(reader.string()).toBe("topic");
    bytes.fill(9);
    expect([...view]).toEqual([9, 9, 9]);
    expect(new Reader(written((writer) => writer.string("topic"))).string()).toBe("topic");
  });

  it("reads other bytes after a reset, and refuses bounds outside of them", () => {
    const reader = new Reader(Uint8Array.of(1));
    expect(reader.reset(Uint8Array.of(0, 0, 0, 7, 9), 0, 4).int32()).toBe(7);
    expect(reader.remaining).toBe(0);
    expect(() => reader.reset(new Uint8Array(3), 0, 4)).toThrow(DecodeError);
  });
});
