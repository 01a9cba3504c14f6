// Bytes of older records in RAM, bounded: what readers have had all of leaves first, then what nobody has touched for the
// longest time. What waits for its reader and what many share each have a part of the room that the other cannot take.
import { LRUCache } from "lru-cache";

/** Bytes that are kept. */
export interface Kept {
  readonly bytes: Uint8Array;
}

/** For whom bytes are kept: for the one who reads on, or for whoever comes, at different times. */
export type KeptFor = "next" | "many";

/** What is kept for many has this share of the room, and may have more while nobody else needs it. */
const MANY_SHARE = 1 / 4;

/** What waits for its reader and is not touched while the room is filled this many times over has lost him. */
const ROOMS_WAITED_MAX = 4;

/** Everything that reads keep. */
export class KeptReads<Entry extends Kept> {
  /** Upper bound of {@link bytes}. */
  readonly bytesMax: number;
  readonly #done: LRUCache<string, Entry>;
  readonly #next: LRUCache<string, Entry>;
  readonly #many: LRUCache<string, Entry>;
  /** Of what waits for its reader: how much had been kept so far when it was touched last. */
  readonly #touchedAtBytes = new WeakMap<Entry, number>();
  /** Bytes that were ever kept. */
  #keptInAllBytes = 0;

  /** @param evicted told of what left for want of room */
  constructor(bytesMax: number, evicted: (name: string, entry: Entry) => void = () => {}) {
    this.bytesMax = bytesMax;
    const lru = () =>
      new LRUCache<string, Entry>({
        maxSize: bytesMax,
        sizeCalculation: ({ bytes }) => bytes.length || 1,
        dispose: (entry, name, reason) => {
          if (reason === "evict") evicted(name, entry);
        },
      });
    this.#done = lru();
    this.#next = lru();
    this.#many = lru();
  }

  /** Bytes kept now. */
  get bytes(): number {
    return this.#done.calculatedSize + this.#next.calculatedSize + this.#many.calculatedSize;
  }

  /** Bytes that can be kept for the next reader without letting go of any that wait for theirs. */
  get roomBytes(): number {
    const manyBytes = Math.min(this.#many.calculatedSize, this.bytesMax * MANY_SHARE);
    return Math.max(0, this.bytesMax - manyBytes - this.#next.calculatedSize);
  }

  /** Whether it is kept. Nothing counts as used by that. */
  has(name: string): boolean {
    return this.peek(name) !== undefined;
  }

  /** What is kept, without being used. */
  peek(name: string): Entry | undefined {
    return this.#next.peek(name) ?? this.#many.peek(name) ?? this.#done.peek(name);
  }

  /** What is kept; used now. */
  get(name: string): Entry | undefined {
    const waiting = this.#next.get(name);
    if (waiting) this.#touchedAtBytes.set(waiting, this.#keptInAllBytes);
    return waiting ?? this.#many.get(name) ?? this.#done.get(name);
  }

  /** Keeps it, if it fits into the whole room, in place of what had its name. */
  set(name: string, entry: Entry, keptFor: KeptFor): void {
    this.delete(name);
    this.#keptInAllBytes += entry.bytes.length;
    this.#touchedAtBytes.set(entry, this.#keptInAllBytes);
    (keptFor === "next" ? this.#next : this.#many).set(name, entry);
    this.#giveUpWaiting();
    this.#shrink();
  }

  /** Forgets it. */
  delete(name: string): void {
    for (const list of [this.#next, this.#many, this.#done]) list.delete(name);
  }

  /** Notes that readers have had all of it: it leaves before anything else. */
  noteDone(name: string): void {
    for (const list of [this.#next, this.#many]) {
      const entry = list.peek(name);
      if (!entry) continue;
      list.delete(name);
      this.#done.set(name, entry);
    }
  }

  /** Else what readers leave behind who go away would take the room from all who come, as what was read leaves before it. */
  #giveUpWaiting(): void {
    const untouchedBytes = this.#keptInAllBytes - this.bytesMax * ROOMS_WAITED_MAX;
    for (;;) {
      const name = this.#next.rkeys().next().value;
      const oldest = name === undefined ? undefined : this.#next.peek(name);
      if (name === undefined || !oldest || (this.#touchedAtBytes.get(oldest) ?? 0) >= untouchedBytes) return;
      this.noteDone(name);
    }
  }

  #shrink(): void {
    while (this.bytes > this.bytesMax) {
      const isManyOver = this.#many.calculatedSize > this.bytesMax * MANY_SHARE || this.#next.size === 0;
      const list = this.#done.size > 0 ? this.#done : isManyOver ? this.#many : this.#next;
      list.pop();
    }
  }
}
