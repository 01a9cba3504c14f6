// What the embedded stores share: changes are told in order, leases cost one timer, nothing fires after the end.
import { expect, it } from "vitest";
import { KvError, type WatchBatch } from "../../src/kv/key-value-store.ts";
import { RevisionedStore } from "../../src/kv/revisioned-store.ts";
import { SimClock } from "../sim/sim-clock.ts";

function newStore() {
  const clock = new SimClock();
  const changes: WatchBatch[] = [];
  return { clock, changes, store: new RevisionedStore({ clock, onChange: (change) => changes.push(change) }) };
}

it("tells of each change before the call that made it returns, and of nothing else", () => {
  const { store, changes } = newStore();
  store.txn({ compare: [], then: [{ type: "delete", key: "a" }] });
  store.txn({ compare: [], then: [{ type: "get", key: "a" }] });
  expect(changes).toEqual([]);
  store.txn({ compare: [], then: [{ type: "put", key: "a", value: new Uint8Array() }] });
  expect(changes.map(({ revision }) => revision)).toEqual([2]);
});

it("keeps one timer for a lease, however often it is kept alive", async () => {
  const { clock, store } = newStore();
  const lease = store.grantLease(1000);
  for (let count = 0; count < 50; count++) {
    await clock.advance(100);
    store.keepAlive(lease);
    expect(clock.pendingCount).toBe(1);
  }
  await clock.advance(1000);
  expect(() => store.keepAlive(lease)).toThrow(KvError);
  expect(clock.pendingCount).toBe(0);
});

it("lets a lease without keys end without a change", async () => {
  const { clock, store, changes } = newStore();
  store.grantLease(1000);
  store.endLease(store.grantLease(1000));
  await clock.advance(2000);
  expect([changes.length, store.revision]).toEqual([0, 1]);
});

it("begins where it was restored", () => {
  const entry = { key: "a", value: new Uint8Array([7]), createRevision: 3, modRevision: 5 };
  const store = new RevisionedStore({
    clock: new SimClock(),
    onChange: () => {},
    restored: { revision: 9, entries: [entry] },
  });
  expect(store.get("a")).toEqual(entry);
  expect(store.txn({ compare: [{ key: "a", target: "mod", equals: 5 }], then: [] })).toMatchObject({
    succeeded: true,
    revision: 9,
  });
});

it("lets no lease expire after the end", async () => {
  const { clock, store, changes } = newStore();
  const lease = store.grantLease(1000);
  store.txn({ compare: [], then: [{ type: "put", key: "a", value: new Uint8Array(), lease }] });
  store.close(new KvError("unavailable", "closed"));
  await clock.advance(5000);
  expect(changes).toHaveLength(1);
});
