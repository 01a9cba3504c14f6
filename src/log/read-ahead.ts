// Fetches what a sequential reader will ask for next, before he does. Who reads one step after the other is known by the
// steps he takes, not by who he is. Bounded in bytes and in loads at the same time, over all readers; what a reader who
// went away left unread counts for a while only.
import { LRUCache } from "lru-cache";

/** What can be read ahead. */
export interface ReadAheadSource<Step> {
  nameOf(step: Step): string;
  bytesOf(step: Step): number;
  /** Bytes that can be brought without pushing out what others wait to read. */
  roomBytes(): number;
  /** Whether reading the step needs nothing of the store. */
  isAtHand(step: Step): boolean;
  /** Brings the step to where its reader will find it. May reject: then the reader will meet the same trouble himself. */
  load(step: Step): Promise<unknown>;
  monotonicMs(): number;
}

/** How far ahead. */
export interface ReadAheadLimits {
  /** Bytes ahead of one reader. */
  readonly windowBytes: number;
  /** Bytes fetched and not yet read, of all readers. */
  readonly bytesMax: number;
  /** Loads at the same time. */
  readonly loadsMax: number;
}

interface Ahead {
  readonly bytes: number;
  readonly atMs: number;
}

/** Steps looked at ahead of one reader. */
const STEPS_MAX = 16;
/** Sequential readers remembered. */
const READERS_MAX = 4_096;
/** What was fetched ahead and not read for this long has lost its reader. */
const UNREAD_MS_MAX = 10_000;

/** Reading ahead for all readers of a broker. */
export class ReadAhead<Step> {
  readonly #source: ReadAheadSource<Step>;
  readonly #limits: ReadAheadLimits;
  /**
   * By the step a reader is expected to take next: how far ahead he may be helped then, in bytes. Made when it is first
   * needed: its room is taken at once.
   */
  #expected: LRUCache<string, number> | undefined;
  /** Steps that were loaded, or are being, and that nobody has read; the oldest first. */
  readonly #ahead = new Map<string, Ahead>();
  #aheadBytes = 0;
  #loading = 0;

  constructor(source: ReadAheadSource<Step>, limits: ReadAheadLimits) {
    this.#source = source;
    this.#limits = limits;
  }

  /** Bytes fetched ahead and not yet read. */
  get aheadBytes(): number {
    return this.#aheadBytes;
  }

  /**
   * Notes that `step` is being read and may start to load what follows: two steps in a row make a sequential reader, who
   * is first helped half the window ahead, then the whole, and one step at least.
   * @param following the steps after it in order; looked at before this returns, never afterwards
   */
  note(step: Step, following: Iterable<Step>): void {
    if (this.#limits.windowBytes === 0) return;
    const name = this.#source.nameOf(step);
    this.#forget(name);
    const steps: Step[] = [];
    for (const next of following) {
      if (steps.push(next) === STEPS_MAX) break;
    }
    const [first] = steps;
    if (first === undefined) return;
    const nextName = this.#source.nameOf(first);
    this.#expected ??= new LRUCache({ max: READERS_MAX });
    const expectedBytes = this.#expected.get(name);
    if (expectedBytes === undefined) {
      // A new reader, or one who reads the same step again.
      if (!this.#expected.has(nextName)) this.#expected.set(nextName, this.#limits.windowBytes / 2);
      return;
    }
    this.#expected.delete(name);
    this.#expected.set(nextName, this.#limits.windowBytes);
    this.#loadWithin(expectedBytes, steps);
  }

  #loadWithin(windowBytes: number, steps: readonly Step[]): void {
    const source = this.#source;
    let bytes = 0;
    for (const step of steps) {
      bytes += source.bytesOf(step);
      if ((bytes > windowBytes && step !== steps[0]) || this.#loading >= this.#limits.loadsMax) return;
      const name = source.nameOf(step);
      if (this.#ahead.has(name) || source.isAtHand(step)) continue;
      if (!this.#hasRoomFor(source.bytesOf(step))) return;
      this.#load(step, name);
    }
  }

  #hasRoomFor(bytes: number): boolean {
    if (bytes > this.#source.roomBytes()) return false;
    const sinceMs = this.#source.monotonicMs() - UNREAD_MS_MAX;
    for (const [name, { atMs }] of this.#ahead) {
      if (this.#aheadBytes + bytes <= this.#limits.bytesMax || atMs > sinceMs) break;
      this.#forget(name);
    }
    return this.#aheadBytes + bytes <= this.#limits.bytesMax;
  }

  #load(step: Step, name: string): void {
    const bytes = this.#source.bytesOf(step);
    this.#ahead.set(name, { bytes, atMs: this.#source.monotonicMs() });
    this.#aheadBytes += bytes;
    this.#loading++;
    this.#source.load(step).then(
      () => {
        this.#loading--;
      },
      () => {
        this.#loading--;
        this.#forget(name);
      },
    );
  }

  #forget(name: string): void {
    const ahead = this.#ahead.get(name);
    if (!ahead) return;
    this.#ahead.delete(name);
    this.#aheadBytes -= ahead.bytes;
  }
}
