// What the tests of generated codecs share: how many random messages each version gets, and bytes in and out.
import type { MessageCodec } from "../../generated/testing/messages.ts";
import { Reader } from "../../src/wire/reader.ts";
import { Writer } from "../../src/wire/writer.ts";

/** Random messages per version; FC_NUM_RUNS raises it for long runs. */
export const numRuns = Number(process.env["FC_NUM_RUNS"] ?? 25);

/** The encoding of `message` as one array. */
export function encodeToBytes(codec: MessageCodec, message: unknown, version: number): Uint8Array {
  const writer = new Writer();
  // The type says `never` because every codec takes only its own message; the caller's arbitrary made it.
  codec.encode(writer, message as never, version);
  return joined(writer.finish());
}

/** The parts behind each other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}

/** Decodes all of `bytes`. */
export function decodeFromBytes(codec: MessageCodec, bytes: Uint8Array, version: number): unknown {
  return codec.decode(new Reader(bytes), version);
}
