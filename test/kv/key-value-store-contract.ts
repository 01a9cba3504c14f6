// What every side of the key-value store promises, as one suite: the memory store, the journal, and the real etcd. It
// knows no clock: the subject lets leases expire and history be compacted. Each test works below a prefix of its own, so
// that a store that outlives a test can be used.
import { setMaxListeners } from "node:events";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type KeyValueStore,
  KvError,
  type KvErrorKind,
  type LeaseId,
  type Revision,
  type Txn,
  type WatchBatch,
  type WatchEvent,
} from "../../src/kv/key-value-store.ts";

/** A store under test with what the seam has no word for. */
export interface KeyValueStoreSubject {
  readonly store: KeyValueStore;
  /** Resolves when `lease` has expired without having been revoked. */
  readonly expireLease: (lease: LeaseId) => Promise<void>;
  /** Forgets the history before `revision`. */
  readonly compact: (revision: Revision) => Promise<void>;
  readonly close: () => Promise<void>;
}

const signal = new AbortController().signal;
setMaxListeners(0, signal);
let prefixCount = 0;

/** Declares the suite for one side. */
export function describeKeyValueStore(name: string, open: () => Promise<KeyValueStoreSubject>): void {
  const set = async () => {
    const subject = await open();
    onTestFinished(() => subject.close());
    const prefix = `/contract/${name}-${process.pid}-${prefixCount++}/`;
    return { ...subject, at: (key: string) => prefix + key };
  };
  describe(`${name} as a key-value store`, () => {
    describeTransactions(set);
    describeLimits(set);
    describeLeases(set);
    describeWatches(set);
  });
}

type SetUp = () => Promise<KeyValueStoreSubject & { at: (key: string) => string }>;

