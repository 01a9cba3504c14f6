// Bytes that no honest peer sends: cut off, changed, or announcing more than there is. A decoder answers with a
// DecodeError or with a message, never with another error, and never takes memory on the word of a count.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type MessageCodec, messageCodecs } from "../../generated/testing/messages.ts";
import { DecodeError } from "../../src/wire/decode-error.ts";
import { decodeFromBytes, encodeToBytes, numRuns } from "./codec-runs.ts";

/** The error of decoding `bytes`; undefined if they are a message. */
function decodeError(codec: MessageCodec, bytes: Uint8Array, version: number): unknown {
  try {
    decodeFromBytes(codec, bytes, version);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Cut points of an encoding: all of a short one, some of a long one. */
function cutPoints(length: number): number[] {
  const step = Math.max(1, Math.floor(length / 24));
  return Array.from({ length: Math.ceil(length / step) }, (_, index) => index * step);
}

function overwrite(bytes: Uint8Array, at: number, bomb: readonly number[]): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed.set(bomb.slice(0, Math.max(0, bytes.length - at)), at);
  return changed;
}

// Counts and lengths of 2^31-1, as an int32 and as an unsigned varint; -2 as both; a varint without end.
const BOMBS = [
  [0x7f, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xff, 0xff, 0xff, 0xfe],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff],
];

const runs = { numRuns: Math.max(2, Math.ceil(numRuns / 4)) };

describe.each(messageCodecs.map((codec) => [codec.name, codec] as const))("%s", (_name, codec) => {
  it("rejects every truncation", () => {
    expect.hasAssertions();
    for (const version of codec.versions) {
      const property = fc.property(codec.arbitrary(version), (message) => {
        const bytes = encodeToBytes(codec, message, version);
        for (const cut of cutPoints(bytes.length)) {
          expect(decodeError(codec, bytes.subarray(0, cut), version)).toBeInstanceOf(DecodeError);
        }
        expect(decodeError(codec, bytes, version)).toBeUndefined();
      });
      fc.assert(property, runs);
    }
  });

  it("answers changed bytes and announced giants with a DecodeError or a message", () => {
    const others = new Set<unknown>();
    for (const version of codec.versions) {
      const property = fc.property(
        codec.arbitrary(version),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        (message, at, byte) => {
          const bytes = encodeToBytes(codec, message, version);
          const changed = [...cutPoints(bytes.length)].map((cut, index) =>
            overwrite(bytes, cut, BOMBS[index % BOMBS.length] ?? []),
          );
          if (bytes.length > 0) changed.push(overwrite(bytes, at % bytes.length, [byte]));
          for (const candidate of changed) {
            const error = decodeError(codec, candidate, version);
            if (error !== undefined && !(error instanceof DecodeError)) others.add(error);
          }
        },
      );
      fc.assert(property, runs);
    }
    expect([...others]).toEqual([]);
  });
});

describe("memory", () => {
  it("is not taken for a count that the bytes cannot hold", () => {
    const before = process.memoryUsage();
    for (const codec of messageCodecs) {
      for (const version of codec.versions) {
        for (const bomb of BOMBS)
          decodeError(
            codec,
            Uint8Array.from({ length: 64 }, (_, at) => bomb[at % bomb.length] ?? 0),
            version,
          );
      }
    }
    const after = process.memoryUsage();
    // Some 3,400 decodes of 64 bytes each; one array of 2^31 elements would be 16 GiB, one of 2^24 already 128 MiB.
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(100 * 1024 * 1024);
  });
});
