// The codecs: what is written is read, damage is refused, and nothing grows past its bound.
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { Compression, compress, decompress, decompressedBytesMax } from "../../src/records/compression.ts";
import { compressZstd, decompressZstd, nativeZstd, wasmZstd } from "../../src/records/compression-zstd.ts";
import { joinBytes } from "../../src/records/join-bytes.ts";
import { refusal, sampleText } from "./sample-batches.ts";

const codecs = Object.entries(Compression).filter(([, codec]) => codec !== Compression.NONE);
const MIB = 1024 * 1024;

describe.each(codecs)("%s", (_, codec) => {
  it("gives back what was compressed, of every length", () => {
    const contents = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat({ max: 200_000 }).map(sampleText),
      fc.nat({ max: 100_000 }).map((length) => new Uint8Array(length)),
    );
    fc.assert(
      fc.property(contents, (bytes) => {
        expect(Buffer.compare(decompress(codec, compress(codec, bytes)), bytes)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it("refuses a body that is cut off at any length", () => {
    const bytes = sampleText(2000);
    const body = compress(codec, bytes);
    for (let length = 0; length < body.length; length += 1) {
      // The framing of snappy has no end mark: cut between blocks it is a whole, shorter body.
      if (codec === Compression.SNAPPY && length === 16) continue;
      expect(refusal(() => decompress(codec, body.subarray(0, length)))).toBe(ErrorCode.CORRUPT_MESSAGE);
    }
  });

  it("allows exactly the bound and not one byte more", () => {
    const bytes = sampleText(100_000);
    const body = compress(codec, bytes);
    expect(decompress(codec, body, { bytesMax: 100_000 }).length).toBe(100_000);
    expect(refusal(() => decompress(codec, body, { bytesMax: 99_999 }))).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it("refuses what would become more than 64 times its size and 1 MiB", () => {
    const body = compress(codec, new Uint8Array(60 * MIB));
    const isBomb = decompressedBytesMax(body.length) < 60 * MIB;
    expect(isBomb).toBe(codec !== Compression.SNAPPY);
    expect(refusal(() => decompress(codec, body))).toBe(isBomb ? ErrorCode.CORRUPT_MESSAGE : undefined);
  });

  it("refuses what would become more than 64 MiB", () => {
    const tooMany = new Uint8Array(64 * MIB + 1);
    // Enough of it does not compress, so that the ratio allows the size.
    let state = 1;
    for (let index = 0; index < 2 * MIB; index += 1) {
      state = (Math.imul(state, 1103515245) + 12345) | 0;
      tooMany[index] = state >>> 16;
    }
    const body = compress(codec, tooMany);
    expect(decompressedBytesMax(body.length)).toBe(64 * MIB);
    expect(refusal(() => decompress(codec, body))).toBe(ErrorCode.CORRUPT_MESSAGE);
    expect(decompress(codec, compress(codec, tooMany.subarray(0, 64 * MIB))).length).toBe(64 * MIB);
  });

  it("never throws anything but CORRUPT_MESSAGE on damaged bytes", () => {
    const body = compress(codec, sampleText(3000));
    const damage = fc.array(fc.tuple(fc.nat({ max: body.length - 1 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(damage, fc.nat({ max: body.length }), (changes, length) => {
        const damaged = body.slice();
        for (const [at, value] of changes) damaged[at] = value;
        for (const bytes of [damaged, damaged.subarray(0, length), damaged.subarray(length)]) {
          expect([undefined, ErrorCode.CORRUPT_MESSAGE]).toContain(refusal(() => decompress(codec, bytes)));
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("gzip", () => {
  it("reads concatenated members as one body, and counts them towards one bound", () => {
    const body = joinBytes([gzipSync("one, "), gzipSync("two")]);
    expect(new TextDecoder().decode(decompress(Compression.GZIP, body))).toBe("one, two");
    expect(refusal(() => decompress(Compression.GZIP, body, { bytesMax: 7 }))).toBe(ErrorCode.CORRUPT_MESSAGE);
  });
});

describe("zstd", () => {
  it("reads frames that follow each other, with skippable ones between", () => {
    const skippable = Uint8Array.of(0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
    const frame = compress(Compression.ZSTD, sampleText(50));
    const body = joinBytes([skippable, frame, skippable, frame]);
    expect(Buffer.compare(decompress(Compression.ZSTD, body), joinBytes([sampleText(50), sampleText(50)]))).toBe(0);
  });

  it("refuses an announced size that the blocks do not have", () => {
    const frame = Uint8Array.from(compress(Compression.ZSTD, sampleText(1000)));
    // Frame descriptor 0x60: single segment, content size in two bytes, less 256.
    expect((frame[4] as number) & 0xe0).toBe(0x60);
    for (const size of [999, 1001, 0xffff + 256]) {
      new DataView(frame.buffer).setUint16(5, size - 256, true);
      expect(refusal(() => decompress(Compression.ZSTD, frame))).toBe(ErrorCode.CORRUPT_MESSAGE);
    }
  });

  it("gives the same by WebAssembly and by Node, also without an announced size", async () => {
    const libraries = [await wasmZstd(), nativeZstd()].filter((library) => library !== undefined);
    // A frame as a streaming encoder writes it: a window of 1 KiB, no size, one raw block of 5 bytes, one of 700 'x'.
    const streamed = Uint8Array.of(
      0x28,
      0xb5,
      0x2f,
      0xfd,
      0,
      0,
      40,
      0,
      0,
      1,
      2,
      3,
      4,
      5,
      ((700 << 3) & 0xff) | 3,
      700 >> 5,
      0,
      120,
    );
    for (const zstd of libraries) {
      const text = sampleText(300_000);
      for (const other of libraries) {
        expect(Buffer.compare(decompressZstd(compressZstd(text, zstd), 300_000, other), text)).toBe(0);
      }
      expect(decompressZstd(streamed, 705, zstd)).toEqual(
        expect.objectContaining({ length: 705, 0: 1, 4: 5, 5: 120, 704: 120 }),
      );
      expect(() => decompressZstd(streamed, 704, zstd)).toThrow(Error);
    }
  });
});