function describeTransactions(set: SetUp): void {
  it("finds nothing where nothing was put, and gives the revision it looked at", async () => {
    const { store, at } = await set();
    const { entry, revision } = await store.get(at("a"), { signal });
    expect(entry).toBeUndefined();
    expect(revision).toBeGreaterThanOrEqual(1);
  });

  it("keeps the create revision of a key over puts, and starts anew after a delete", async () => {
    const { store, at } = await set();
    const first = await put(store, at("a"), "1");
    const second = await put(store, at("a"), "2");
    expect(await read(store, at("a"))).toMatchObject({ text: "2", createRevision: first, modRevision: second });
    await store.txn(then({ type: "delete", key: at("a") }), { signal });
    expect((await store.get(at("a"), { signal })).entry).toBeUndefined();
    const third = await put(store, at("a"), "3");
    expect(await read(store, at("a"))).toMatchObject({ text: "3", createRevision: third, modRevision: third });
  });

  it("gives all changes of a transaction one revision, one above the last", async () => {
    const { store, at } = await set();
    const before = await put(store, at("a"), "1");
    const { revision } = await store.txn(
      then(putOf(at("b"), "2"), { type: "delete", key: at("a") }, putOf(at("c"), "3")),
      { signal },
    );
    expect(revision).toBe(before + 1);
    expect((await read(store, at("b")))?.modRevision).toBe(revision);
    expect((await read(store, at("c")))?.modRevision).toBe(revision);
  });

  it("leaves the revision alone when nothing is changed", async () => {
    const { store, at } = await set();
    const before = await put(store, at("a"), "1");
    const idle = await store.txn(then({ type: "delete", key: at("absent") }, { type: "get", key: at("a") }), {
      signal,
    });
    expect(idle).toMatchObject({ succeeded: true, revision: before });
    expect((await store.get(at("a"), { signal })).revision).toBe(before);
  });

  it("raises the revision for a put of the value that is there", async () => {
    const { store, at } = await set();
    const before = await put(store, at("a"), "1");
    expect(await put(store, at("a"), "1")).toBe(before + 1);
  });

  it("runs the one branch or the other, and answers each operation of the branch that ran", async () => {
    const { store, at } = await set();
    await put(store, at("a"), "old");
    const txn: Txn = {
      compare: [{ key: at("b"), target: "create", equals: 0 }],
      then: [putOf(at("b"), "new"), { type: "get", key: at("a") }, { type: "get", key: at("none") }],
      otherwise: [{ type: "get", key: at("b") }],
    };
    const first = await store.txn(txn, { signal });
    expect(first.succeeded).toBe(true);
    expect(first.results.map((entry) => entry && text(entry.value))).toEqual([undefined, "old", undefined]);
    const second = await store.txn(txn, { signal });
    expect(second.succeeded).toBe(false);
    expect(second.results.map((entry) => entry && text(entry.value))).toEqual(["new"]);
  });

  it("shows a get the writes that stand before it in its transaction", async () => {
    const { store, at } = await set();
    const { results } = await store.txn(then(putOf(at("a"), "x"), { type: "get", key: at("a") }), { signal });
    expect(results[1] && text(results[1].value)).toBe("x");
  });

  it("compares create revision, mod revision and value; an absent key has revision 0 and no value", async () => {
    const { store, at } = await set();
    const create = await put(store, at("a"), "1");
    const mod = await put(store, at("a"), "2");
    const holds = async (compare: Txn["compare"][number]) =>
      (await store.txn({ compare: [compare], then: [] }, { signal })).succeeded;
    expect(await holds({ key: at("a"), target: "create", equals: create })).toBe(true);
    expect(await holds({ key: at("a"), target: "create", equals: mod })).toBe(false);
    expect(await holds({ key: at("a"), target: "mod", equals: mod })).toBe(true);
    expect(await holds({ key: at("a"), target: "mod", equals: create })).toBe(false);
    expect(await holds({ key: at("a"), target: "value", equals: bytes("2") })).toBe(true);
    expect(await holds({ key: at("a"), target: "value", equals: bytes("1") })).toBe(false);
    expect(await holds({ key: at("none"), target: "create", equals: 0 })).toBe(true);
    expect(await holds({ key: at("none"), target: "mod", equals: 0 })).toBe(true);
    expect(await holds({ key: at("none"), target: "value", equals: bytes("") })).toBe(false);
  });

  it("lets exactly one of many concurrent claims of a key win", async () => {
    const { store, at } = await set();
    const claims = Array.from({ length: 20 }, (_, index) =>
      store.txn(
        { compare: [{ key: at("a"), target: "create", equals: 0 }], then: [putOf(at("a"), String(index))] },
        { signal },
      ),
    );
    const won = (await Promise.all(claims)).filter((claim) => claim.succeeded);
    expect(won).toHaveLength(1);
  });

  it("gives the keys below a prefix ascending by their bytes, and no others", async () => {
    const { store, at } = await set();
    const names = ["b/2", "b/10", "b", "b-", "c", "a/1", "b/\u{1f600}", "b/\uffee", "b/é"];
    for (const name of names) await put(store, at(name), name);
    const { entries } = await store.range(at("b/"), { signal });
    expect(entries.map((entry) => text(entry.value))).toEqual(["b/10", "b/2", "b/é", "b/\uffee", "b/\u{1f600}"]);
    expect((await store.range(at("none"), { signal })).entries).toEqual([]);
  });

  it("gives the entry below a prefix that changed last, where only that is asked for", async () => {
    const { store, at } = await set();
    const newest = async (prefix: string) => {
      const { entries } = await store.range(at(prefix), { signal, isNewestOnly: true });
      return entries.map((entry) => text(entry.value));
    };
    for (const name of ["b/2", "b/1", "b/3", "c/9"]) await put(store, at(name), name);
    expect(await newest("b/")).toEqual(["b/3"]);
    await put(store, at("b/1"), "b/1 again");
    expect(await newest("b/")).toEqual(["b/1 again"]);
    await store.txn(then({ type: "delete", key: at("b/1") }), { signal });
    expect([await newest("b/"), await newest("none")]).toEqual([["b/3"], []]);
  });

  it("keeps values of its own: neither what was put nor what was read changes them later", async () => {
    const { store, at } = await set();
    const value = bytes("abc");
    await store.txn(then({ type: "put", key: at("a"), value }), { signal });
    value.fill(0);
    const { entry } = await store.get(at("a"), { signal });
    entry?.value.fill(1);
    expect((await read(store, at("a")))?.text).toBe("abc");
  });

  it("keeps empty values and every byte", async () => {
    const { store, at } = await set();
    const all = Uint8Array.from({ length: 256 }, (_, index) => index);
    await store.txn(
      then({ type: "put", key: at("all"), value: all }, { type: "put", key: at("empty"), value: new Uint8Array() }),
      { signal },
    );
    const { entries } = await store.range(at(""), { signal });
    expect(entries.map((entry) => [...entry.value])).toEqual([[...all], []]);
  });

  it("refuses a call whose signal is aborted, and does nothing", async () => {
    const { store, at } = await set();
    const gone = AbortSignal.abort(new Error("stopped"));
    await expectKvError(store.txn(then(putOf(at("a"), "1")), { signal: gone }), "unavailable");
    await expectKvError(store.get(at("a"), { signal: gone }), "unavailable");
    expect((await store.get(at("a"), { signal })).entry).toBeUndefined();
  });
}

