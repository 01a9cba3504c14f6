// What etcd's adapter makes of a real etcd that restarts, falls silent, loses answers or forgets history.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { silentLog } from "../../src/host/log.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { EtcdKeyValueStore } from "../../src/kv/etcd.ts";
import { KvError, type Txn, type WatchBatch } from "../../src/kv/key-value-store.ts";
import { EtcdServer } from "./etcd-server.ts";
import { FaultProxy } from "./fault-proxy.ts";
import { describeWithTools } from "./tools.ts";

const signal = new AbortController().signal;
/** Past the adapter's own deadline of 2.5 s for a call. */
const CALL_MS_MAX = 3500;

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function putIfAbsent(key: string, text: string): Txn {
  return {
    compare: [{ key, target: "create", equals: 0 }],
    then: [{ type: "put", key, value: bytes(text) }],
    otherwise: [{ type: "get", key }],
  };
}

function put(key: string, text: string, lease?: string): Txn {
  return { compare: [], then: [{ type: "put", key, value: bytes(text), ...(lease !== undefined && { lease }) }] };
}

function openStore(port: number): EtcdKeyValueStore {
  const parts = { clock: new SystemClock(), random: new SystemRandom(), log: silentLog };
  const store = new EtcdKeyValueStore({ endpoints: [`http://127.0.0.1:${port}`], ...parts });
  onTestFinished(() => store.close());
  return store;
}

async function failureOf(work: Promise<unknown>): Promise<{ readonly kind: string; readonly afterMs: number }> {
  const start = performance.now();
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KvError);
  return { kind: (error as KvError).kind, afterMs: performance.now() - start };
}

