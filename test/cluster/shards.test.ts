// Claims: who may take a shard, what the claim then says, and what happens when somebody was faster.
import { describe, expect, it } from "vitest";
import { SessionFencedError } from "../../src/cluster/cluster-components.ts";
import { commitHead, moveCheckpointPointer } from "../../src/cluster/head.ts";
import { encodeClaim } from "../../src/cluster/keys.ts";
import { SHARD_COUNT } from "../../src/cluster/placement.ts";
import type { Session } from "../../src/cluster/session.ts";
import type { CheckpointFacts, LoadCheckpoint, SectionPlace, ShardClaim } from "../../src/cluster/shard-claim.ts";
import { afterCheckpoint, claimShards, readClaims, rewriteClaims, shardsToLoad } from "../../src/cluster/shards.ts";
import { sleep } from "../../src/host/clock.ts";
import { World } from "./world.ts";

const all = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);
const noCheckpoint: LoadCheckpoint = () => Promise.reject(new Error("no checkpoint was expected"));

function claim(world: World, session: Session, shards: readonly number[], loadCheckpoint = noCheckpoint) {
  const claimed = async () => {
    const { claims } = await readClaims(world.components, world);
    return claimShards(session, { shards, claims, loadCheckpoint, signal: world.signal });
  };
  return world.settled(claimed());
}

/** A checkpoint at head `n` with sections for some shards of epoch 1. */
function checkpoint(n: number, sections: Readonly<Record<number, number | undefined>>): LoadCheckpoint {
  const place = (shard: number): SectionPlace => ({
    objectKey: "ckpt/x/1",
    position: shard,
    length: 10,
    lowestPendingN: sections[shard],
  });
  const facts: CheckpointFacts = {
    n,
    sectionOf: (shard, epoch) => (epoch === 1 && shard in sections ? place(shard) : undefined),
  };
  return () => Promise.resolve(facts);
}

async function commitTo(world: World, session: Session, to: number): Promise<void> {
  await commitHead(session, { from: session.head.n, to, signal: world.signal });
}

describe("a claim of shards nobody ever owned", () => {
  it("takes all 1,024 in 35 transactions of at most 64 entries", async () => {
    const world = new World();
    const session = await world.session();
    const sentBefore = world.store.sent.length;
    const { claimed, lost, refused } = await claim(world, session, all);
    expect({ claimed: claimed.length, lost, refused }).toEqual({ claimed: SHARD_COUNT, lost: [], refused: [] });
    const sent = world.store.sent.slice(sentBefore);
    expect(sent).toHaveLength(35);
    for (const txn of sent) expect(Math.max(txn.compare.length, txn.otherwise?.length ?? 0)).toBeLessThanOrEqual(64);
    const first: ShardClaim = { sessionId: session.sessionId, epoch: 1, base: undefined, prev: [] };
    const { claims } = await readClaims(world.components, world);
    expect(claims.get(1023)?.claim).toEqual(first);
  });

  it("has four transactions under way at a time, and sends none after a session was found gone", async () => {
    const world = new World();
    const session = await world.session();
    const { store, signal } = world;
    const send = store.txn.bind(store);
    let [underWay, most, sent] = [0, 0, 0];
    store.txn = async (txn, options) => {
      sent++;
      most = Math.max(most, ++underWay);
      await sleep(world.clock, 2, signal);
      underWay--;
      return await send(txn, options);
    };
    expect((await claim(world, session, all.slice(0, 512))).claimed).toHaveLength(512);
    expect([most, underWay]).toEqual([4, 0]);
    store.txn = send;
    await world.remove(world.keys.session(session.sessionId));
    sent = 0;
    store.txn = (txn, options) => {
      sent++;
      return send(txn, options);
    };
    await expect(claim(world, session, all.slice(512))).rejects.toThrow(SessionFencedError);
    expect(sent).toBe(4);
  });

  it("is not fought for: what somebody alive owns is lost", async () => {
    const world = new World();
    const [one, two] = [await world.session(1), await world.session(2)];
    await claim(world, one, [1, 2]);
    const { claimed, lost } = await claim(world, two, [1, 2, 3]);
    expect({ claimed: claimed.map(({ shard }) => shard), lost }).toEqual({ claimed: [3], lost: [1, 2] });
  });

  it("loses only the shards that were taken in between", async () => {
    const world = new World();
    const [one, two] = [await world.session(1), await world.session(2)];
    world.store.before = async () => {
      await claim(world, two, [5]);
    };
    const { claimed, lost } = await claim(world, one, [4, 5, 6]);
    expect({ claimed: claimed.map(({ shard }) => shard), lost }).toEqual({ claimed: [4, 6], lost: [5] });
  });

  it("is recognised as done when the answer was lost", async () => {
    const world = new World();
    const session = await world.session();
    world.store.faults.push("answer-lost", "lost");
    const { claimed, lost } = await claim(world, session, [7, 8]);
    expect({ claimed: claimed.length, lost }).toEqual({ claimed: 2, lost: [] });
    const { claims } = await readClaims(world.components, world);
    expect(claimed.map(({ modRevision }) => modRevision)).toEqual(
      [7, 8].map((shard) => claims.get(shard)?.modRevision),
    );
  });

  it("ends with an error when the own session is gone", async () => {
    const world = new World();
    const session = await world.session();
    await world.remove(world.keys.session(session.sessionId));
    await expect(claim(world, session, [1])).rejects.toThrow(SessionFencedError);
    expect((await readClaims(world.components, world)).claims.size).toBe(0);
  });
});