function describeLimits(set: SetUp): void {
  it("takes 64 entries in each list and refuses 65", async () => {
    const { store, at } = await set();
    const puts = (count: number) => Array.from({ length: count }, (_, index) => putOf(at(String(index)), "x"));
    const compares = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ key: at(`n${index}`), target: "create", equals: 0 }) as const);
    const full: Txn = { compare: compares(64), then: puts(64), otherwise: puts(64) };
    expect((await store.txn(full, { signal })).succeeded).toBe(true);
    await expectKvError(store.txn({ ...full, compare: compares(65) }, { signal }), "too-large");
    await expectKvError(store.txn({ ...full, then: puts(65) }, { signal }), "too-large");
    await expectKvError(store.txn({ ...full, otherwise: puts(65) }, { signal }), "too-large");
  });

  it("takes 256 KiB of keys and values and refuses one byte more", async () => {
    const { store, at } = await set();
    const room = 256 * 1024 - at("a").length;
    const of = (count: number) => then({ type: "put", key: at("a"), value: new Uint8Array(count) } as const);
    await store.txn(of(room), { signal });
    await expectKvError(store.txn(of(room + 1), { signal }), "too-large");
    expect((await store.get(at("a"), { signal })).entry?.value.byteLength).toBe(room);
  });

  it("refuses a transaction that writes a key twice", async () => {
    const { store, at } = await set();
    await expect(store.txn(then(putOf(at("a"), "1"), putOf(at("a"), "2")), { signal })).rejects.toThrow("twice");
    expect((await store.get(at("a"), { signal })).entry).toBeUndefined();
  });
}

