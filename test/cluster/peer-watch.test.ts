// The watch over neighbours: whom a broker watches, what it takes for a death, and that nothing else ends a session.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MetadataImage } from "../../src/cluster/image.ts";
import { judge, PeerWatch, type ProbeOutcome, unprobed, watchedBy } from "../../src/cluster/peer-watch.ts";
import { type Neighbour, NeighbourWorld } from "./neighbours.ts";
import { registration } from "./world.ts";

function imageOf(brokerIds: readonly number[]): MetadataImage {
  const sessions = brokerIds.map((brokerId) => {
    const sessionId = `session-${brokerId}`;
    return [sessionId, { ...registration(brokerId), sessionId, createRevision: brokerId, isDraining: false }] as const;
  });
  return new MetadataImage({
    clusterId: "c",
    topics: new Map(),
    topicsById: new Map(),
    sessions: new Map(sessions),
    claims: new Map(),
    revisions: { topics: 1, sessions: 1, claims: 1 },
  });
}

function idsWatchedBy(brokerId: number, brokerIds: readonly number[]): number[] {
  return watchedBy(brokerId, imageOf(brokerIds)).map((session) => session.brokerId);
}

describe("whom a broker watches", () => {
  it("is the next three in the circle of ids", () => {
    expect(idsWatchedBy(3, [1, 2, 3, 5, 8, 9])).toEqual([5, 8, 9]);
    expect(idsWatchedBy(8, [1, 2, 3, 5, 8, 9])).toEqual([9, 1, 2]);
    expect(idsWatchedBy(9, [1, 9])).toEqual([1]);
    expect(idsWatchedBy(4, [4])).toEqual([]);
  });

  it("is everybody by somebody, nobody by itself, at most three by each", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(200), { minLength: 2, maxLength: 12 }), (brokerIds) => {
        const watched = new Map(brokerIds.map((id) => [id, idsWatchedBy(id, brokerIds)]));
        for (const [id, others] of watched) {
          expect(others).not.toContain(id);
          expect(new Set(others).size).toBe(Math.min(3, brokerIds.length - 1));
        }
        const watchers = (id: number) => [...watched.values()].filter((others) => others.includes(id)).length;
        expect(brokerIds.map(watchers)).toEqual(brokerIds.map(() => Math.min(3, brokerIds.length - 1)));
      }),
    );
  });
});

describe("what is taken for a death", () => {
  /** Judges outcomes at the pace that the verdicts ask for; gives the call that settled it, and when. */
  function firstDeath(outcomes: readonly ProbeOutcome[]): { call: number; atMs: number } | undefined {
    let state = unprobed;
    let atMs = 0;
    for (const [call, outcome] of outcomes.entries()) {
      const verdict = judge(state, outcome, atMs);
      if (verdict.isDead) return { call, atMs };
      state = verdict.state;
      atMs += verdict.pauseMs;
    }
    return undefined;
  }

  it("is a second refusal, 200 ms after the first", () => {
    expect(firstDeath(["answered", "refused", "refused"])).toEqual({ call: 2, atMs: 10_200 });
    expect(judge({ isReached: true, refusedAtMs: 1000, isWell: false }, "refused", 1199).isDead).toBe(false);
    expect(judge({ isReached: true, refusedAtMs: 1000, isWell: false }, "refused", 1200).isDead).toBe(true);
  });

  it("is found soon after a connection broke", () => {
    expect(firstDeath(["answered", "unavailable", "refused", "refused"])).toEqual({ call: 3, atMs: 10_250 });
  });

  it("is nothing that an answer or a silence interrupts", () => {
    expect(firstDeath(["answered", "refused", "unavailable", "refused", "answered", "refused"])).toBeUndefined();
    expect(firstDeath(["answered", ...Array.from({ length: 100 }, () => "unavailable" as const)])).toBeUndefined();
  });

  it("is nothing at an address where the process was never reached", () => {
    expect(firstDeath(Array.from({ length: 20 }, () => "refused" as const))).toBeUndefined();
    expect(firstDeath(["stranger", "refused", "refused", "refused"])).toBeUndefined();
  });

  it("needs two refusals in a row whatever the outcomes", () => {
    const outcome = fc.constantFrom<ProbeOutcome>("answered", "stranger", "refused", "unavailable");
    fc.assert(
      fc.property(fc.array(outcome), (outcomes) => {
        const death = firstDeath(outcomes);
        const pairs = outcomes.slice(1).some((each, index) => each === "refused" && outcomes[index] === "refused");
        expect(death === undefined || (pairs && outcomes.includes("answered"))).toBe(true);
      }),
    );
  });
});

