// Byte fields that a message holds by reference: where between the message's own bytes each belongs. Positions count
// the message's own bytes alone, from its start, so they hold when the message moves to a larger slab.

interface Reference {
  position: number;
  readonly bytes: Uint8Array;
}

/** The references of one message, in ascending order of their positions. */
export class References {
  #list: Reference[] = [];

  /** Adds `bytes` behind the message's first `position` own bytes. */
  add(position: number, bytes: Uint8Array): void {
    this.#list.push({ position, bytes });
  }

  /** Forgets all of them. */
  clear(): void {
    if (this.#list.length > 0) this.#list = [];
  }

  /** Bytes referenced behind `mark`; -1 for all. */
  bytesAfter(mark: number): number {
    let bytes = 0;
    for (const reference of this.#list) if (reference.position > mark) bytes += reference.bytes.length;
    return bytes;
  }

  /** Notes that the own bytes behind `mark` moved up by `shift`. */
  moveAfter(mark: number, shift: number): void {
    for (const reference of this.#list) if (reference.position > mark) reference.position += shift;
  }

  /** The message in order: stretches of its own bytes, and what is referenced between them. At least one part. */
  between(own: Uint8Array): Uint8Array[] {
    const parts: Uint8Array[] = [];
    let from = 0;
    for (const { position, bytes } of this.#list) {
      if (position > from) parts.push(own.subarray(from, position));
      parts.push(bytes);
      from = position;
    }
    if (own.length > from || parts.length === 0) parts.push(from === 0 ? own : own.subarray(from));
    return parts;
  }
}