function describeLeases(set: SetUp): void {
  it("deletes the keys of a lease in one revision when it expires, and refuses the lease from then on", async () => {
    const { store, at, expireLease } = await set();
    const lease = await store.grantLease(5000, { signal });
    const { revision } = await store.txn(then(putOf(at("a"), "1", lease), putOf(at("b"), "2", lease)), { signal });
    const kept = await put(store, at("c"), "3");
    expect((await store.get(at("a"), { signal })).entry?.lease).toBe(lease);
    await expireLease(lease);
    const { entries, revision: after } = await store.range(at(""), { signal });
    expect(entries.map((entry) => entry.key)).toEqual([at("c")]);
    expect([kept, after]).toEqual([revision + 1, revision + 2]);
    await expectKvError(store.keepAlive(lease, { signal }), "lease-not-found");
    await expectKvError(store.txn(then(putOf(at("a"), "4", lease)), { signal }), "lease-not-found");
  });

  it("deletes the keys of a lease when it is revoked, and takes a second revocation as done", async () => {
    const { store, at } = await set();
    const lease = await store.grantLease(5000, { signal });
    await store.txn(then(putOf(at("a"), "1", lease)), { signal });
    await store.revokeLease(lease, { signal });
    expect((await store.get(at("a"), { signal })).entry).toBeUndefined();
    await expect(store.revokeLease(lease, { signal })).resolves.toBeUndefined();
  });

  it("changes nothing at all when a put names a lease that is gone", async () => {
    const { store, at } = await set();
    const lease = await store.grantLease(5000, { signal });
    await store.revokeLease(lease, { signal });
    await expectKvError(
      store.txn(then(putOf(at("a"), "1"), putOf(at("b"), "2", lease)), { signal }),
      "lease-not-found",
    );
    expect((await store.range(at(""), { signal })).entries).toEqual([]);
  });

  it("binds a key to the lease of its last put, or to none", async () => {
    const { store, at, expireLease } = await set();
    const first = await store.grantLease(5000, { signal });
    const second = await store.grantLease(60_000, { signal });
    await store.txn(then(putOf(at("free"), "1", first), putOf(at("moved"), "1", first)), { signal });
    await store.txn(then(putOf(at("free"), "2"), putOf(at("moved"), "2", second)), { signal });
    await expireLease(first);
    const { entries } = await store.range(at(""), { signal });
    expect(entries.map((entry) => [entry.key, entry.lease])).toEqual([
      [at("free"), undefined],
      [at("moved"), second],
    ]);
    await store.revokeLease(second, { signal });
  });

  it("keeps alive what lives and knows nothing of a lease that never was", async () => {
    const { store } = await set();
    const lease = await store.grantLease(5000, { signal });
    await expect(store.keepAlive(lease, { signal })).resolves.toBeUndefined();
    await expectKvError(store.keepAlive("123456789", { signal }), "lease-not-found");
    await store.revokeLease(lease, { signal });
  });
}

