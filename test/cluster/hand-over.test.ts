// Giving shards away: what the claim then says, and that no outcome leaves two owners or none.
import { describe, expect, it } from "vitest";
import { type GivenShard, handOver, takeBack } from "../../src/cluster/hand-over.ts";
import type { Session } from "../../src/cluster/session.ts";
import type { PrevTerm, StoredClaim } from "../../src/cluster/shard-claim.ts";
import { claimShards, readClaims, rewriteClaims } from "../../src/cluster/shards.ts";
import { World } from "./world.ts";

/** Two sessions, the first of which owns shards 1 to 3. */
async function twoSessions() {
  const world = new World();
  const [giver, receiver] = [await world.session(1), await world.session(2)];
  const loadCheckpoint = () => Promise.reject(new Error("no checkpoint was expected"));
  const { claims } = await readClaims(world.components, world);
  const options = { shards: [1, 2, 3], claims, loadCheckpoint, signal: world.signal };
  const { claimed } = await world.settled(claimShards(giver, options));
  return { world, giver, receiver, claimed };
}

/** A shard whose section lies at the head of a checkpoint made at flush `n`. */
function given(stored: StoredClaim, n: number, lowestPendingN: number | undefined): GivenShard {
  const place = { objectKey: "ckpt/x/4", position: 100, length: 20, lowestPendingN };
  return { stored, section: { place, n, coveredN: () => 0, lowestPendingN: () => lowestPendingN }, isLoaded: true };
}

function term(sessionId: string): PrevTerm {
  return { sessionId, epoch: 1, from: 1, to: 2 };
}

function empty(stored: StoredClaim): GivenShard {
  return { stored, section: undefined, isLoaded: true };
}

async function ownersOf(world: World): Promise<(string | undefined)[]> {
  const { claims } = await readClaims(world.components, world);
  return [1, 2, 3].map((shard) => claims.get(shard)?.claim.sessionId);
}

function give(world: World, giver: Session, shards: readonly GivenShard[], receiver: Session) {
  return world.settled(handOver(giver, shards, { receiver, signal: world.signal }));
}

describe("a hand-over", () => {
  it("names the giver's section, and the giver as long as its objects are read in place", async () => {
    const { world, giver, receiver, claimed } = await twoSessions();
    const [first, second, third] = claimed as [StoredClaim, StoredClaim, StoredClaim];
    const result = await give(world, giver, [given(first, 9, 4), given(second, 9, undefined), empty(third)], receiver);
    const base = { objectKey: "ckpt/x/4", position: 100, length: 20, sessionId: giver.sessionId, n: 9 };
    const owner = { sessionId: receiver.sessionId, epoch: 2 };
    expect(result.given.map(({ claim }) => claim)).toEqual([
      { ...owner, base, prev: [{ sessionId: giver.sessionId, epoch: 1, from: 4, to: 9 }] },
      { ...owner, base, prev: [] },
      { ...owner, base: undefined, prev: [] },
    ]);
    expect(await ownersOf(world)).toEqual([receiver.sessionId, receiver.sessionId, receiver.sessionId]);
  });

  it("is refused for certain when the receiver's session is gone, and taken back under the next epoch", async () => {
    const { world, giver, receiver, claimed } = await twoSessions();
    await world.remove(world.keys.session(receiver.sessionId));
    const shards = claimed.map(empty);
    expect(await give(world, giver, shards, receiver)).toEqual({ given: [], kept: [1, 2, 3] });
    expect(await world.settled(takeBack(giver, shards, world))).toEqual([]);
    const { claims } = await readClaims(world.components, world);
    expect(claims.get(2)?.claim).toEqual({ sessionId: giver.sessionId, epoch: 2, base: undefined, prev: [] });
  });

  it("is recognised as done when its answer was lost", async () => {
    const { world, giver, receiver, claimed } = await twoSessions();
    world.store.faults.push("answer-lost", "lost");
    const result = await give(world, giver, claimed.map(empty), receiver);
    expect(result.given.map(({ shard }) => shard)).toEqual([1, 2, 3]);
  });

  it("moves the others when the claim of one shard changed", async () => {
    const { world, giver, receiver, claimed } = await twoSessions();
    const shards = claimed.map(empty);
    await world.settled(takeBack(giver, shards.slice(1, 2), world));
    const { given: moved, kept } = await give(world, giver, shards, receiver);
    expect({ moved: moved.map(({ shard }) => shard), kept }).toEqual({ moved: [1, 3], kept: [2] });
  });

  it("leaves what somebody else took alone when it is taken back", async () => {
    const { world, giver, receiver, claimed } = await twoSessions();
    const shards = claimed.map(empty);
    await give(world, giver, shards.slice(0, 1), receiver);
    expect(await world.settled(takeBack(giver, shards, world))).toEqual([1]);
    expect(await ownersOf(world)).toEqual([receiver.sessionId, giver.sessionId, giver.sessionId]);
  });

  it("takes back what the giver itself had changed meanwhile", async () => {
    const { world, giver, receiver, claimed } = await twoSessions();
    const changed = claimed.map((stored) => ({ ...stored, claim: { ...stored.claim, prev: [term(giver.sessionId)] } }));
    await world.settled(rewriteClaims(giver, changed.slice(0, 2), world));
    const shards = claimed.map((stored) => given(stored, 9, undefined));
    await give(world, giver, shards.slice(2), receiver);
    expect(await world.settled(takeBack(giver, shards, world))).toEqual([3]);
    const { claims } = await readClaims(world.components, world);
    expect([1, 2].map((shard) => claims.get(shard)?.claim.epoch)).toEqual([2, 2]);
    expect(await ownersOf(world)).toEqual([giver.sessionId, giver.sessionId, receiver.sessionId]);
  });

  it("writes nothing once the giver's session is gone", async () => {
    const { world, giver, receiver, claimed } = await twoSessions();
    await world.remove(world.keys.session(giver.sessionId));
    await expect(give(world, giver, claimed.map(empty), receiver)).rejects.toThrow(/was gone/);
    expect(await ownersOf(world)).toEqual([giver.sessionId, giver.sessionId, giver.sessionId]);
  });

  it("refuses to give a shard that has a base without its section", async () => {
    const { world, giver, receiver, claimed } = await twoSessions();
    const [first] = claimed as [StoredClaim];
    const [moved] = (await give(world, giver, [given(first, 9, 4)], receiver)).given as [StoredClaim];
    await expect(give(world, receiver, [empty(moved)], giver)).rejects.toThrow(/without the section/);
  });
});
