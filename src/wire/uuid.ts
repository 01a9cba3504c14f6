// The two spellings of a uuid: 16 bytes on the wire, 22 characters of base64url without padding in text (KIP-516).
// Refuses a text that is not exactly such a spelling.
import { EncodeError } from "./encode-error.ts";

/** Bytes of a uuid on the wire. */
export const UUID_BYTES = 16;

/** The uuid of 16 zero bytes, which Kafka reads as "none". */
export const ZERO_UUID = "AAAAAAAAAAAAAAAAAAAAAA";

/** Text of the 16 bytes at `position`, which the caller has checked to be there. */
export function uuidFromBytes(bytes: Uint8Array, position = 0): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + position, UUID_BYTES).toString("base64url");
}

/** The 16 bytes of a uuid's text. Throws EncodeError unless it is the one spelling of 16 bytes. */
export function uuidToBytes(text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64url");
  if (text.length !== 22 || bytes.length !== UUID_BYTES || bytes.toString("base64url") !== text) {
    throw new EncodeError(`"${text}" is not a uuid in base64url (22 characters)`);
  }
  return bytes;
}
