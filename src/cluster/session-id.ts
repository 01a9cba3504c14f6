// Ids of sessions: 96 random bits, never reused, written as 24 lower-case hex digits and stored as 12 bytes.

import type { Random } from "../host/random.ts";
import { invariant } from "../invariant.ts";

/** One life of a broker process. */
export type SessionId = string;

const SESSION_ID_BYTES = 12;

/** A new id. */
export function newSessionId(random: Random): SessionId {
  return sessionIdFromBytes(random.bytes(SESSION_ID_BYTES));
}

/** The text of the 12 stored bytes. @throws RangeError for another number of bytes */
export function sessionIdFromBytes(bytes: Uint8Array): SessionId {
  if (bytes.length !== SESSION_ID_BYTES) throw new RangeError(`a session id has ${bytes.length} bytes`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** The 12 bytes of an id. */
export function sessionIdToBytes(sessionId: SessionId): Uint8Array {
  const bytes = new Uint8Array(Buffer.from(sessionId, "hex"));
  invariant(bytes.length === SESSION_ID_BYTES, `"${sessionId}" is not a session id`);
  return bytes;
}
