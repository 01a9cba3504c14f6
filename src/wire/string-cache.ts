// Short strings by their bytes. Topic, group and client names come back in every request; a hit costs a third of a
// decode and allocates nothing. Fixed size: a new string takes the slot of the old one, so a peer cannot make it grow.

const SLOTS = 4096;
/** Longest string kept, in bytes; longer ones are decoded each time. */
export const CACHED_STRING_BYTES_MAX = 48;

interface CachedString {
  /** The string's own copy of its bytes, never a view of a frame. */
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** A direct-mapped cache from the UTF-8 bytes of short strings to the strings. */
export class StringCache {
  readonly #slots: CachedString[] = Array.from({ length: SLOTS }, () => EMPTY);

  /** The string whose UTF-8 bytes are `bytes[start, end)`. Malformed sequences become U+FFFD. */
  text(bytes: Uint8Array, start: number, end: number): string {
    let hash = end - start;
    for (let at = start; at < end; at += 1) hash = (Math.imul(hash, 31) + (bytes[at] ?? 0)) | 0;
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    const cached = this.#slots[slot] ?? EMPTY;
    if (cached.bytes.length === end - start && sameBytes(cached.bytes, bytes, start)) return cached.text;
    const text = decodeUtf8(bytes, start, end);
    // Not bytes.slice: on a Buffer that is a view, and would change with the frame's memory.
    this.#slots[slot] = { bytes: Uint8Array.prototype.slice.call(bytes, start, end), text };
    return text;
  }
}

const EMPTY: CachedString = { bytes: new Uint8Array(0), text: "" };

/** UTF-8 to text; malformed sequences become U+FFFD, as Java does. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("utf8");
}

function sameBytes(key: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let at = 0; at < key.length; at += 1) if (key[at] !== bytes[start + at]) return false;
  return true;
}
