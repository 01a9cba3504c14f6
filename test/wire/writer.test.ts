import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EncodeError } from "../../src/wire/encode-error.ts";
import { Reader } from "../../src/wire/reader.ts";
import { ZERO_UUID } from "../../src/wire/uuid.ts";
import { REFERENCE_BYTES_MIN, Writer } from "../../src/wire/writer.ts";

function written(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer();
  write(writer);
  return Buffer.concat(writer.finish());
}

describe("values", () => {
  it("come back as they were, in any order", () => {
    const value = fc.oneof(
      fc.record({ type: fc.constant("int64" as const), value: fc.maxSafeInteger() }),
      fc.record({ type: fc.constant("varlong" as const), value: fc.maxSafeInteger() }),
      fc.record({ type: fc.constant("varint" as const), value: fc.integer() }),
      fc.record({ type: fc.constant("int32" as const), value: fc.integer() }),
      fc.record({ type: fc.constant("float64" as const), value: fc.double() }),
      fc.record({ type: fc.constant("string" as const), value: fc.string({ unit: "grapheme", maxLength: 80 }) }),
      fc.record({ type: fc.constant("compactString" as const), value: fc.string({ unit: "grapheme", maxLength: 80 }) }),
      fc.record({ type: fc.constant("compactBytes" as const), value: fc.uint8Array({ maxLength: 200 }) }),
    );
    fc.assert(
      fc.property(fc.array(value, { maxLength: 20 }), (values) => {
        const bytes = written((writer) => {
          for (const item of values) writer[item.type](item.value as never);
        });
        const reader = new Reader(bytes);
        expect(values.map((item) => reader[item.type]())).toEqual(values.map((item) => item.value));
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it.each([
    ["int8", 128],
    ["int8", -129],
    ["int8", 0.5],
    ["int16", 0x8000],
    ["uint16", -1],
    ["uint16", 0x1_0000],
    ["int32", 0x8000_0000],
    ["int32", Number.NaN],
    ["uint32", -1],
    ["int64", 2 ** 53],
    ["int64", -(2 ** 53)],
    ["int64", 1.5],
    ["varint", 2 ** 31],
    ["varlong", 2 ** 53],
  ] as const)("that do not fit are refused: %s %d", (type, value) => {
    expect(() => written((writer) => writer[type](value))).toThrow(EncodeError);
  });

  it("of an int64 override are refused past 64 bits", () => {
    expect(() => written((writer) => writer.int64Big(1n << 63n))).toThrow(EncodeError);
  });

  it.each(["", "abc", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA!", `${ZERO_UUID}A`])(
    "refuses the uuid '%s'",
    (text) => {
      expect(() => written((writer) => writer.uuid(text))).toThrow(EncodeError);
    },
  );

  it("refuses a string of more than 32,767 bytes in both forms", () => {
    expect(() => written((writer) => writer.string("é".repeat(16_384)))).toThrow(EncodeError);
    expect(() => written((writer) => writer.compactString("x".repeat(32_768)))).toThrow(EncodeError);
    expect(written((writer) => writer.string("x".repeat(32_767)))).toHaveLength(32_769);
  });
});

describe("messages", () => {
  it("are never written over once they are finished", () => {
    const writer = new Writer();
    const messages: { expected: string; parts: Uint8Array[] }[] = [];
    for (let index = 0; index < 3000; index += 1) {
      const text = `message ${index} ${"x".repeat(index % 300)}`;
      writer.string(text);
      messages.push({ expected: text, parts: writer.finish() });
    }
    for (const { expected, parts } of messages) expect(new Reader(Buffer.concat(parts)).string()).toBe(expected);
  });

  it("hold big byte fields by reference and small ones by copy", () => {
    const big = new Uint8Array(REFERENCE_BYTES_MIN).fill(7);
    const small = new Uint8Array(REFERENCE_BYTES_MIN - 1).fill(8);
    const writer = new Writer();
    writer.bytes(big);
    writer.bytes(small);
    const parts = writer.finish();
    expect(parts.map((part) => part === big)).toEqual([false, true, false]);
    small.fill(9);
    const reader = new Reader(Buffer.concat(parts));
    expect(reader.bytes()).toEqual(big);
    expect(reader.bytes()).toEqual(new Uint8Array(REFERENCE_BYTES_MIN - 1).fill(8));
  });

  it("hold many batches that are larger than a slab together in order, most without a copy", () => {
    const batches: Uint8Array[] = Array.from({ length: 200 }, (_, index) => new Uint8Array(1000).fill(index));
    const writer = new Writer();
    for (const batch of batches) {
      writer.int32(batch[0] ?? 0);
      writer.compactRecords([batch]);
    }
    const parts = writer.finish();
    expect(parts.filter((part) => batches.includes(part)).length).toBeGreaterThan(130);
    const reader = new Reader(Buffer.concat(parts));
    for (const batch of batches) {
      expect(reader.int32()).toBe(batch[0]);
      expect(reader.compactRecords()).toEqual([batch]);
    }
    expect(reader.remaining).toBe(0);
  });

  it("grow past the slab without losing what was patched before or after", () => {
    const writer = new Writer();
    writer.string("an earlier message");
    writer.finish();
    const mark = writer.reserveInt32();
    for (let index = 0; index < 40_000; index += 1) writer.int32(index);
    writer.raw(new Uint8Array(5000).fill(3));
    writer.int8(1);
    writer.patchInt32(mark, writer.size - 4);
    const bytes = Buffer.concat(writer.finish());
    const reader = new Reader(bytes);
    expect(reader.int32()).toBe(bytes.length - 4);
    expect(Array.from({ length: 40_000 }, () => reader.int32()).every((value, index) => value === index)).toBe(true);
    expect(reader.take(5000)).toEqual(new Uint8Array(5000).fill(3));
  });

  it("that were begun and discarded leave no trace", () => {
    const writer = new Writer();
    writer.raw(new Uint8Array(9000));
    writer.int32(1);
    writer.discard();
    writer.int8(5);
    expect(Buffer.concat(writer.finish())).toEqual(Buffer.of(5));
  });

  it("without bytes have one empty part", () => {
    expect(new Writer().finish()).toEqual([new Uint8Array(0)]);
  });
});

describe("tags", () => {
  it("have the size of their payload before it, whatever its length", () => {
    for (const length of [0, 1, 126, 127, 128, 129, 4095, 4096, 20_000, 70_000]) {
      const bytes = written((writer) => {
        const outer = writer.openTag(3);
        writer.int8(1);
        const inner = writer.openTag(300);
        writer.raw(new Uint8Array(length).fill(6));
        writer.int8(2);
        writer.closeTag(inner);
        writer.closeTag(outer);
      });
      const reader = new Reader(bytes);
      expect(reader.uvarint()).toBe(3);
      expect(reader.uvarint()).toBe(reader.remaining);
      expect(reader.int8()).toBe(1);
      expect(reader.uvarint()).toBe(300);
      expect(reader.uvarint()).toBe(length + 1);
      expect(reader.take(length)).toEqual(new Uint8Array(length).fill(6));
      expect(reader.int8()).toBe(2);
    }
  });

  it("that are unknown are put between the known ones in ascending order", () => {
    const unknown = [1, 4, 9].map((tag) => ({ tag, bytes: Uint8Array.of(tag) }));
    const bytes = written((writer) => {
      writer.tagCount(2, unknown);
      let next = 0;
      for (const tag of [2, 5]) {
        next = writer.unknownTagsBelow(unknown, next, tag);
        const mark = writer.openTag(tag);
        writer.int8(tag);
        writer.closeTag(mark);
      }
      writer.unknownTagsFrom(unknown, next);
    });
    const tags = new Reader(bytes).unknownTags();
    expect(tags?.map(({ tag, bytes: payload }) => [tag, ...payload])).toEqual([1, 2, 4, 5, 9].map((tag) => [tag, tag]));
  });

  it("that are unknown are refused if they repeat, descend or are known", () => {
    const tag = (number: number): { tag: number; bytes: Uint8Array } => ({ tag: number, bytes: new Uint8Array(0) });
    expect(() => written((writer) => writer.unknownTags([tag(3), tag(3)]))).toThrow(EncodeError);
    expect(() => written((writer) => writer.unknownTags([tag(4), tag(3)]))).toThrow(EncodeError);
    expect(() => written((writer) => writer.unknownTagsBelow([tag(3)], 0, 3))).toThrow("both a known field");
  });
});

describe("the end of the slab", () => {
  const writes: readonly (readonly [name: string, write: (writer: Writer) => void])[] = [
    ["int8", (writer) => writer.int8(-3)],
    ["bool", (writer) => writer.bool(true)],
    ["int16", (writer) => writer.int16(-300)],
    ["uint16", (writer) => writer.uint16(60_000)],
    ["int32", (writer) => writer.int32(-70_000)],
    ["uint32", (writer) => writer.uint32(4_000_000_000)],
    ["int64", (writer) => writer.int64(-(2 ** 40))],
    ["int64Big", (writer) => writer.int64Big(-(1n << 60n))],
    ["float64", (writer) => writer.float64(0.1)],
    ["uuid", (writer) => writer.uuid("AAECAwQFBgcICQoLDA0ODw")],
    ["uvarint", (writer) => writer.uvarint(3_000_000)],
    ["short uvarint", (writer) => writer.uvarint(5)],
    ["varint", (writer) => writer.varint(-3_000_000)],
    ["varlong", (writer) => writer.varlong(-(2 ** 50))],
    ["string", (writer) => writer.string("topic")],
    ["long string", (writer) => writer.string("é".repeat(60))],
    ["compactString", (writer) => writer.compactString("topic")],
    ["not ASCII", (writer) => writer.compactString("tópic")],
    ["bytes", (writer) => writer.bytes(Uint8Array.of(1, 2, 3))],
    ["a tag", (writer) => writer.closeTag(writer.openTag(1))],
    ["a reserved int32", (writer) => writer.patchInt32(writer.reserveInt32(), 7)],
  ];

  it.each(writes)("does not change what %s writes, wherever it falls", (_name, write) => {
    const expected = Buffer.from(written(write)).toString("hex");
    for (let before = 64 * 1024 - 130; before <= 64 * 1024; before += 1) {
      const bytes = written((writer) => {
        for (let at = 0; at < before; at += 1) writer.int8(1);
        write(writer);
      });
      expect(Buffer.from(bytes).toString("hex", before)).toBe(expected);
      expect(bytes.subarray(0, before).every((byte) => byte === 1)).toBe(true);
    }
  });
});
