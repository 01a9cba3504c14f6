// Reads the pending extents of many partitions together, one write-ahead object after the other: each is asked for once,
// whatever number of partitions have a piece of it, and no step of it is longer than one object's pieces take. A store that
// does not answer is asked for the same object again, and not for each piece alone.
import { type Clock, sleep } from "../host/clock.ts";
import type { BackgroundReads } from "./background-reads.ts";
import type { Extent } from "./extents.ts";
import type { PartitionLog } from "./partition-log.ts";
import type { Stretch } from "./stretch.ts";

/** Which extents of a partition are wanted: the oldest ones it has. */
export interface WantedExtents {
  readonly partition: PartitionLog;
  /** Ascending and dense, one at least; an own list, of which the log start may have passed some since. */
  readonly extents: readonly Extent[];
  /** Since when what comes after them has been pending at most. */
  readonly restSinceMs: number;
}

/** Pauses before an object is asked for again; then all is given up. */
const RETRY_PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000];

/** Parts of {@link gatherExtents}. */
export interface GatherComponents {
  readonly clock: Clock;
  readonly reads: BackgroundReads;
  readonly stretchOf: (extent: Extent) => Stretch;
}

/** The extents that were wanted of a partition, and the bytes of the first of them, as far as they could be read. */
export class GatheredExtents {
  readonly wanted: WantedExtents;
  readonly #bytes: Uint8Array;
  #byteCount = 0;
  #count = 0;
  #isStopped = false;

  constructor(wanted: WantedExtents) {
    this.wanted = wanted;
    this.#bytes = new Uint8Array(wanted.extents.reduce((sum, { length }) => sum + length, 0));
  }

  /** The extent whose bytes come next; undefined when all are here, or no more are to come. */
  get next(): Extent | undefined {
    return this.#isStopped ? undefined : this.wanted.extents[this.#count];
  }

  /** Adds the bytes of {@link next}. */
  add(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#byteCount);
    this.#byteCount += bytes.length;
    this.#count++;
  }

  /** The bytes of {@link next} could not be read. */
  stop(): void {
    this.#isStopped = true;
  }

  /** What of the wanted extents is pending now: the log start may have passed some, or all. */
  stillPending(): {
    readonly extents: readonly Extent[];
    readonly bytes: Uint8Array;
    readonly unread: readonly Extent[];
  } {
    const { extents } = this.wanted;
    const pending = stillPending(this.wanted);
    const passed = extents.length - pending.length;
    const start = extents.slice(0, Math.min(passed, this.#count)).reduce((sum, { length }) => sum + length, 0);
    return {
      extents: pending,
      bytes: this.#bytes.subarray(start, this.#byteCount),
      unread: extents.slice(Math.max(passed, this.#count)),
    };
  }
}

function stillPending({ partition, extents }: WantedExtents): readonly Extent[] {
  const from = extents.findIndex((extent) => extent === partition.extents.all[0]);
  return from < 0 ? [] : extents.slice(from);
}

/**
 * The bytes of what is wanted. What is damaged or gone ends the bytes of its partition: who needs the rest asks for it
 * alone, and meets the error. Rejects with what the store failed with when it did not answer again and again.
 */
export async function gatherExtents(
  components: GatherComponents,
  wanted: readonly WantedExtents[],
  signal: AbortSignal,
): Promise<ReadonlyMap<PartitionLog, GatheredExtents>> {
  const gathered = new Map(
    wanted.map((one) => [one.partition, new GatheredExtents({ ...one, extents: stillPending(one) })] as const),
  );
  let open = [...gathered.values()];
  let failures = 0;
  while (open.length > 0) {
    const error = await readOldest(components, open, signal);
    failures = error === undefined ? 0 : failures + 1;
    const pauseMs = failures === 0 ? 0 : RETRY_PAUSES_MS[failures - 1];
    if (pauseMs === undefined) throw error;
    // Whatever the tail still holds is had without waiting: other work must not wait for all of it.
    await sleep(components.clock, pauseMs, signal);
    open = open.filter(({ next }) => next);
  }
  return gathered;
}

/** Reads the oldest object of the session in which the first one goes on. Gives the error of a store that did not answer. */
async function readOldest(
  { reads, stretchOf }: GatherComponents,
  open: readonly GatheredExtents[],
  signal: AbortSignal,
): Promise<unknown> {
  const sessionId = open[0]?.next?.sessionId;
  const ofSession = open.filter(({ next }) => next?.sessionId === sessionId);
  const oldest = ofSession.reduce((flush, { next }) => Math.min(flush, next?.flush ?? flush), Number.POSITIVE_INFINITY);
  const asking = new Map<Stretch, GatheredExtents>();
  for (const one of ofSession) {
    const { next } = one;
    if (next?.flush !== oldest) continue;
    if (next.tailBytes) one.add(next.tailBytes);
    else asking.set(stretchOf(next), one);
  }
  if (asking.size === 0) return undefined;
  const { found, error } = await reads.gather([...asking.keys()], signal);
  for (const [stretch, one] of asking) {
    const bytes = found.get(stretch);
    if (bytes) one.add(bytes);
    else if (error === undefined) one.stop();
  }
  return error;
}
