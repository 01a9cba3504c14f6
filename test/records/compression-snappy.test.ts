// Snappy in its framings: what is read, what is written, what is refused before it is allocated.
import { compressSync } from "snappy";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { Compression, compress, decompress } from "../../src/records/compression.ts";
import { COMPRESSED_BLOCKS_MAX } from "../../src/records/compression-limits.ts";
import { decompressSnappy } from "../../src/records/compression-snappy.ts";
import { joinBytes } from "../../src/records/join-bytes.ts";
import { refusal, sampleText } from "./sample-batches.ts";

describe("snappy", () => {
  it("reads one raw block without framing", () => {
    const bytes = sampleText(5000);
    expect(decompress(Compression.SNAPPY, compressSync(bytes))).toEqual(Uint8Array.from(bytes));
  });

  it("reads framed streams that were appended to each other", () => {
    const body = joinBytes([
      compress(Compression.SNAPPY, sampleText(40)),
      compress(Compression.SNAPPY, sampleText(70_000)),
    ]);
    const expected = joinBytes([sampleText(40), sampleText(70_000)]);
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
    const framed = joinBytes([Uint8Array.of(0, 0, 0, block.length), block]);
    const body = (count: number) =>
      joinBytes([compress(Compression.SNAPPY, new Uint8Array()), ...Array(count).fill(framed)]);
    expect(decompress(Compression.SNAPPY, body(COMPRESSED_BLOCKS_MAX)).length).toBe(COMPRESSED_BLOCKS_MAX);
    expect(refusal(() => decompress(Compression.SNAPPY, body(COMPRESSED_BLOCKS_MAX + 1)))).toBe(
      ErrorCode.CORRUPT_MESSAGE,
    );
  });

  it("names what is announced when that is past the bound", () => {
    expect(() => decompressSnappy(compress(Compression.SNAPPY, sampleText(1000)), 999)).toThrow(
      "1000 bytes are announced",
    );
  });
});
