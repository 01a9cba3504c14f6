// Fresh uuids as Kafka makes them: version 4, never one of the reserved ids, never with a leading dash (which command
// lines take for an option).
import type { Random } from "../host/random.ts";

/** A random uuid in Kafka's text form. */
export function newUuid(random: Random): string {
  for (;;) {
    const bytes = random.bytes(16);
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
    if (!text.startsWith("-")) return text;
  }
}