describe("a claim of a dead session's shards", () => {
  it("names the whole term where there is no checkpoint, and raises the epoch", async () => {
    const world = new World();
    const old = await world.session(1);
    await claim(world, old, [1, 2]);
    await commitTo(world, old, 9);
    const session = await world.session(1);
    const { claimed } = await claim(world, session, [1, 2]);
    const term = { sessionId: old.sessionId, epoch: 1, from: 1, to: 9 };
    expect(claimed[0]?.claim).toEqual({ sessionId: session.sessionId, epoch: 2, base: undefined, prev: [term] });
  });

  it("writes no term for a session that committed nothing", async () => {
    const world = new World();
    const old = await world.session(1);
    await claim(world, old, [1]);
    const { claimed } = await claim(world, await world.session(1), [1]);
    expect(claimed[0]?.claim).toMatchObject({ epoch: 2, prev: [] });
  });

  it("starts from the section of its checkpoint and keeps what the section still points to", async () => {
    const world = new World();
    const old = await world.session(1);
    await claim(world, old, [1, 2, 3]);
    await commitTo(world, old, 9);
    await moveCheckpointPointer(old, { objectKey: "ckpt/x/1", signal: world.signal });
    const session = await world.session(1);
    const { claimed } = await claim(world, session, [1, 2, 3], checkpoint(9, { 1: undefined, 2: 4 }));
    const [quiet, pending, unloaded] = claimed.map((stored) => stored.claim);
    const start = { objectKey: "ckpt/x/1", length: 10, sessionId: old.sessionId, n: 9 };
    expect(quiet).toMatchObject({ base: { ...start, position: 1 }, prev: [] });
    expect(pending).toMatchObject({ base: { ...start, position: 2 }, prev: [{ epoch: 1, from: 4, to: 9 }] });
    expect(unloaded).toMatchObject({ base: undefined, prev: [] });
  });

  it("keeps the base and terms of an owner that died before its first checkpoint, and adds its own", async () => {
    const world = new World();
    const first = await world.session(1);
    await claim(world, first, [1]);
    await commitTo(world, first, 5);
    await moveCheckpointPointer(first, { objectKey: "ckpt/x/1", signal: world.signal });
    const second = await world.session(1);
    await claim(world, second, [1], checkpoint(3, { 1: 2 }));
    await commitTo(world, second, 2);
    const { claimed } = await claim(world, await world.session(1), [1]);
    expect(claimed[0]?.claim).toMatchObject({
      epoch: 3,
      base: { sessionId: first.sessionId, n: 3 },
      prev: [
        { sessionId: first.sessionId, epoch: 1, from: 2, to: 5 },
        { sessionId: second.sessionId, epoch: 2, from: 1, to: 2 },
      ],
    });
  });

  it("is refused where the dead session has no head: that is corruption, never 0", async () => {
    const world = new World();
    const old = await world.session(1);
    await claim(world, old, [1]);
    const session = await world.session(1);
    await world.remove(world.keys.head(old.sessionId));
    const { claimed, refused } = await claim(world, session, [1, 2]);
    expect(claimed.map(({ shard }) => shard)).toEqual([2]);
    expect(refused.map(({ shard, reason }) => [shard, reason.message])).toEqual([
      [1, expect.stringContaining("no head")],
    ]);
  });

  it("is refused where the checkpoint cannot be read", async () => {
    const world = new World();
    const old = await world.session(1);
    await claim(world, old, [1]);
    await moveCheckpointPointer(old, { objectKey: "ckpt/x/1", signal: world.signal });
    const { claimed, refused } = await claim(world, await world.session(1), [1]);
    expect({ claimed, message: refused[0]?.reason.message }).toEqual({
      claimed: [],
      message: expect.stringContaining("ckpt/x/1"),
    });
  });

  it("is lost, not refused, where the remains are gone because somebody else has claimed the shard since", async () => {
    const world = new World();
    const old = await world.session(1);
    await claim(world, old, [1]);
    await moveCheckpointPointer(old, { objectKey: "ckpt/x/1", signal: world.signal });
    const [slow, fast] = [await world.session(1), await world.session(2)];
    const sweptMeanwhile = async () => {
      const { claims } = await readClaims(world.components, { signal: world.signal });
      await claimShards(fast, { shards: [1], claims, loadCheckpoint: checkpoint(0, {}), signal: world.signal });
      throw new Error("no such object");
    };
    const { claimed, lost, refused } = await claim(world, slow, [1], sweptMeanwhile);
    expect({ claimed, lost, refused }).toEqual({ claimed: [], lost: [1], refused: [] });
  });

  it("names at most 16 dead sessions in a transaction", async () => {
    const world = new World();
    for (let shard = 0; shard < 20; shard += 1) {
      const old = await world.session(100 + shard);
      await claim(world, old, [shard]);
      await world.remove(world.keys.session(old.sessionId));
    }
    const session = await world.session(1);
    const sentBefore = world.store.sent.length;
    const { claimed } = await claim(world, session, all.slice(0, 20));
    expect({ claimed: claimed.length, txns: world.store.sent.length - sentBefore }).toEqual({ claimed: 20, txns: 2 });
  });
});