describe("the watch", () => {
  function watch({ components, feed, control, brokerId }: Neighbour): AbortController {
    const over = new AbortController();
    const { signal } = over;
    void new PeerWatch({ cluster: components, feed, peers: control, brokerId }).run(signal).catch(() => {});
    return over;
  }

  async function open(...brokerIds: readonly number[]) {
    const world = new NeighbourWorld();
    const brokers = await world.start(...brokerIds);
    const [first, second] = brokers;
    if (!first || !second) throw new Error("there are two brokers at least");
    return { world, brokers, first, second };
  }

  it("fences a dead neighbour within 300 ms, once", async () => {
    const { world, first, second } = await open(1, 2);
    watch(first);
    await world.pass(10_000);
    expect(await world.stored(world.keys.session(second.session.sessionId))).toBeDefined();
    const sentBefore = world.store.sent.length;
    second.kill();
    await world.pass(300);
    expect(await world.stored(world.keys.session(second.session.sessionId))).toBeUndefined();
    await world.pass(10_000);
    // The other one is its own: its keep-alive told it that it was fenced.
    expect(world.store.sent).toHaveLength(sentBefore + 2);
  });

  it("calls a neighbour that is well every ten seconds", async () => {
    const { world, first } = await open(1, 2);
    const calls: number[] = [];
    const { control } = first;
    const probe = control.probe.bind(control);
    control.probe = (...asked) => {
      calls.push(world.clock.monotonicMs());
      return probe(...asked);
    };
    watch(first);
    await world.pass(60_000);
    expect(calls).toHaveLength(6);
    // A connection that ends each time, as behind something that takes no idle ones, makes it a call a second.
    control.onLost = (_peer, lost) => {
      queueMicrotask(lost);
      return () => {};
    };
    calls.length = 0;
    await world.pass(60_000);
    expect(calls.length).toBeGreaterThan(40);
    expect(calls.length).toBeLessThanOrEqual(120);
  });

  it("does not touch the metadata store while all is well", async () => {
    const { world, first, second } = await open(1, 2);
    const sentBefore = world.store.sent.length;
    for (const broker of [first, second]) watch(broker);
    await world.pass(60_000);
    expect(world.store.sent).toHaveLength(sentBefore);
  });

  it("fences nobody who is paused, or cut off", async () => {
    const { world, brokers, first } = await open(1, 2, 3);
    for (const broker of brokers) watch(broker);
    await world.pass(3000);
    const [, paused] = brokers;
    paused?.clock.pause();
    world.network.cut("broker-1", "broker-3");
    await world.pass(60_000);
    expect([...first.feed.current.sessions()]).toHaveLength(3);
    paused?.clock.resume();
    world.network.heal("broker-1", "broker-3");
    await world.pass(10_000);
    expect([...first.feed.current.sessions()]).toHaveLength(3);
  });

  it("does not fence a session that it never reached", async () => {
    const { world, first, second } = await open(1, 2);
    second.kill();
    watch(first);
    await world.pass(20_000);
    expect(await world.stored(world.keys.session(second.session.sessionId))).toBeDefined();
  });

  it("leaves no timer behind when it ends", async () => {
    const { world, first } = await open(1, 2, 3, 4, 5);
    await world.pass(10_000);
    const idle = world.clock.pendingCount;
    const over = watch(first);
    await world.pass(2500);
    over.abort(new Error("the broker stops"));
    await world.pass(2500);
    expect(world.clock.pendingCount).toBe(idle);
  });
});
