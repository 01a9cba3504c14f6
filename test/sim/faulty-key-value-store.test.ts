// The faults of a key-value store's calls and watches.
import { describe, expect, it } from "vitest";
import type { KvError } from "../../src/kv/key-value-store.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { describeKeyValueStore } from "../kv/key-value-store-contract.ts";
import { FaultyKeyValueStore, type FaultyKeyValueStoreOptions } from "./faulty-key-value-store.ts";
import { SimClock } from "./sim-clock.ts";
import { SimRandom } from "./sim-random.ts";

const { signal } = new AbortController();
const putA = { compare: [], then: [{ type: "put", key: "a", value: new Uint8Array([1]) } as const] };

function newWorld(options: Partial<FaultyKeyValueStoreOptions> = {}) {
  const world = new SimClock({ seed: 1 });
  const node = world.node();
  const inner = new MemoryKeyValueStore({ clock: world });
  const store = new FaultyKeyValueStore(inner, { world, node, random: new SimRandom(1).split("kv"), ...options });
  return { world, node, inner, store };
}

describeKeyValueStore("a store over a network without faults", async () => {
  const { world, inner, store } = newWorld();
  let isOpen = true;
  void (async () => {
    while (isOpen) await world.run({ untilMs: world.monotonicMs() + 10 });
  })();
  return {
    store,
    expireLease: async (lease) => inner.expireLease(lease),
    compact: async (revision) => inner.compact(revision),
    close: async () => {
      isOpen = false;
      inner.close();
    },
  };
});

describe("FaultyKeyValueStore", () => {
  it("applies a transaction whose answer is lost, exactly once", async () => {
    const { world, inner, store } = newWorld({ rates: { txn: { "lost-reply": 1 } } });
    const controller = new AbortController();
    world.setTimer(5000, () => controller.abort(new Error("deadline")));
    const error = await world.complete(
      store.txn(putA, { signal: controller.signal }).catch((reason: KvError) => reason),
    );
    expect(error).toMatchObject({ kind: "unknown" });
    await world.run();
    const { entry, revision } = await inner.get("a", { signal });
    expect([entry?.modRevision, revision]).toEqual([2, 2]);
  });

  it("applies an overtaken transaction once its caller has given it up, and not before", async () => {
    const { world, inner, store } = newWorld({ rates: { txn: { overtaken: 1 } } });
    const controller = new AbortController();
    const answer = store.txn(putA, { signal: controller.signal }).catch((reason: KvError) => reason);
    await world.advance(60_000);
    expect((await inner.get("a", { signal })).entry).toBeUndefined();
    controller.abort(new Error("deadline"));
    expect(await world.complete(answer)).toMatchObject({ kind: "unknown" });
    await world.advance(100);
    expect((await inner.get("a", { signal })).entry?.modRevision).toBe(2);
  });

  it("uses the rates of `default` for what is not named", async () => {
    const { world, store } = newWorld({ rates: { default: { refused: 1 }, txn: {} } });
    await expect(world.complete(store.get("a", { signal }))).rejects.toMatchObject({ kind: "unavailable" });
    await expect(world.complete(store.txn(putA, { signal }))).resolves.toMatchObject({ succeeded: true });
  });

  it("lets a lease expire whose keep-alives are lost", async () => {
    const { world, inner, store } = newWorld();
    const lease = await world.complete(store.grantLease(3000, { signal }));
    const put = { compare: [], then: [{ type: "put", key: "s", value: new Uint8Array(), lease } as const] };
    await world.complete(store.txn(put, { signal }));
    store.calls.rates = { lease: { "lost-request": 1 } };
    store.keepAlive(lease, { signal }).catch(() => undefined);
    await world.advance(4000);
    expect((await inner.get("s", { signal })).entry).toBeUndefined();
  });

  it("delays a watch but shows every change in order, and nothing to a dead node", async () => {
    const { world, node, inner, store } = newWorld();
    const watch = store.watch("", { signal, fromRevision: 2 });
    await inner.txn(putA, { signal });
    const startMs = world.monotonicMs();
    expect((await world.complete(watch.next())).value).toMatchObject({ revision: 2 });
    expect(world.monotonicMs()).toBeGreaterThan(startMs);
    let isTold = false;
    void watch.next().then(() => {
      isTold = true;
    });
    node.kill();
    await inner.txn(putA, { signal });
    await world.run();
    expect(isTold).toBe(false);
  });

  it("lets the watches of one prefix stand still, and no others", async () => {
    const { world, inner, store } = newWorld({ watchLag: { prefixEnd: "a", rate: 1, lagMs: [3_000, 4_000] } });
    const [still, moving] = ["a", ""].map((prefix) => store.watch(prefix, { signal, fromRevision: 2 }));
    await inner.txn(putA, { signal });
    expect((await world.complete(moving?.next() ?? Promise.reject())).value).toMatchObject({ revision: 2 });
    expect(world.monotonicMs()).toBeLessThan(1_000);
    expect((await world.complete(still?.next() ?? Promise.reject())).value).toMatchObject({ revision: 2 });
    expect(world.monotonicMs()).toBeGreaterThanOrEqual(3_000);
  });

  it("breaks a watch with an unknown error at its rate, after which it is over", async () => {
    const { world, inner, store } = newWorld({ watchBreakRate: 1 });
    const watch = store.watch("", { signal, fromRevision: 2 });
    await inner.txn(putA, { signal });
    await expect(world.complete(watch.next())).rejects.toMatchObject({ kind: "unknown" });
    expect((await world.complete(watch.next())).done).toBe(true);
    expect(store.watchBreakCount).toBe(1);
  });

  it("keeps a watch silent through an outage and breaks it afterwards", async () => {
    const { world, inner, store } = newWorld();
    store.calls.addOutage({ fromMs: 0, toMs: 8000, effect: "silence" });
    const watch = store.watch("", { signal, fromRevision: 2 });
    await inner.txn(putA, { signal });
    await expect(world.complete(watch.next())).rejects.toMatchObject({ kind: "unknown" });
    expect(world.monotonicMs()).toBeGreaterThanOrEqual(8000);
  });
});
