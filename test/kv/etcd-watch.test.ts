// A watch over a stream that a script writes: what is noticed when the stream says nothing, and who is told.
import { EventEmitter } from "node:events";
import type { IWatchResponse } from "etcd3";
import { describe, expect, it } from "vitest";
import type { EtcdEndpoint, EtcdEndpoints } from "../../src/kv/etcd-endpoints.ts";
import { EtcdWatch } from "../../src/kv/etcd-watch.ts";
import type { KvError } from "../../src/kv/key-value-store.ts";
import { SimClock } from "../sim/sim-clock.ts";

/** The stream as etcd3 gives it: what was written to it, and what the script lets arrive. */
class ScriptedStream extends EventEmitter {
  readonly written: object[] = [];
  isPaused = false;
  isCancelled = false;

  write(message: object): void {
    this.written.push(message);
  }

  cancel(): void {
    this.isCancelled = true;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  answer(revision: number, more: Partial<IWatchResponse> = {}): void {
    this.emit("data", { header: { revision: String(revision) }, events: [], ...more });
  }

  put(revision: number): void {
    const stored = { value: Buffer.of(), create_revision: "1", version: "1", lease: "0" };
    const kv = { ...stored, key: Buffer.from("p/a"), mod_revision: String(revision) };
    this.answer(revision, { events: [{ type: "Put", kv, prev_kv: kv }] });
  }
}

async function openWatch(fromRevision = 5) {
  const clock = new SimClock();
  const stream = new ScriptedStream();
  const failures: KvError[] = [];
  const logins = { forgotten: 0 };
  const endpoint = {
    address: "http://e:2379",
    watch: { watch: async () => stream },
    forgetLogin: () => void logins.forgotten++,
  } as unknown as EtcdEndpoint;
  const endpoints = {
    revision: 0,
    sawRevision: () => {},
    current: async () => endpoint,
    failed: (_: EtcdEndpoint, failure: KvError) => void failures.push(failure),
  };
  const controller = new AbortController();
  const ended: EtcdWatch[] = [];
  const parts = {
    endpoints: endpoints as unknown as EtcdEndpoints,
    clock,
    onEnd: (watch: EtcdWatch) => ended.push(watch),
  };
  const watch = new EtcdWatch(parts, "p/", { signal: controller.signal, fromRevision });
  const next = watch.next();
  next.catch(() => {});
  await clock.advance(0);
  return { clock, stream, failures, endpoints, logins, watch, next, ended };
}

describe("EtcdWatch", () => {
  it("asks nothing while the store is known to be no further than the watch", async () => {
    const { clock, stream, endpoints, next, watch } = await openWatch();
    stream.answer(4, { created: true });
    endpoints.revision = 4;
    await clock.advance(60_000);
    stream.put(5);
    endpoints.revision = 5;
    expect((await next).value).toMatchObject({ revision: 5 });
    await clock.advance(60_000);
    expect(stream.written).toHaveLength(1);
    await watch.return();
    expect(clock.pendingCount).toBe(0);
  });

  it("asks how far the stream is when the store went on, and is content with the answer", async () => {
    const { clock, stream, endpoints, failures } = await openWatch();
    stream.answer(4, { created: true });
    endpoints.revision = 9;
    await clock.advance(5000);
    expect(stream.written.slice(1)).toEqual([{ progress_request: {} }]);
    stream.answer(9);
    await clock.advance(60_000);
    expect(stream.written).toHaveLength(2);
    expect(failures).toEqual([]);
  });

  it("ends when the stream stays silent although the store went on, and blames the endpoint", async () => {
    const { clock, stream, endpoints, failures, next, watch, ended } = await openWatch();
    stream.answer(4, { created: true });
    endpoints.revision = 9;
    await clock.advance(10_000);
    await expect(next).rejects.toMatchObject({
      kind: "unknown",
      message: "the watch of p/ at etcd http://e:2379 is silent at revision 4, while the store was at 9",
    });
    expect(await watch.next()).toEqual({ done: true, value: undefined });
    expect([failures.length, ended.length, stream.isCancelled, clock.pendingCount]).toEqual([1, 1, true, 0]);
  });

  it("ends when a member answers from a past that the store has left", async () => {
    const { clock, stream, endpoints, next } = await openWatch();
    stream.answer(4, { created: true });
    endpoints.revision = 9;
    await clock.advance(5000);
    stream.answer(4);
    await clock.advance(5000);
    await expect(next).rejects.toMatchObject({ kind: "unknown" });
  });

  it("gives a stream time that is behind and comes nearer", async () => {
    const { clock, stream, endpoints, failures } = await openWatch();
    stream.answer(4, { created: true });
    for (let revision = 5; revision < 12; revision++) {
      endpoints.revision = revision + 100;
      stream.put(revision);
      await clock.advance(5000);
    }
    expect(failures).toEqual([]);
  });

  it("ends when it is not even created", async () => {
    const { clock, next, failures } = await openWatch();
    await clock.advance(3000);
    await expect(next).rejects.toMatchObject({ kind: "unknown" });
    expect(failures).toHaveLength(1);
  });

  it("reads no further than its consumer does", async () => {
    const { stream, watch, next } = await openWatch();
    stream.answer(4, { created: true });
    for (let revision = 5; revision < 5 + 64; revision++) stream.put(revision);
    expect(stream.isPaused).toBe(true);
    await next;
    await watch.next();
    expect(stream.isPaused).toBe(false);
  });

  it("says compacted, with both revisions, and blames no endpoint for it", async () => {
    const { stream, next } = await openWatch();
    stream.answer(20, { created: true, canceled: true, compact_revision: "12", cancel_reason: "" });
    await expect(next).rejects.toMatchObject({
      kind: "compacted",
      message: "the watch of p/ at etcd http://e:2379 begins at 5, before 12, the oldest revision kept",
    });
  });

  it("opens again under a fresh login when the first was refused, and ends when that one is refused too", async () => {
    const { clock, stream, logins, next } = await openWatch();
    const refusal = {
      created: true,
      canceled: true,
      compact_revision: "0",
      cancel_reason: "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
    };
    stream.answer(4, refusal);
    await clock.advance(0);
    expect([logins.forgotten, stream.written.length]).toEqual([1, 2]);
    stream.answer(4, refusal);
    await expect(next).rejects.toMatchObject({ kind: "unavailable" });
    expect(logins.forgotten).toBe(1);
  });

  it("gives what had arrived before the stream broke, then the break, then nothing", async () => {
    const { stream, watch, next } = await openWatch();
    stream.answer(4, { created: true });
    stream.put(5);
    stream.put(6);
    stream.emit("error", new Error("14 UNAVAILABLE: Connection dropped"));
    stream.emit("error", new Error("1 CANCELLED: Cancelled on client"));
    expect((await next).value).toMatchObject({ revision: 5 });
    expect((await watch.next()).value).toMatchObject({ revision: 6 });
    await expect(watch.next()).rejects.toMatchObject({ kind: "unknown" });
    expect((await watch.next()).done).toBe(true);
  });
});
