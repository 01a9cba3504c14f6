// A store whose GETs take as long as a test says, in virtual time, and that counts them.
import { sleep } from "../../src/host/clock.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { type ByteRange, type CallOptions, ObjectStoreError } from "../../src/object-store/object-store.ts";
import type { SimClock } from "../sim/sim-clock.ts";

/** What one GET does: how long it takes, and whether it fails then. */
export interface GetFate {
  readonly ms: number;
  readonly fails?: boolean;
}

/** Slow to read, quick to write. */
export class SlowStore extends MemoryObjectStore {
  /** Every range asked for, in order. */
  readonly ranges: (ByteRange & { readonly key: string })[] = [];
  /** GETs whose signal was aborted before they were done. */
  abortedCount = 0;
  /** The most bytes that GETs under way asked for at one time, and the most GETs. */
  readonly peak = { bytes: 0, gets: 0 };
  readonly #clock: SimClock;
  readonly #fateOf: (nth: number, key: string) => GetFate;
  readonly #underWay = { bytes: 0, gets: 0 };

  /** @param fateOf by the number of the GET, from 0 */
  constructor(clock: SimClock, fateOf: (nth: number, key: string) => GetFate = () => ({ ms: 10 })) {
    super();
    this.#clock = clock;
    this.#fateOf = fateOf;
  }

  override async get(key: string, options: CallOptions & { range?: ByteRange }): Promise<Uint8Array> {
    const { range = { start: 0, length: 0 }, signal } = options;
    const { ms, fails = false } = this.#fateOf(this.ranges.length, key);
    this.ranges.push({ key, ...range });
    this.#note(range.length, 1);
    try {
      await sleep(this.#clock, ms, signal);
    } catch (error) {
      this.abortedCount++;
      throw error;
    } finally {
      this.#note(-range.length, -1);
    }
    if (fails) throw new ObjectStoreError("unavailable", `get ${key} fails`);
    return super.get(key, options);
  }

  #note(bytes: number, gets: number): void {
    this.#underWay.bytes += bytes;
    this.#underWay.gets += gets;
    this.peak.bytes = Math.max(this.peak.bytes, this.#underWay.bytes);
    this.peak.gets = Math.max(this.peak.gets, this.#underWay.gets);
  }
}