describe("a claim after the owner's checkpoint", () => {
  const term = (sessionId: string, epoch: number, from: number, to: number) => ({ sessionId, epoch, from, to });
  const before: ShardClaim = {
    sessionId: "c".repeat(24),
    epoch: 4,
    base: { objectKey: "k", position: 0, length: 1, sessionId: "a".repeat(24), n: 3 },
    prev: [term("a".repeat(24), 1, 2, 5), term("b".repeat(24), 2, 1, 8), term("a".repeat(24), 3, 6, 9)],
  };

  it("loses its base and every term that is covered and points to nothing", () => {
    const after = afterCheckpoint(before, { coveredN: () => 100, lowestPendingN: () => undefined });
    expect(after).toEqual({ ...before, base: undefined, prev: [] });
  });

  it("keeps of each term what is pending or not covered, and never goes back", () => {
    const after = afterCheckpoint(before, {
      coveredN: (sessionId) => (sessionId.startsWith("a") ? 9 : 6),
      lowestPendingN: (_sessionId, from) => (from === 2 ? 4 : from === 6 ? 1 : undefined),
    });
    expect(after.prev.map(({ epoch, from, to }) => [epoch, from, to])).toEqual([
      [1, 4, 5],
      [2, 7, 8],
      [3, 6, 9],
    ]);
  });

  it("is the same object when nothing changes", () => {
    const bare = { ...before, base: undefined };
    const facts = { coveredN: () => 100, lowestPendingN: (_sessionId: string, from: number) => from };
    expect(afterCheckpoint(bare, facts)).toBe(bare);
  });

  it("is written only over the value it was derived from", async () => {
    const world = new World();
    const session = await world.session();
    const { claimed } = await claim(world, session, [1, 2]);
    const [one, two] = claimed;
    if (!one || !two) throw new Error("two claims were expected");
    await world.store.inner.txn(
      {
        compare: [],
        then: [{ type: "put", key: world.keys.claim(2), value: encodeClaim({ ...two.claim, epoch: 9 }) }],
      },
      world,
    );
    const changed = (stored: typeof one) => ({
      ...stored,
      claim: { ...stored.claim, prev: [term("a".repeat(24), 1, 1, 1)] },
    });
    const { rewritten, lost } = await rewriteClaims(session, [changed(one), changed(two)], world);
    expect({ rewritten: rewritten.map(({ shard }) => shard), lost }).toEqual({ rewritten: [1], lost: [2] });
  });
});

describe("shards to load", () => {
  it("are those that name the session above the epoch last loaded", async () => {
    const world = new World();
    const session = await world.session();
    const { claimed } = await claim(world, session, [1, 2, 3]);
    const loaded = new Map([
      [1, 1],
      [2, 0],
    ]);
    expect(shardsToLoad(claimed, session.sessionId, loaded).map(({ shard }) => shard)).toEqual([2, 3]);
    expect(shardsToLoad(claimed, "f".repeat(24), new Map())).toEqual([]);
  });
});
