// Sessions: how they begin, what proves them alive, and how they end.
import { describe, expect, it } from "vitest";
import { commitHead, readHead } from "../../src/cluster/head.ts";
import { decodeSession } from "../../src/cluster/keys.ts";
import { deleteSessions, fenceSession, findRivalSession, SESSION_TTL_MS, Session } from "../../src/cluster/session.ts";
import { newSessionId, sessionIdFromBytes, sessionIdToBytes } from "../../src/cluster/session-id.ts";
import { silentLog } from "../../src/host/log.ts";
import { InvariantError } from "../../src/invariant.ts";
import { KvError } from "../../src/kv/key-value-store.ts";
import { registration, ScriptedStore, World } from "./world.ts";

describe("registration", () => {
  it("creates session and head in one transaction that compares both absent", async () => {
    const world = new World();
    const session = await world.session();
    const txn = world.store.sent.at(-1);
    expect(txn?.compare).toEqual([
      { key: world.keys.session(session.sessionId), target: "create", equals: 0 },
      { key: world.keys.head(session.sessionId), target: "create", equals: 0 },
    ]);
    const entry = await world.stored(world.keys.session(session.sessionId));
    expect(entry && decodeSession(entry)).toMatchObject({ brokerId: 1, host: "broker-1", isDraining: false });
    expect(entry?.createRevision).toBe(session.createRevision);
    expect(entry?.lease).toBe(session.leaseId);
    expect(await readHead(world.components, session.sessionId, world)).toMatchObject({ n: 0 });
  });

  it("never sends an attempt again whose answer was lost: the next one has another id and lease", async () => {
    const world = new World();
    world.store.faults.push("answer-lost");
    const session = await world.session();
    const puts = world.store.sent.flatMap(({ then }) => then.filter(({ type }) => type === "put"));
    const ids = new Set(puts.flatMap((put) => (put.key.includes("/s/") ? [put.key] : [])));
    expect(ids.size).toBe(2);
    const { entries } = await world.store.inner.range(world.keys.sessions, { signal: world.signal });
    expect(entries.map(({ key }) => key)).toEqual([world.keys.session(session.sessionId)]);
  });

  it("fences the earlier session of the same broker id and leaves others alone", async () => {
    const world = new World();
    const first = await world.session(1);
    const other = await world.session(2);
    await world.session(1);
    expect(await world.stored(world.keys.session(first.sessionId))).toBeUndefined();
    expect(await world.stored(world.keys.session(other.sessionId))).toBeDefined();
    expect(await world.stored(world.keys.head(first.sessionId))).toBeDefined();
  });

  it("fences a session of its broker that came up unseen meanwhile, and no younger or foreign one", async () => {
    const world = new World();
    const other = await world.session(2);
    const rival = { life: world.signal, signal: world.signal, onBug: () => {} };
    let unseen: Session | undefined;
    world.store.before = async () => {
      unseen = await Session.register({ ...world.components, kv: world.store.inner }, registration(1), rival);
    };
    const session = await world.session(1);
    const blind = new ScriptedStore(world.store.inner);
    blind.range = async () => ({ revision: 0, entries: [] });
    const younger = await Session.register({ ...world.components, kv: blind }, registration(1), rival);
    expect(unseen?.createRevision).toBeLessThan(session.createRevision);
    await world.settled(session.fenceEarlier(world));
    const { entries } = await world.store.inner.range(world.keys.sessions, world);
    const left = entries.map(({ key }) => world.keys.sessionOf(key));
    expect(left.toSorted()).toEqual([other, session, younger].map(({ sessionId }) => sessionId).toSorted());
  });

  it("ends with its signal while the store is out of reach, and leaves no timer", async () => {
    const world = new World();
    const stop = new AbortController();
    world.store.inner.range = () => new Promise(() => {});
    const registering = Session.register(world.components, registration(1), {
      signal: stop.signal,
      life: world.signal,
      onBug: () => {},
    });
    registering.catch(() => {});
    await world.pass(20_000);
    stop.abort(new Error("the broker stops"));
    await expect(registering).rejects.toThrow("the broker stops");
    expect(world.clock.pendingCount).toBe(0);
  });

  it("names the rival that runs under the same broker id in another process", async () => {
    const world = new World();
    await world.session(1);
    const own = { brokerId: 1, process: registration(1).process };
    expect(await findRivalSession(world.components, own, world)).toBeUndefined();
    const rival = await findRivalSession(world.components, { ...own, process: "ff" }, world);
    expect(rival?.host).toBe("broker-1");
  });
});

describe("a live session", () => {
  it("outlives its lease many times while keep-alives are answered", async () => {
    const world = new World();
    const session = await world.session();
    await world.pass(10 * SESSION_TTL_MS);
    expect(session.signal.aborted).toBe(false);
    expect(session.isProven()).toBe(true);
    expect(await world.stored(world.keys.session(session.sessionId))).toBeDefined();
  });

  it("is proven only within half a TTL of the send time of the last answered keep-alive", async () => {
    const world = new World();
    const session = await world.session();
    const proven = session.provenMs;
    expect(session.isProven(proven + SESSION_TTL_MS / 2)).toBe(true);
    expect(session.isProven(proven + SESSION_TTL_MS / 2 + 1)).toBe(false);
  });

  it("counts a slow keep-alive from its sending, not from its answer", async () => {
    const world = new World();
    const session = await world.session();
    const keepAlive = world.store.keepAlive.bind(world.store);
    world.store.keepAlive = async (lease, options) => {
      await new Promise<void>((resolve) => world.clock.setTimer(1000, resolve));
      return keepAlive(lease, options);
    };
    const before = session.provenMs;
    await world.pass(4500);
    expect(session.provenMs - before).toBe(3000);
  });

  it("dies when its lease has ended", async () => {
    const world = new World();
    const session = await world.session();
    await world.store.inner.revokeLease(session.leaseId, world);
    const end = await world.settled(session.closed);
    expect(end).toMatchObject({ head: 0 });
    expect(end.reason.message).toMatch(/lease/);
    expect(session.isProven()).toBe(false);
  });
});

