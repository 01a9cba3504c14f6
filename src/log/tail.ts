// The newest committed bytes in RAM, so that consumers at the end of the log never touch the object store. Bounded in
// bytes: the oldest flush leaves first.
import type { Extent } from "./extents.ts";

interface TailFlush {
  readonly bytes: number;
  readonly extents: readonly Extent[];
}

/** The tail of a broker: the bodies of its last committed flushes. */
export class Tail {
  readonly #bytesMax: number;
  #flushes: TailFlush[] = [];
  /** Index of the oldest flush still held; the array is compacted now and then rather than shifted each time. */
  #oldest = 0;
  #bytes = 0;

  /** @param bytesMax what the tail may hold; 0 keeps nothing */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes held now, at most the bound given at construction. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Holds the body of a committed flush: `bytes` long, cut into `extents` whose `tailBytes` are set. */
  add(extents: readonly Extent[], bytes: number): void {
    this.#flushes.push({ bytes, extents });
    this.#bytes += bytes;
    while (this.#bytes > this.#bytesMax) this.#evictOldest();
    if (this.#oldest > 1024 && this.#oldest * 2 > this.#flushes.length) {
      this.#flushes = this.#flushes.slice(this.#oldest);
      this.#oldest = 0;
    }
  }

  #evictOldest(): void {
    const flush = this.#flushes[this.#oldest++];
    if (!flush) return;
    this.#bytes -= flush.bytes;
    for (const extent of flush.extents) extent.tailBytes = null;
  }

  /** Lets go of everything: the owner's session has ended. */
  clear(): void {
    while (this.#oldest < this.#flushes.length) this.#evictOldest();
    this.#flushes = [];
    this.#oldest = 0;
  }
}
