// The codecs: what is written is read, damage is refused, and nothing grows past its bound.
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { compressFrameSync } from "lz4-napi";
import { compressSync } from "snappy";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../../src/kafka-error.ts";
import { Compression, compress, decompress, decompressedBytesMax } from "../../src/records/compression.ts";
import { COMPRESSED_BLOCKS_MAX } from "../../src/records/compression-limits.ts";
import { compressZstd, decompressZstd, nativeZstd, wasmZstd } from "../../src/records/compression-zstd.ts";

const codecs = Object.entries(Compression).filter(([, codec]) => codec !== Compression.NONE);
const MIB = 1024 * 1024;

/** Text that compresses about as well as records do. */
function sampleText(length: number): Uint8Array {
  let text = "";
  for (let index = 0; text.length < length; index += 1) text += `{"id":${index},"user":"u${(index * 7919) % 1000}"},`;
  return new TextEncoder().encode(text.slice(0, length));
}

function refusal(action: () => unknown): ErrorCode | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(KafkaError);
    return (error as KafkaError).code;
  }
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

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
    const body = concat(gzipSync("one, "), gzipSync("two"));
    expect(new TextDecoder().decode(decompress(Compression.GZIP, body))).toBe("one, two");
    expect(refusal(() => decompress(Compression.GZIP, body, { bytesMax: 7 }))).toBe(ErrorCode.CORRUPT_MESSAGE);
  });
});

describe("snappy", () => {
  it("reads one raw block without framing", () => {
    const bytes = sampleText(5000);
    expect(decompress(Compression.SNAPPY, compressSync(bytes))).toEqual(Uint8Array.from(bytes));
  });

  it("reads framed streams that were appended to each other", () => {
    const body = concat(compress(Compression.SNAPPY, sampleText(40)), compress(Compression.SNAPPY, sampleText(70_000)));
    const expected = concat(sampleText(40), sampleText(70_000));
    expect(Buffer.compare(decompress(Compression.SNAPPY, body), expected)).toBe(0);
  });

  it("cuts blocks of 32 KiB behind a header of version 1", () => {
    const body = compress(Compression.SNAPPY, new Uint8Array(32 * 1024 + 1));
    const view = new DataView(body.buffer, body.byteOffset);
    expect([...body.subarray(0, 16)]).toEqual([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    expect(16 + 4 + view.getInt32(16) + 4 + view.getInt32(20 + view.getInt32(16))).toBe(body.length);
  });

  it("refuses a block that announces 4 GiB before anything is allocated for it", () => {
    const lie = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x61);
    expect(refusal(() => decompress(Compression.SNAPPY, lie))).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it("refuses one block more than is allowed", () => {
    const block = compressSync(Uint8Array.of(7)) as Uint8Array;
    const framed = concat(Uint8Array.of(0, 0, 0, block.length), block);
    const body = (count: number) =>
      concat(compress(Compression.SNAPPY, new Uint8Array()), ...Array(count).fill(framed));
    expect(decompress(Compression.SNAPPY, body(COMPRESSED_BLOCKS_MAX)).length).toBe(COMPRESSED_BLOCKS_MAX);
    expect(refusal(() => decompress(Compression.SNAPPY, body(COMPRESSED_BLOCKS_MAX + 1)))).toBe(
      ErrorCode.CORRUPT_MESSAGE,
    );
  });
});

describe("lz4", () => {
  const bytes = sampleText(5000);

  it("reads frames with checksums of blocks and content, and refuses them when one is wrong", () => {
    const frame = compressFrameSync(Buffer.from(bytes), { blockChecksums: true, contentChecksum: true });
    expect(Buffer.compare(decompress(Compression.LZ4, frame), bytes)).toBe(0);
    for (const fromEnd of [1, 4, 9, 12]) {
      const damaged = Uint8Array.from(frame);
      damaged[damaged.length - fromEnd] = (damaged[damaged.length - fromEnd] as number) ^ 1;
      expect(refusal(() => decompress(Compression.LZ4, damaged))).toBe(ErrorCode.CORRUPT_MESSAGE);
    }
  });

  it("takes a wrong header checksum only in magic 0, and writes it there as old clients do", () => {
    const broken = compress(Compression.LZ4, bytes, { isMagic0: true });
    const sound = compress(Compression.LZ4, bytes);
    expect(broken.findIndex((byte, index) => byte !== sound[index])).toBe(6);
    expect(Buffer.compare(decompress(Compression.LZ4, broken, { isMagic0: true }), bytes)).toBe(0);
    expect(Buffer.compare(decompress(Compression.LZ4, sound, { isMagic0: true }), bytes)).toBe(0);
    expect(refusal(() => decompress(Compression.LZ4, broken))).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it("reads frames that follow each other", () => {
    const body = concat(compress(Compression.LZ4, bytes), compress(Compression.LZ4, bytes));
    expect(decompress(Compression.LZ4, body).length).toBe(2 * bytes.length);
  });

  it("refuses linked blocks, as Java's reader does", () => {
    const frame = Uint8Array.from(compress(Compression.LZ4, bytes));
    frame[4] = (frame[4] as number) & ~0x20;
    expect(refusal(() => decompress(Compression.LZ4, frame, { isMagic0: true }))).toBe(ErrorCode.CORRUPT_MESSAGE);
  });
});

describe("zstd", () => {
  it("reads frames that follow each other, with skippable ones between", () => {
    const skippable = Uint8Array.of(0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
    const frame = compress(Compression.ZSTD, sampleText(50));
    const body = concat(skippable, frame, skippable, frame);
    expect(Buffer.compare(decompress(Compression.ZSTD, body), concat(sampleText(50), sampleText(50)))).toBe(0);
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
