// What dead sessions leave: who is named where, and that only the dead are forgotten, as they were seen.
import { expect, it } from "vitest";
import {
  forgetSession,
  isSessionGone,
  namedSessions,
  readRemains,
  sessionsWithHead,
} from "../../src/cluster/dead-sessions.ts";
import { moveCheckpointPointer, readCheckpointPointer, readHead } from "../../src/cluster/head.ts";
import { claimShards, rewriteClaims } from "../../src/cluster/shards.ts";
import { World } from "./world.ts";

const loadCheckpoint = () => Promise.reject(new Error("no checkpoint was expected"));

it("knows who has a head, who is gone, and who is named as an owner, in a base or as an earlier term", async () => {
  const world = new World();
  const { components, signal } = world;
  const [alive, dead] = [await world.session(1), await world.session(2)];
  const { claimed } = await world.settled(
    claimShards(alive, { shards: [1, 2], claims: new Map(), loadCheckpoint, signal }),
  );
  const [first, second] = claimed;
  if (!first || !second) throw new Error("nothing was claimed");
  const [inBase, inPrev] = ["0a".repeat(12), "0b".repeat(12)];
  const base = { objectKey: "ckpt/x/1", position: 0, length: 1, sessionId: inBase, n: 3 };
  const prev = [{ sessionId: inPrev, epoch: 1, from: 1, to: 2 }];
  const updates = [
    { ...first, claim: { ...first.claim, base } },
    { ...second, claim: { ...second.claim, prev } },
  ];
  await world.settled(rewriteClaims(alive, updates, { signal }));
  dead.end("the test ends it");
  await world.settled(dead.closed);
  expect(await world.settled(sessionsWithHead(components, { signal }))).toEqual(
    [alive.sessionId, dead.sessionId].sort(),
  );
  const gone = [alive, dead].map(({ sessionId }) => world.settled(isSessionGone(components, sessionId, { signal })));
  expect(await Promise.all(gone)).toEqual([false, true]);
  const named = await world.settled(namedSessions(components, { signal }));
  expect([...named].sort()).toEqual([alive.sessionId, inBase, inPrev].sort());
});

it("forgets head and pointer of a dead session together, and nothing of a living or of a changed one", async () => {
  const world = new World();
  const { components, signal } = world;
  const session = await world.session(1);
  const { sessionId } = session;
  const before = await world.settled(readRemains(components, sessionId, { signal }));
  expect(before.pointerRevision).toBe(0);
  await world.settled(moveCheckpointPointer(session, { objectKey: "ckpt/x/1", signal }));
  const remains = await world.settled(readRemains(components, sessionId, { signal }));
  const forget = (seen: typeof remains) =>
    world.settled(forgetSession(components, sessionId, { remains: seen, signal }));
  expect(await forget(remains)).toBe(false);
  session.end("the test ends it");
  await world.settled(session.closed);
  expect(await forget(before)).toBe(false);
  expect(await world.settled(readCheckpointPointer(components, sessionId, { signal }))).toBe("ckpt/x/1");
  expect(await forget(remains)).toBe(true);
  expect(await world.settled(readHead(components, sessionId, { signal }))).toBeUndefined();
  expect(await world.settled(readCheckpointPointer(components, sessionId, { signal }))).toBeUndefined();
});
