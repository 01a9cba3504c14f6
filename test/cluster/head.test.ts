// The commit of flushes: every answer, lost answer and refusal is classified as it is, never better.
import { describe, expect, it } from "vitest";
import { commitHead, moveCheckpointPointer, readCheckpointPointer, readHead } from "../../src/cluster/head.ts";
import { World } from "./world.ts";

describe("a head commit", () => {
  it("compares the session's create revision and the last committed value, and is 2 compares and 1 put", async () => {
    const world = new World();
    const session = await world.session();
    const { value } = session.head;
    expect(await commitHead(session, { from: 0, to: 2, signal: world.signal })).toEqual({ kind: "committed", head: 2 });
    const txn = world.store.sent.at(-1);
    expect(txn?.compare).toEqual([
      { key: world.keys.session(session.sessionId), target: "create", equals: session.createRevision },
      { key: world.keys.head(session.sessionId), target: "value", equals: value },
    ]);
    expect(txn?.then).toHaveLength(1);
    expect(session.head.n).toBe(2);
    expect(await commitHead(session, { from: 2, to: 3, signal: world.signal })).toEqual({ kind: "committed", head: 3 });
  });

  it("whose answer was lost is sent again byte for byte and found committed", async () => {
    const world = new World();
    const session = await world.session();
    const sentBefore = world.store.sent.length;
    world.store.faults.push("answer-lost", "lost", undefined);
    const outcome = await world.settled(commitHead(session, { from: 0, to: 1, signal: world.signal }));
    expect(outcome).toEqual({ kind: "committed", head: 1 });
    const sent = world.store.sent.slice(sentBefore);
    expect(sent).toHaveLength(3);
    expect(sent[1]).toEqual(sent[0]);
    expect(sent[2]).toEqual(sent[0]);
  });

  it("is found committed although the session is gone, when an earlier copy landed", async () => {
    const world = new World();
    const session = await world.session();
    world.store.faults.push("answer-lost");
    const commit = commitHead(session, { from: 0, to: 1, signal: world.signal });
    await world.turn();
    await world.remove(world.keys.session(session.sessionId));
    expect(await world.settled(commit)).toEqual({ kind: "committed", head: 1 });
  });

  it("is refused for ever once the session is gone", async () => {
    const world = new World();
    const session = await world.session();
    await world.remove(world.keys.session(session.sessionId));
    const outcome = await commitHead(session, { from: 0, to: 1, signal: world.signal });
    expect(outcome).toEqual({ kind: "fenced", head: 0 });
    expect(await readHead(world.components, session.sessionId, world)).toMatchObject({ n: 0 });
  });

  it("is unknown when the head itself is gone: who swept it may have swept a committed one", async () => {
    const world = new World();
    const session = await world.session();
    await world.remove(world.keys.session(session.sessionId));
    await world.remove(world.keys.head(session.sessionId));
    expect(await commitHead(session, { from: 0, to: 1, signal: world.signal })).toMatchObject({ kind: "unknown" });
  });

  it("is unknown when the caller gives up after it was sent, unsent when every try was refused", async () => {
    for (const [fault, kind] of [
      ["lost", "unknown"],
      ["answer-lost", "unknown"],
      ["unavailable", "unsent"],
    ] as const) {
      const world = new World();
      const session = await world.session();
      world.store.faults.push(...Array.from({ length: 100 }, () => fault));
      const giveUp = new AbortController();
      const commit = commitHead(session, { from: 0, to: 1, signal: giveUp.signal });
      await world.pass(10);
      giveUp.abort(new Error("gave up"));
      expect(await world.settled(commit), fault).toMatchObject({ kind });
      expect(session.head.n).toBe(0);
    }
  });

  it("fails as a bug when a live session's head is not where the session left it", async () => {
    const world = new World();
    const session = await world.session();
    const key = world.keys.head(session.sessionId);
    const value = new Uint8Array([0x10, 1]);
    await world.store.inner.txn({ compare: [], then: [{ type: "put", key, value }] }, world);
    await expect(commitHead(session, { from: 0, to: 1, signal: world.signal })).rejects.toThrow(
      /refused to a live session/,
    );
    await expect(commitHead(session, { from: 1, to: 2, signal: world.signal })).rejects.toThrow(/where the head is 0/);
  });
});

describe("a checkpoint pointer", () => {
  it("moves under the live session only", async () => {
    const world = new World();
    const session = await world.session();
    const move = (objectKey: string) => moveCheckpointPointer(session, { objectKey, signal: world.signal });
    expect(await move("ckpt/a/1")).toBe("moved");
    expect(await move("ckpt/a/2")).toBe("moved");
    await world.remove(world.keys.session(session.sessionId));
    expect(await move("ckpt/a/3")).toBe("fenced");
    expect(await readCheckpointPointer(world.components, session.sessionId, world)).toBe("ckpt/a/2");
  });

  it("is moved by whichever copy landed", async () => {
    const world = new World();
    const session = await world.session();
    world.store.faults.push("answer-lost", "lost");
    const move = moveCheckpointPointer(session, { objectKey: "ckpt/a/1", signal: world.signal });
    expect(await world.settled(move)).toBe("moved");
  });

  it("wins over a late copy of an older one that landed in between", async () => {
    const world = new World();
    const session = await world.session();
    world.store.faults.push("lost");
    const giveUp = new AbortController();
    const older = moveCheckpointPointer(session, { objectKey: "ckpt/a/1", signal: giveUp.signal });
    await world.turn();
    giveUp.abort(new Error("gave up"));
    await expect(world.settled(older)).rejects.toThrow("gave up");
    const late = world.store.sent.at(-1);
    world.store.before = async () => {
      if (late) expect((await world.store.inner.txn(late, world)).succeeded).toBe(true);
    };
    expect(await moveCheckpointPointer(session, { objectKey: "ckpt/a/2", signal: world.signal })).toBe("moved");
    expect(await readCheckpointPointer(world.components, session.sessionId, world)).toBe("ckpt/a/2");
    if (late) expect((await world.store.inner.txn(late, world)).succeeded).toBe(false);
  });
});
