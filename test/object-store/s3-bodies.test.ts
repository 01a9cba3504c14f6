// Bodies of puts: the same bytes in the same order, however many parts they are in.
import fc from "fast-check";
import { expect, it } from "vitest";
import { base64OfCrc32c, checksumOf, PartsBody } from "../../src/object-store/s3-bodies.ts";
import { crc32c } from "../../src/wire/crc32c.ts";

/** The writes that a request would be sent with. */
function piecesOf(parts: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  return new Promise((resolve, reject) => {
    const body = new PartsBody(parts).on("data", (piece: Uint8Array) => pieces.push(piece));
    body.on("end", () => resolve(pieces)).on("error", reject);
  });
}

it("sends the concatenation of any parts, large ones from where they lie", async () => {
  const size = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 15_000, max: 80_000 }));
  await fc.assert(
    fc.asyncProperty(fc.array(size, { maxLength: 30 }), async (sizes) => {
      const parts = sizes.map((bytes, index) => new Uint8Array(bytes).fill(index + 1));
      const chunks = await piecesOf(parts);
      expect(Buffer.concat(chunks).equals(Buffer.concat(parts))).toBe(true);
      for (const part of parts) {
        if (part.byteLength >= 16_384) expect(chunks.some((chunk) => chunk.buffer === part.buffer)).toBe(true);
      }
    }),
    { numRuns: 50 },
  );
});

it("sends many small parts in few pieces", async () => {
  const parts = Array.from({ length: 8_000 }, () => new Uint8Array(64));
  expect(await piecesOf(parts)).toHaveLength(8);
});

it("gives the checksum of the concatenation as S3 writes it", () => {
  const parts = [Buffer.from("1234"), Buffer.alloc(0), Buffer.from("56789")];
  expect(crc32c(Buffer.concat(parts))).toBe(0xe306_9283);
  expect(checksumOf(parts)).toBe(Buffer.from([0xe3, 0x06, 0x92, 0x83]).toString("base64"));
  expect(base64OfCrc32c(1)).toBe("AAAAAQ==");
});
