// What a start costs: bounded by the flushes since the last checkpoint, whatever the number of flushes and sessions before.
import { expect, it } from "vitest";
import type { CallOptions, ObjectStore } from "../../src/object-store/object-store.ts";
import { batchOf, LogWorld } from "./log-world.ts";

/** Counts the reads of a store. */
function counting(store: ObjectStore): { readonly store: ObjectStore; reads: number } {
  const counter = {
    reads: 0,
    store: {
      put: (key, parts, options) => store.put(key, parts, options),
      get: (key, options) => {
        counter.reads++;
        return store.get(key, options);
      },
      head: (key: string, options: CallOptions) => {
        counter.reads++;
        return store.head(key, options);
      },
      list: (prefix, options) => {
        throw new Error(`a start lists ${prefix} ${String(options.limit)}`);
      },
      delete: (keys, options) => store.delete(keys, options),
    } satisfies ObjectStore,
  };
  return counter;
}

it("reads no more after 20 sessions and 2,000 flushes than after one, lists nothing, and finds every offset", async () => {
  const world = new LogWorld();
  const counter = counting(world.memoryStore);
  world.store = counter.store;
  const settings = { checkpointFlushes: 32, tailBytes: 0 };
  let process = await world.start(settings);
  await process.createTopic("orders");
  const readsAtStart: number[] = [];
  for (let session = 0; session < 20; session++) {
    for (let n = 0; n < 100; n++) {
      const offset = session * 100 + n;
      await world.complete(process.partition("orders").append(batchOf([`v${offset}`], {}, 1000 + offset)));
    }
    await (session % 2 === 0 ? process.stop() : process.crash());
    counter.reads = 0;
    process = await world.start(settings);
    readsAtStart.push(counter.reads);
  }
  // One read per footer of a small object, and a handful for the probe, the checkpoint's index and its sections.
  expect(Math.max(...readsAtStart)).toBeLessThan(2 * 32 + 50);
  const first = Math.max(...readsAtStart.slice(0, 2));
  expect(Math.max(...readsAtStart.slice(-2))).toBeLessThan(2 * first + 50);
  expect(process.partition("orders").highWatermark).toBe(2_000);
  const values = await process.values("orders");
  expect(values).toEqual(Array.from({ length: 2_000 }, (_, offset) => `${offset}:v${offset}`));
  const { signal } = new AbortController();
  const hit = await world.complete(process.partition("orders").findByTimestamp(1000 + 1_234, { signal }));
  expect(hit?.offset).toBe(1_234);
});
