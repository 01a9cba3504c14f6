// What etcd's adapter decides without a server: what it refuses before it sends, and what it says when nobody answers.
// On a real server it runs under the contract in test/e2e.
import { createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { DeadlineError } from "../../src/host/clock.ts";
import { silentLog } from "../../src/host/log.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { EtcdKeyValueStore } from "../../src/kv/etcd.ts";
import type { EtcdOptions } from "../../src/kv/etcd-endpoints.ts";
import type { Txn } from "../../src/kv/key-value-store.ts";

const signal = new AbortController().signal;
const value = new Uint8Array([1]);
const put: Txn = { compare: [], then: [{ type: "put", key: "a", value }] };

function storeOn(endpoints: readonly string[], more: Partial<EtcdOptions> = {}): EtcdKeyValueStore {
  const parts = { clock: new SystemClock(), random: new SystemRandom(), log: silentLog };
  const store = new EtcdKeyValueStore({ endpoints, ...parts, ...more });
  onTestFinished(() => store.close());
  return store;
}

/** A port where nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

/** A port that takes connections and never answers. */
async function silentPort(): Promise<number> {
  const server = createServer((socket) => socket.on("error", () => {}));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
  });
  const address = server.address();
  return typeof address === "object" && address ? address.port : 0;
}

describe("EtcdKeyValueStore", () => {
  it("refuses a transaction of 65 operations before it connects", async () => {
    const store = storeOn(["http://192.0.2.1:1"]);
    const then = Array.from({ length: 65 }, (_, index) => ({ type: "put", key: String(index), value }) as const);
    await expect(store.txn({ compare: [], then }, { signal })).rejects.toMatchObject({ kind: "too-large" });
  });

  it("refuses an empty key, and a key that is written twice, before it connects", async () => {
    const store = storeOn(["http://192.0.2.1:1"]);
    await expect(store.get("", { signal })).rejects.toThrow("a key has 0 characters");
    await expect(store.txn({ compare: [], then: [...put.then, ...put.then] }, { signal })).rejects.toThrow("twice");
  });

  it("calls a refused connection definite, in words that name the endpoint and the setting", async () => {
    const endpoint = `http://127.0.0.1:${await closedPort()}`;
    const store = storeOn([endpoint]);
    await expect(store.txn(put, { signal })).rejects.toMatchObject({
      kind: "unavailable",
      message: expect.stringMatching(
        new RegExp(`^a transaction at etcd ${endpoint}: nothing listens there.*KAFSCALE_ETCD_ENDPOINTS`),
      ) as unknown,
    });
    await expect(store.keepAlive("1", { signal })).rejects.toMatchObject({ kind: "unavailable" });
    const watch = store.watch("a", { signal, fromRevision: 1 });
    await expect(watch.next()).rejects.toMatchObject({ kind: "unavailable" });
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  it("names every endpoint that cannot be reached when it is probed", async () => {
    const ports = [await closedPort(), await closedPort()];
    const store = storeOn(ports.map((port) => `http://127.0.0.1:${port}`));
    const failure = await store.probe("/kafscale/test/", { signal }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: "unavailable" });
    for (const port of ports) expect(String(failure)).toContain(`http://127.0.0.1:${port}`);
  });

  it("gives up a call at its deadline, and cannot know its outcome", async () => {
    const store = storeOn([`http://127.0.0.1:${await silentPort()}`], { callTimeoutMs: 200 });
    await expect(store.txn(put, { signal })).rejects.toMatchObject({ kind: "unknown" });
    await expect(store.keepAlive("1", { signal })).rejects.toMatchObject({ kind: "unknown" });
  });

  it("gives up a call when its signal aborts, and cannot know its outcome", async () => {
    const store = storeOn([`http://127.0.0.1:${await silentPort()}`]);
    const controller = new AbortController();
    const calls = [
      store.txn(put, { signal: controller.signal }),
      store.grantLease(1000, { signal: controller.signal }),
    ];
    const outcomes = Promise.allSettled(calls);
    setImmediate(() => controller.abort(new Error("stopped")));
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: { kind: "unknown" } });
  });

  it("goes on to the next endpoint after one did not answer", async () => {
    const ports = [await closedPort(), await silentPort()] as const;
    const endpoints = ports.map((port) => `http://127.0.0.1:${port}`);
    const random = { uniform: () => 0, bytes: () => new Uint8Array() };
    const store = storeOn(endpoints, { random, callTimeoutMs: 200 });
    await expect(store.get("a", { signal })).rejects.toThrow(`at etcd ${endpoints[0]}`);
    await expect(store.get("a", { signal })).rejects.toThrow(`at etcd ${endpoints[1]}`);
    await expect(store.get("a", { signal })).rejects.toThrow(`at etcd ${endpoints[0]}`);
  });

  it("stays with an endpoint whose call was given up, and leaves it when the caller ran out of time", async () => {
    const endpoints = [`http://127.0.0.1:${await silentPort()}`, `http://127.0.0.1:${await closedPort()}`];
    const random = { uniform: () => 0, bytes: () => new Uint8Array() };
    const store = storeOn(endpoints, { random });
    const giveUp = async (reason: Error) => {
      const controller = new AbortController();
      const call = store.get("a", { signal: controller.signal }).catch((error: unknown) => error);
      setImmediate(() => controller.abort(reason));
      return await call;
    };
    for (const reason of [new Error("stopped"), new DeadlineError("too late")]) {
      expect(String(await giveUp(reason))).toContain(`at etcd ${endpoints[0]}`);
    }
    await expect(store.get("a", { signal })).rejects.toThrow(`at etcd ${endpoints[1]}`);
  });

  it("sends nothing when its credentials cannot be read", async () => {
    const loadCredentials = () => Promise.reject(new Error("ENOENT: no such file, open 'ca.pem'"));
    const store = storeOn(["https://127.0.0.1:1"], { loadCredentials });
    await expect(store.get("a", { signal })).rejects.toMatchObject({
      kind: "denied",
      message: expect.stringContaining("ca.pem") as unknown,
    });
  });

  it("refuses every call and ends every watch once it was closed", async () => {
    const store = storeOn([`http://127.0.0.1:${await silentPort()}`]);
    const waiting = store.watch("a", { signal, fromRevision: 1 }).next();
    store.close();
    await expect(waiting).rejects.toMatchObject({ kind: "unavailable" });
    await expect(store.get("a", { signal })).rejects.toMatchObject({ kind: "unavailable" });
  });
});
