// Every codec at every version gives back what was written, byte for byte, and reads exactly its own bytes.
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type MessageCodec, messageCodecs } from "../../generated/testing/messages.ts";
import { Reader } from "../../src/wire/reader.ts";
import { encodeToBytes, numRuns } from "./codec-runs.ts";

/** Decodes `bytes` from the middle of an array that goes on with other bytes. */
function decodeBetween(codec: MessageCodec, bytes: Uint8Array, version: number): { message: unknown; rest: number } {
  const around = new Uint8Array(bytes.length + 16).fill(0x5a);
  around.set(bytes, 8);
  const reader = new Reader(around, 8, 8 + bytes.length);
  return { message: codec.decode(reader, version), rest: reader.remaining };
}

function checkRoundTrip(codec: MessageCodec, message: unknown, version: number): void {
  const bytes = encodeToBytes(codec, message, version);
  const decoded = decodeBetween(codec, bytes, version);
  // The matcher's own comparison is ten times slower; it is asked only for its picture of a difference.
  if (!isDeepStrictEqual(decoded.message, message)) expect(decoded.message).toStrictEqual(message);
  expect(decoded.rest).toBe(0);
  const again = encodeToBytes(codec, decoded.message, version);
  expect(Buffer.compare(again, bytes)).toBe(0);
}

describe.each(messageCodecs.map((codec) => [codec.name, codec] as const))("%s", (_name, codec) => {
  it("gives back every random message and reads exactly its bytes", () => {
    for (const version of codec.versions) {
      fc.assert(
        fc.property(codec.arbitrary(version), (message) => checkRoundTrip(codec, message, version)),
        { numRuns },
      );
    }
    expect(codec.versions.length).toBeGreaterThan(0);
  });
});
