// How many shards are recovered at the same time: as many as there are places, and those that wait for the store besides.
// A shard whose object does not answer leaves its place to the next, so that it holds up no other.
import type { Clock } from "../host/clock.ts";

/** Shards that are recovered at the same time where the store answers. */
const PLACES = 8;
/** Whoever takes longer leaves his place, in milliseconds: so many may wait that others begin at 32 a second at least. */
const PLACE_MS = 250;

/** Runs `recover` for each item, the last one first. Resolves when all are done; rejects with the first failure. */
export async function inPlaces<Item>(
  clock: Clock,
  items: readonly Item[],
  recover: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const begun: Promise<void>[] = [];
  const place = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const work = recover(next);
      begun.push(work);
      await settledWithin(clock, PLACE_MS, work);
    }
  };
  await Promise.all(Array.from({ length: PLACES }, place));
  await Promise.all(begun);
}

/** Resolves when `work` has settled, or after `limitMs`. */
function settledWithin(clock: Clock, limitMs: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.setTimer(limitMs, resolve);
    const end = () => {
      cancel();
      resolve();
    };
    work.then(end, end);
  });
}
