// LZ4 frames: checksums, the broken one of magic 0, and what is refused.
import { compressFrameSync } from "lz4-napi";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { Compression, compress, decompress } from "../../src/records/compression.ts";
import { COMPRESSED_BLOCKS_MAX } from "../../src/records/compression-limits.ts";
import { decompressLz4 } from "../../src/records/compression-lz4.ts";
import { joinBytes } from "../../src/records/join-bytes.ts";
import { refusal, sampleText } from "./sample-batches.ts";

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
    const body = joinBytes([compress(Compression.LZ4, bytes), compress(Compression.LZ4, bytes)]);
    expect(decompress(Compression.LZ4, body).length).toBe(2 * bytes.length);
  });

  it("refuses linked blocks, as Java's reader does", () => {
    const frame = Uint8Array.from(compress(Compression.LZ4, bytes));
    frame[4] = (frame[4] as number) & ~0x20;
    expect(refusal(() => decompress(Compression.LZ4, frame, { isMagic0: true }))).toBe(ErrorCode.CORRUPT_MESSAGE);
  });

  it("refuses one block more than is allowed", () => {
    const options = { bytesMax: 1 << 20, isMagic0: false };
    const frame = (blocks: number) =>
      joinBytes([
        compress(Compression.LZ4, new Uint8Array()).subarray(0, 7),
        ...Array.from({ length: blocks }, () => Uint8Array.of(1, 0, 0, 0x80, 42)),
        new Uint8Array(4),
      ]);
    expect(decompressLz4(frame(COMPRESSED_BLOCKS_MAX), options).length).toBe(COMPRESSED_BLOCKS_MAX);
    expect(() => decompressLz4(frame(COMPRESSED_BLOCKS_MAX + 1), options)).toThrow("more than 8192 blocks");
  });
});
