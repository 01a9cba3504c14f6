// Before a session is registered the store must take an object and give it back: a broker that cannot write must not own.
import { type Clock, withDeadline } from "../host/clock.ts";
import type { Random } from "../host/random.ts";
import type { ObjectStore } from "../object-store/object-store.ts";

/** What is probed, and the broker's own key for it. */
export interface StoreProbe {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly key: string;
  readonly signal: AbortSignal;
}

const PROBE_TIMEOUT_MS = 10_000;
const PROBE_BYTES = 16;

/** Writes fresh bytes and reads them back. Rejects with the store's error, or one that says what came back instead. */
export async function probeStore({ store, clock, random, key, signal }: StoreProbe): Promise<void> {
  const written = random.bytes(PROBE_BYTES);
  const read = await withDeadline(clock, PROBE_TIMEOUT_MS, `probe of the store at ${key}`, signal, async (attempt) => {
    await store.put(key, [written], { ifAbsent: false, signal: attempt });
    return store.get(key, { signal: attempt });
  });
  if (!Buffer.from(written).equals(read)) throw new Error(`the store gave back other bytes than were put at ${key}`);
}