describe("the end of a session", () => {
  it("is told by the next keep-alive to whoever was fenced: a watch may lag, and reads are served until then", async () => {
    const world = new World();
    const session = await world.session(1);
    await fenceSession(world.components, session, world.signal);
    expect(session.isProven()).toBe(true);
    await world.pass(3_000);
    expect([session.isProven(), session.wasProvenAtEnd]).toEqual([false, true]);
    expect((await world.settled(session.closed)).reason.message).toMatch(/lease/);
  });

  it("stands, although the lease of who was fenced cannot be revoked", async () => {
    const world = new World();
    const session = await world.session(1);
    const kv = Object.assign(Object.create(world.store), {
      revokeLease: () => Promise.reject(new KvError("unavailable", "refused by the test")),
    });
    await world.settled(fenceSession({ ...world.components, kv }, session, world.signal));
    expect(await world.stored(world.keys.session(session.sessionId))).toBeUndefined();
    await world.pass(4_000);
    expect(session.signal.aborted, "nobody told it, and its lease lives").toBe(false);
    // Repeated, it finds no key and so no lease.
    await world.settled(fenceSession(world.components, session, world.signal));
  });

  it("deletes its key, then reads its head, and counts only once", async () => {
    const world = new World();
    const session = await world.session();
    await commitHead(session, { from: 0, to: 3, signal: world.signal });
    session.die("first");
    session.die("second");
    expect(session.signal.aborted).toBe(true);
    const end = await world.settled(session.closed);
    expect({ reason: end.reason.message, head: end.head }).toEqual({ reason: "first", head: 3 });
    expect(await world.stored(world.keys.session(session.sessionId))).toBeUndefined();
    expect(await world.stored(world.keys.head(session.sessionId))).toBeDefined();
  });

  it("is warned of, unless it was meant", async () => {
    const world = new World();
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    const facts = { life: world.signal, signal: world.signal, onBug: () => {} };
    const meant = await Session.register({ ...world.components, log }, registration(1), facts);
    meant.end("the broker stops");
    meant.die("too late to count");
    expect((await world.settled(meant.closed)).reason.message).toBe("the broker stops");
    expect(warnings).toEqual([]);
    const lost = await Session.register({ ...world.components, log }, registration(1), facts);
    lost.die("the lease has ended");
    lost.end("too late to count");
    expect((await world.settled(lost.closed)).reason.message).toBe("the lease has ended");
    expect(warnings).toEqual(["session ends"]);
  });

  it("lets no broken invariant go unheard, also when it is over already or nobody waits for it", async () => {
    const world = new World();
    const session = await world.session();
    session.die("first");
    session.die(new Error("no bug"));
    const late = new Error("late", { cause: new InvariantError("broken") });
    session.die(late);
    const unwaited = new InvariantError("broken as well");
    void session.watched(Promise.reject(unwaited)).catch(() => {});
    void session.watched(Promise.reject(new Error("the stop"))).catch(() => {});
    await world.settled(session.closed);
    expect(world.bugs).toEqual([late, unwaited]);
  });

  it("repeats the deletion until it is answered", async () => {
    const world = new World();
    const session = await world.session();
    world.store.faults.push("lost", "unavailable", "answer-lost");
    session.die("test");
    expect(await world.settled(session.closed)).toMatchObject({ head: 0 });
    expect(await world.stored(world.keys.session(session.sessionId))).toBeUndefined();
  });

  it("leaves everything as it is when the broker's life ends: that is a crash", async () => {
    const world = new World();
    const life = new AbortController();
    const session = await world.session(1, life.signal);
    life.abort(new Error("crash"));
    expect(await session.closed).toMatchObject({ head: undefined });
    expect(await world.stored(world.keys.session(session.sessionId))).toBeDefined();
    await world.pass(SESSION_TTL_MS + 1);
    expect(await world.stored(world.keys.session(session.sessionId))).toBeUndefined();
  });

  it("comes to all sessions of a store that was found locked by nobody", async () => {
    const world = new World();
    await world.session(1);
    await world.session(2);
    await deleteSessions(world.components, () => true, world);
    expect((await world.store.inner.range(world.keys.sessions, world)).entries).toEqual([]);
  });
});

describe("session ids", () => {
  it("are 24 hex digits that survive their 12 bytes", () => {
    const sessionId = newSessionId(new World().random);
    expect(sessionId).toMatch(/^[0-9a-f]{24}$/);
    expect(sessionIdFromBytes(sessionIdToBytes(sessionId))).toBe(sessionId);
    expect(() => sessionIdFromBytes(new Uint8Array(11))).toThrow(/11 bytes/);
  });
});
