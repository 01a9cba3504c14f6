// Stretches of segments, fetched in runs and kept one by one: a GET brings several MiB of neighbours, and each leaves memory
// as soon as its reader has had it. One GET however many ask; no more than there is room for beside what others wait to
// read. Nothing is kept or given out before it is checked.
import { longLivedController } from "../host/abort.ts";
import type { ByteBudget } from "../host/byte-budget.ts";
import { type Clock, sleep } from "../host/clock.ts";
import type { ByteRange } from "../object-store/object-store.ts";
import { FormatError } from "../objects/format-error.ts";
import type { Held } from "./chunk-cache.ts";
import type { KeptReads } from "./kept-reads.ts";
import type { Stretch } from "./stretch.ts";

/** Parts of {@link RunReads}. */
export interface RunReadComponents {
  /** One GET. */
  get(key: string, range: ByteRange): Promise<Uint8Array>;
  readonly clock: Clock;
  /** Bytes that reads under way may hold; shared with others. */
  readonly budget: ByteBudget;
  /** Shared with others. */
  readonly kept: KeptReads<Held>;
  /** What a GET brings even where there is no room for it: a reader's bite. */
  readonly bytesMin: number;
  /** Whether `bytes` are those of the stretch. Called once for all that is kept. */
  accepts(stretch: Stretch, bytes: Uint8Array): boolean;
}

/** What a GET brought, by name of the stretch. */
type Found = ReadonlyMap<string, Uint8Array>;

/** Reads of segments. */
export class RunReads {
  readonly #parts: RunReadComponents;
  /** By the name of each stretch that is on its way. */
  readonly #underWay = new Map<string, Promise<Found>>();
  #underWayBytes = 0;
  readonly #life = longLivedController();

  constructor(components: RunReadComponents) {
    this.#parts = components;
  }

  /** Bytes that a GET may bring without pushing out what waits for its reader. */
  get roomBytes(): number {
    return Math.max(0, this.#parts.kept.roomBytes - this.#underWayBytes);
  }

  /** Of `wantedBytes`, what a GET should ask for now. */
  bytesFor(wantedBytes: number): number {
    return Math.min(wantedBytes, Math.ceil(Math.max(this.roomBytes, this.#parts.bytesMin)));
  }

  /** Whether a read of the stretch would need no GET of its own. */
  isAtHand(stretch: Stretch): boolean {
    const name = nameOf(stretch);
    return this.#parts.kept.has(name) || this.#underWay.has(name);
  }

  /** The bytes of a stretch if they are kept. */
  readKept(stretch: Stretch): Uint8Array | undefined {
    return this.#parts.kept.get(nameOf(stretch))?.bytes;
  }

  /**
   * The bytes of a stretch; a GET for it brings those that follow in its run as well.
   * @throws FormatError when what the store gives is not accepted, else whatever the GET rejects with
   */
  async read(stretch: Stretch): Promise<Uint8Array> {
    const kept = this.readKept(stretch);
    if (kept) return kept;
    const name = nameOf(stretch);
    const found = await (this.#underWay.get(name) ?? this.#start(stretch));
    const bytes = found.get(name);
    if (bytes) return bytes;
    const { key, position, length } = stretch;
    throw new FormatError(key, `${length} bytes at ${position} are not what they should be`);
  }

  /** Notes that a reader has had all of a stretch. */
  noteDone(stretch: Stretch): void {
    this.#parts.kept.noteDone(nameOf(stretch));
  }

  /**
   * Keeps the bytes of stretches that `bytes` consist of, where they are accepted, and gives them in order. Others have a
   * turn before each next one: several MiB of small batches take a tenth of a second.
   */
  async *keepEach(stretches: readonly Stretch[], bytes: Uint8Array): AsyncGenerator<Uint8Array | undefined, void> {
    let start = 0;
    for (const stretch of stretches) {
      if (start > 0) await sleep(this.#parts.clock, 0, this.#life.signal);
      yield this.#keep(stretch, bytes.subarray(start, start + stretch.length));
      start += stretch.length;
    }
  }

  /** Keeps the bytes of a stretch, as a copy if they are a part of others, where they are accepted. */
  #keep(stretch: Stretch, bytes: Uint8Array): Uint8Array | undefined {
    if (!this.#parts.accepts(stretch, bytes)) return undefined;
    const own = bytes.byteLength < bytes.buffer.byteLength ? bytes.slice() : bytes;
    this.#parts.kept.set(nameOf(stretch), { bytes: own }, "next");
    return own;
  }

  /** One GET in its turn; `take` gets the bytes while they count as held. */
  async fetch<T>(key: string, range: ByteRange, take: (bytes: Uint8Array) => Promise<T>): Promise<T> {
    const { budget } = this.#parts;
    const taken = Math.min(range.length, budget.bytesMax);
    this.#underWayBytes += range.length;
    try {
      await budget.take(taken, { signal: this.#life.signal });
      try {
        return await take(await this.#parts.get(key, range));
      } finally {
        budget.give(taken);
      }
    } finally {
      this.#underWayBytes -= range.length;
    }
  }

  #start(stretch: Stretch): Promise<Found> {
    const stretches = this.#missingFrom(stretch);
    const names = stretches.map(nameOf);
    const length = stretches.reduce((sum, one) => sum + one.length, 0);
    const { key, position: start } = stretch;
    const reading = this.fetch(key, { start, length }, (bytes) => this.#cut(stretches, bytes)).finally(() => {
      for (const name of names) this.#underWay.delete(name);
    });
    for (const name of names) this.#underWay.set(name, reading);
    return reading;
  }

  /** The stretch and those after it in its run that are not at hand, as far as there is room. */
  #missingFrom(stretch: Stretch): readonly Stretch[] {
    const missing = [stretch];
    const run = stretch.run?.stretches ?? [];
    let bytesLeft = this.bytesFor(stretch.run?.length ?? 0) - stretch.length;
    for (const next of run.slice(run.indexOf(stretch) + 1)) {
      bytesLeft -= next.length;
      if (bytesLeft < 0 || this.isAtHand(next)) break;
      missing.push(next);
    }
    return missing;
  }

  /** What is not accepted is left out: it fails who asks for it, and nobody else. */
  async #cut(stretches: readonly Stretch[], bytes: Uint8Array): Promise<Found> {
    const found = new Map<string, Uint8Array>();
    let index = 0;
    for await (const own of this.keepEach(stretches, bytes)) {
      const stretch = stretches[index++];
      if (own && stretch) found.set(nameOf(stretch), own);
    }
    return found;
  }
}

function nameOf({ key, position, length }: Stretch): string {
  return `${key}@${position}+${length}`;
}
