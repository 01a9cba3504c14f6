// Before a session is registered the store must take an object and give it back: a broker that cannot write must not own.
// While shards load it has to go on doing so, or the session ends.
import { type Clock, sleep, withDeadline } from "../host/clock.ts";
import type { Random } from "../host/random.ts";
import { brokenInvariant } from "../invariant.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import type { CutOffWatch } from "./cut-off-watch.ts";

/** What is probed, and the broker's own key for it. */
export interface StoreProbe {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly key: string;
  readonly signal: AbortSignal;
  /** 10,000 unless told. */
  readonly timeoutMs?: number;
}

const PROBE_TIMEOUT_MS = 10_000;
const PROBE_BYTES = 16;
/** Pause between two probes of {@link untilStoreIsLost}. */
const PROBE_PAUSE_MS = 5_000;
/** Without a successful probe for this long, a broker with the store in reach should have the shards that load here. */
const LOST_AFTER_MS = 30_000;

/** Writes fresh bytes and reads them back. Rejects with the store's error, or one that says what came back instead. */
export async function probeStore(probe: StoreProbe): Promise<void> {
  const { store, clock, random, key, signal, timeoutMs = PROBE_TIMEOUT_MS } = probe;
  const written = random.bytes(PROBE_BYTES);
  const read = await withDeadline(clock, timeoutMs, `probe of the store at ${key}`, signal, async (attempt) => {
    await store.put(key, [written], { ifAbsent: false, signal: attempt });
    return store.get(key, { signal: attempt });
  });
  if (!Buffer.from(written).equals(read)) throw new Error(`the store gave back other bytes than were put at ${key}`);
}

/**
 * Probes the store from time to time; resolves when no probe has succeeded for {@link LOST_AFTER_MS}, the call itself
 * taken for one. Rejects when the signal aborts.
 */
export async function untilStoreIsLost(probe: StoreProbe): Promise<void> {
  const { clock, signal } = probe;
  let reachedMs = clock.monotonicMs();
  while (clock.monotonicMs() - reachedMs < LOST_AFTER_MS) {
    await sleep(clock, PROBE_PAUSE_MS, signal);
    const sentMs = clock.monotonicMs();
    try {
      await probeStore(probe);
      reachedMs = sentMs;
    } catch (error) {
      signal.throwIfAborted();
      if (brokenInvariant(error)) throw error;
    }
  }
}

/** Probes the store as long as anything waits for it, once however much does. */
export class StoreWatch {
  readonly #probe: (signal: AbortSignal) => StoreProbe;
  readonly #onLost: (error?: unknown) => void;
  readonly #cutOff: CutOffWatch;
  #waitingCount = 0;
  #over = new AbortController();

  /**
   * @param parts.probe given a signal that aborts when nothing waits any more; the probe's own may abort earlier
   * @param parts.onLost called when the store is lost, or with the error that ended the probes
   */
  constructor(parts: {
    readonly probe: (signal: AbortSignal) => StoreProbe;
    readonly cutOff: CutOffWatch;
    readonly onLost: (error?: unknown) => void;
  }) {
    this.#probe = parts.probe;
    this.#cutOff = parts.cutOff;
    this.#onLost = parts.onLost;
  }

  /** Runs `work`, which waits for the store. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waitingCount++ === 0) this.#begin();
    try {
      return await work();
    } finally {
      if (--this.#waitingCount === 0) this.#over.abort();
    }
  }

  #begin(): void {
    const over = new AbortController();
    this.#over = over;
    const probe = this.#probe(over.signal);
    const lost = this.#cutOff.during(probe.signal, (signal) => untilStoreIsLost({ ...probe, signal }));
    lost.then(
      () => this.#onLost(),
      (error: unknown) => {
        if (!probe.signal.aborted || brokenInvariant(error)) this.#onLost(error);
      },
    );
  }
}