function describeWatches(set: SetUp): void {
  it("shows a watch each change below its prefix once and in order, past and future", async () => {
    const { store, at } = await set();
    const from = await put(store, at("w/a"), "1");
    await put(store, at("other"), "x");
    await put(store, at("w/b"), "2");
    const watch = store.watch(at("w/"), { signal, fromRevision: from });
    const past = await take(watch, 2);
    await store.txn(then({ type: "delete", key: at("w/a") }, putOf(at("w/c"), "3"), putOf(at("y"), "z")), { signal });
    const future = await take(watch, 2);
    expect([...past, ...future].map(short(at("w/")))).toEqual([
      `put a=1 @${from}`,
      `put b=2 @${from + 2}`,
      `delete a @${from + 3}`,
      `put c=3 @${from + 3}`,
    ]);
    await watch.return?.();
  });

  it("gives a revision whole, and the newest revision of the batch with it", async () => {
    const { store, at } = await set();
    const { revision } = await store.txn(then(putOf(at("a"), "1"), putOf(at("b"), "2")), { signal });
    const watch = store.watch(at(""), { signal, fromRevision: revision });
    const { value } = (await watch.next()) as { value: WatchBatch };
    expect(value.events).toHaveLength(2);
    expect(value.revision).toBe(revision);
    await watch.return?.();
  });

  it("waits for a revision that is still to come", async () => {
    const { store, at } = await set();
    const now = await put(store, at("a"), "1");
    const watch = store.watch(at(""), { signal, fromRevision: now + 2 });
    const events = take(watch, 1);
    await put(store, at("a"), "2");
    await put(store, at("a"), "3");
    expect((await events).map(short(at("")))).toEqual([`put a=3 @${now + 2}`]);
    await watch.return?.();
  });

  it("shows the keys of an expired lease as deleted", async () => {
    const { store, at, expireLease } = await set();
    const lease = await store.grantLease(5000, { signal });
    const { revision } = await store.txn(then(putOf(at("a"), "1", lease)), { signal });
    const watch = store.watch(at(""), { signal, fromRevision: revision + 1 });
    const events = take(watch, 1);
    await expireLease(lease);
    expect((await events).map(short(at("")))).toEqual([`delete a @${revision + 1}`]);
    await watch.return?.();
  });

  it("refuses a watch from before the last compaction and takes one from there on", async () => {
    const { store, at, compact } = await set();
    const first = await put(store, at("a"), "1");
    const second = await put(store, at("a"), "2");
    const third = await put(store, at("a"), "3");
    await compact(second);
    await expectKvError(store.watch(at(""), { signal, fromRevision: first }).next(), "compacted");
    const watch = store.watch(at(""), { signal, fromRevision: second });
    expect((await take(watch, 2)).map(short(at("")))).toEqual([`put a=2 @${second}`, `put a=3 @${third}`]);
    await watch.return?.();
    expect((await read(store, at("a")))?.text).toBe("3");
  });

  it("ends a watch that waits, by return and by its signal", async () => {
    const { store, at } = await set();
    const now = await put(store, at("a"), "1");
    const returned = store.watch(at(""), { signal, fromRevision: now + 1 });
    const waiting = returned.next();
    await returned.return?.();
    expect((await waiting).done).toBe(true);
    const controller = new AbortController();
    const aborted = store.watch(at(""), { signal: controller.signal, fromRevision: now + 1 });
    const failing = expectKvError(aborted.next(), "unknown");
    controller.abort(new Error("stopped"));
    await failing;
    expect((await aborted.next()).done).toBe(true);
  });

  it("shows every one of many changes to a watch that resumes where it stood", async () => {
    const { store, at } = await set();
    const first = await put(store, at("n"), "0");
    for (let index = 1; index < 50; index++) await put(store, at("n"), String(index));
    const seen: WatchEvent[] = [];
    let from = first;
    while (seen.length < 50) {
      const watch = store.watch(at(""), { signal, fromRevision: from });
      const { value } = (await watch.next()) as { value: WatchBatch };
      seen.push(...value.events);
      from = value.revision + 1;
      await watch.return?.();
    }
    expect(seen.map(short(at("")))).toEqual(
      Array.from({ length: 50 }, (_, index) => `put n=${index} @${first + index}`),
    );
  });
}

/** A transaction without a condition. */
function then(...operations: Txn["then"]): Txn {
  return { compare: [], then: operations };
}

function putOf(key: string, value: string, lease?: LeaseId): Txn["then"][number] {
  return { type: "put", key, value: bytes(value), ...(lease === undefined ? {} : { lease }) };
}

async function put(store: KeyValueStore, key: string, value: string): Promise<Revision> {
  return (await store.txn(then(putOf(key, value)), { signal })).revision;
}

async function read(store: KeyValueStore, key: string) {
  const { entry } = await store.get(key, { signal });
  return entry && { ...entry, text: text(entry.value) };
}

/** The next events of a watch until there are `count`. */
async function take(watch: AsyncIterableIterator<WatchBatch>, count: number): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  while (events.length < count) {
    const { done, value } = await watch.next();
    if (done) throw new Error(`the watch ended after ${events.length} events`);
    events.push(...value.events);
  }
  return events;
}

function short(prefix: string): (event: WatchEvent) => string {
  return (event) =>
    event.type === "put"
      ? `put ${event.entry.key.slice(prefix.length)}=${text(event.entry.value)} @${event.entry.modRevision}`
      : `delete ${event.key.slice(prefix.length)} @${event.modRevision}`;
}

async function expectKvError(promise: Promise<unknown>, kind: KvErrorKind): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KvError);
  expect((error as KvError).kind).toBe(kind);
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}
