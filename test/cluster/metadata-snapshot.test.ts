// A snapshot holds what one revision holds, and refuses what it cannot read.
import { expect, it } from "vitest";
import { moveCheckpointPointer } from "../../src/cluster/head.ts";
import { encodeTopic, MetadataFormatError } from "../../src/cluster/keys.ts";
import { readSnapshot } from "../../src/cluster/metadata-snapshot.ts";
import { claimShards } from "../../src/cluster/shards.ts";
import { World } from "./world.ts";

const loadCheckpoint = () => Promise.reject(new Error("no checkpoint was expected"));
const topicId = "AAECAwQFBgcICQoLDA0ODw";

it("shows sessions, heads, pointers, claims and topics of one moment", async () => {
  const world = new World();
  const { components, signal } = world;
  const [alive, dead] = [await world.session(1), await world.session(2)];
  await world.settled(claimShards(alive, { shards: [7], claims: new Map(), loadCheckpoint, signal }));
  await world.settled(moveCheckpointPointer(alive, { objectKey: "ckpt/x/1", signal }));
  const topic = encodeTopic({ topicId, partitionCount: 3, configs: new Map(), createdAtMs: 0 });
  const write = (key: string, value: Uint8Array) =>
    components.kv.txn({ compare: [], then: [{ type: "put", key, value }] }, { signal });
  const { revision } = await write(components.keys.topic("orders"), topic);
  dead.end("the test ends it");
  await world.settled(dead.closed);
  const snapshot = await world.settled(readSnapshot(components, { signal }));
  expect([...snapshot.sessions]).toEqual([alive.sessionId]);
  expect([...snapshot.heads.keys()].sort()).toEqual([alive.sessionId, dead.sessionId].sort());
  expect([...snapshot.heads.values()]).toEqual([0, 0]);
  expect([...snapshot.pointers]).toEqual([[alive.sessionId, "ckpt/x/1"]]);
  expect(snapshot.claims.get(7)?.claim).toMatchObject({ sessionId: alive.sessionId, epoch: 1 });
  expect(snapshot.topics).toMatchObject([{ name: "orders", topicId, partitionCount: 3, isInternal: false }]);
  expect(snapshot.revision).toBeGreaterThan(revision);
  await write(components.keys.claim(8), new Uint8Array([1, 2, 3]));
  await expect(world.settled(readSnapshot(components, { signal }))).rejects.toThrow(MetadataFormatError);
});