/** Repeats a read until it is answered. */
async function untilAnswered<T>(work: () => Promise<T>, timeoutMs = 30_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

async function nextBatch(watch: AsyncIterableIterator<WatchBatch>): Promise<WatchBatch> {
  const { done, value } = await watch.next();
  if (done === true) throw new Error("the watch ended");
  return value;
}

describeWithTools("etcd with faults", ["etcd"], () => {
  let server: EtcdServer;
  let proxy: FaultProxy;
  beforeAll(async () => {
    server = await EtcdServer.start();
    proxy = await FaultProxy.open(server.port);
  });
  afterAll(async () => {
    await proxy.close();
    await server.stop();
  });

  const openHarmed = () => {
    proxy.mode = "pass";
    onTestFinished(() => {
      proxy.mode = "pass";
      proxy.cut();
    });
    return openStore(proxy.port);
  };

  it("calls a transaction unknown whose answer was lost, and shows on the second sending that it was applied", async () => {
    const store = openHarmed();
    await store.get("warm", { signal });
    const before = proxy.harmedCount;
    proxy.mode = "lose-answers";
    const { kind, afterMs } = await failureOf(store.txn(putIfAbsent("lost/a", "mine"), { signal }));
    expect(kind).toBe("unknown");
    expect(afterMs).toBeLessThan(CALL_MS_MAX);
    expect(proxy.harmedCount).toBeGreaterThan(before);
    proxy.mode = "pass";
    const again = await untilAnswered(() => store.txn(putIfAbsent("lost/a", "mine"), { signal }));
    expect(again.succeeded).toBe(false);
    expect(again.results[0]?.value).toEqual(bytes("mine"));
  });

  it("never repeats a transaction by itself: a cut after the commit leaves one change", async () => {
    const store = openHarmed();
    await store.get("warm", { signal });
    proxy.mode = "lose-answers";
    const failing = failureOf(store.txn(put("lost/once", "1"), { signal }));
    const witness = direct();
    await untilAnswered(async () => expect((await witness.get("lost/once", { signal })).entry).toBeDefined());
    proxy.cut();
    expect((await failing).kind).toBe("unknown");
    proxy.mode = "pass";
    await sleep(1000);
    const { entry } = await untilAnswered(() => store.get("lost/once", { signal }));
    expect(entry?.modRevision).toBe(entry?.createRevision);
  });

  it("gives up every kind of call in a black hole at its deadline, and answers again at once when it is over", async () => {
    const store = openHarmed();
    const lease = await store.grantLease(60_000, { signal });
    const before = proxy.harmedCount;
    proxy.mode = "black-hole";
    const failures = await Promise.all([
      failureOf(store.txn(put("hole/a", "1"), { signal })),
      failureOf(store.get("hole/a", { signal })),
      failureOf(store.keepAlive(lease, { signal })),
      failureOf(store.grantLease(5000, { signal })),
      failureOf(store.watch("hole/", { signal, fromRevision: 1 }).next()),
    ]);
    for (const { kind, afterMs } of failures) {
      expect(kind).toBe("unknown");
      expect(afterMs).toBeLessThan(CALL_MS_MAX);
    }
    expect(proxy.harmedCount).toBeGreaterThan(before);
    proxy.mode = "pass";
    const start = performance.now();
    await untilAnswered(() => store.get("hole/a", { signal }));
    await untilAnswered(() => store.keepAlive(lease, { signal }));
    expect(performance.now() - start).toBeLessThan(CALL_MS_MAX);
    await store.revokeLease(lease, { signal });
  });

  it("ends a watch whose connection fell silent", async () => {
    const store = openHarmed();
    const { revision } = await store.txn(put("silent/a", "1"), { signal });
    const watch = store.watch("silent/", { signal, fromRevision: revision });
    await nextBatch(watch);
    proxy.mode = "black-hole";
    const { kind, afterMs } = await failureOf(watch.next());
    expect(kind).toBe("unknown");
    expect(afterMs).toBeLessThan(12_000);
  });

  it("tells that a lease ended while nothing could be sent", async () => {
    const store = openHarmed();
    const lease = await store.grantLease(2000, { signal });
    await store.txn(put("frozen/a", "1", lease), { signal });
    proxy.mode = "black-hole";
    expect((await failureOf(store.keepAlive(lease, { signal }))).kind).toBe("unknown");
    const witness = direct();
    await untilAnswered(async () => expect((await witness.get("frozen/a", { signal })).entry).toBeUndefined());
    proxy.mode = "pass";
    const kinds = new Set<string>();
    while (!kinds.has("lease-not-found")) kinds.add((await failureOf(store.keepAlive(lease, { signal }))).kind);
    kinds.delete("unknown");
    kinds.delete("unavailable");
    expect([...kinds]).toEqual(["lease-not-found"]);
  });

  it("tells a watch that was away over a compaction, and the list after it leads on without a gap", async () => {
    const store = openHarmed();
    const { revision } = await store.txn(put("away/a", "1"), { signal });
    const watch = store.watch("away/", { signal, fromRevision: revision });
    await nextBatch(watch);
    proxy.mode = "black-hole";
    const witness = direct();
    await witness.txn(put("away/b", "2"), { signal });
    const { revision: later } = await witness.txn(put("away/a", "3"), { signal });
    await server.control("compaction", String(later));
    proxy.cut();
    expect((await failureOf(watch.next())).kind).toBe("unknown");
    proxy.mode = "pass";
    const resumed = store.watch("away/", { signal, fromRevision: revision + 1 });
    expect(await untilKind(resumed, store, revision + 1)).toBe("compacted");
    const list = await store.range("away/", { signal });
    expect(list.entries.map(({ key, value }) => `${key}=${new TextDecoder().decode(value)}`)).toEqual([
      "away/a=3",
      "away/b=2",
    ]);
    const onward = store.watch("away/", { signal, fromRevision: list.revision + 1 });
    const following = nextBatch(onward);
    const { revision: newest } = await store.txn(
      { compare: [], then: [{ type: "delete", key: "away/a" }] },
      { signal },
    );
    expect(await following).toEqual({
      revision: newest,
      events: [{ type: "delete", key: "away/a", modRevision: newest }],
    });
    await onward.return?.();
  });

  it("outlives a restart of the server: calls fail clearly, and what was committed is there after", async () => {
    const store = openStore(server.port);
    const { revision } = await store.txn(put("restart/a", "1"), { signal });
    const watch = store.watch("restart/", { signal, fromRevision: revision });
    await nextBatch(watch);
    const ended = failureOf(watch.next());
    await server.killHard();
    expect((await ended).kind).toBe("unknown");
    expect((await failureOf(store.get("restart/a", { signal }))).kind).toMatch(/^(unknown|unavailable)$/);
    await server.restart();
    const start = performance.now();
    const { entry } = await untilAnswered(() => store.get("restart/a", { signal }));
    expect(performance.now() - start).toBeLessThan(CALL_MS_MAX);
    expect(entry?.modRevision).toBe(revision);
    const { revision: next } = await store.txn(put("restart/a", "2"), { signal });
    const resumed = store.watch("restart/", { signal, fromRevision: revision + 1 });
    expect((await nextBatch(resumed)).revision).toBe(next);
    await resumed.return?.();
  });

  it("answers nothing wrongly while the server is frozen, and goes on when it wakes", async () => {
    const store = openStore(server.port);
    await store.txn(put("stopped/a", "1"), { signal });
    await server.program.freeze();
    const failures = await Promise.all([
      failureOf(store.txn(putIfAbsent("stopped/b", "2"), { signal })),
      failureOf(store.get("stopped/a", { signal })),
    ]);
    server.program.signal("SIGCONT");
    expect(failures.map(({ kind }) => kind)).toEqual(["unknown", "unknown"]);
    const again = await untilAnswered(() => store.txn(putIfAbsent("stopped/b", "2"), { signal }));
    const { entry } = await store.get("stopped/b", { signal });
    // Either the first copy was applied when the server woke, or the second one was: never both, and never neither.
    expect(entry?.modRevision).toBe(entry?.createRevision);
    expect(again.succeeded || again.results[0] !== undefined).toBe(true);
  });

  /** A store past the proxy: what is really there. */
  const direct = () => openStore(server.port);
});

/** How a watch that resumes ends, tried again while it only finds no connection. */
async function untilKind(
  first: AsyncIterableIterator<WatchBatch>,
  store: EtcdKeyValueStore,
  fromRevision: number,
): Promise<string> {
  for (let watch = first; ; watch = store.watch("away/", { signal, fromRevision })) {
    const { kind } = await failureOf(watch.next());
    if (kind !== "unknown" && kind !== "unavailable") return kind;
  }
}
