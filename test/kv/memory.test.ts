// The memory store under the contract, and what only an embedded store promises: leases by the clock, bounded history.
import { describe, expect, it } from "vitest";
import { KvError } from "../../src/kv/key-value-store.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { describeKeyValueStore } from "./key-value-store-contract.ts";

const signal = new AbortController().signal;
const value = new Uint8Array([1]);

describeKeyValueStore("memory", async () => {
  const clock = new SimClock();
  const store = new MemoryKeyValueStore({ clock });
  return {
    store,
    expireLease: () => clock.advance(6000),
    compact: async (revision) => store.compact(revision),
    close: async () => store.close(),
  };
});

describe("MemoryKeyValueStore", () => {
  it("lets a lease live exactly its time past the last keep-alive", async () => {
    const clock = new SimClock();
    const store = new MemoryKeyValueStore({ clock });
    const lease = await store.grantLease(1000, { signal });
    await store.txn({ compare: [], then: [{ type: "put", key: "a", value, lease }] }, { signal });
    await clock.advance(900);
    await store.keepAlive(lease, { signal });
    await clock.advance(999);
    expect((await store.get("a", { signal })).entry?.lease).toBe(lease);
    await clock.advance(1);
    expect((await store.get("a", { signal })).entry).toBeUndefined();
    expect(clock.pendingCount).toBe(0);
  });

  it("keeps only the newest changes for watches", async () => {
    const store = new MemoryKeyValueStore({ clock: new SimClock(), historyRevisionsMax: 3 });
    for (let index = 0; index < 5000; index++) {
      await store.txn({ compare: [], then: [{ type: "put", key: "a", value }] }, { signal });
    }
    const { revision } = await store.get("a", { signal });
    const kept = store.watch("", { signal, fromRevision: revision - 2 });
    expect((await kept.next()).value?.events).toHaveLength(3);
    const lost = store.watch("", { signal, fromRevision: revision - 3 });
    await expect(lost.next()).rejects.toMatchObject({ kind: "compacted" });
  });

  it("fails a waiting watch whose place is compacted away", async () => {
    const store = new MemoryKeyValueStore({ clock: new SimClock() });
    const waiting = store.watch("", { signal, fromRevision: 2 }).next();
    store.compact(10);
    await expect(waiting).rejects.toMatchObject({ kind: "compacted" });
  });

  it("fails every call and watch after it was closed, and leaves no timer", async () => {
    const clock = new SimClock();
    const store = new MemoryKeyValueStore({ clock });
    await store.grantLease(1000, { signal });
    const waiting = store.watch("", { signal, fromRevision: 5 }).next();
    store.close();
    await expect(waiting).rejects.toBeInstanceOf(KvError);
    await expect(store.get("a", { signal })).rejects.toMatchObject({ kind: "unavailable" });
    expect(clock.pendingCount).toBe(0);
  });
});
