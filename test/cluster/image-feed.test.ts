// The image follows the store: what was listed, what a watch brings, and what a broken watch made it miss.
import { describe, expect, it } from "vitest";
import type { MetadataImage } from "../../src/cluster/image.ts";
import { endWhenFenced, ImageFeed, newestChange } from "../../src/cluster/image-feed.ts";
import { encodeTopic } from "../../src/cluster/keys.ts";
import { claimableShards, claimShards } from "../../src/cluster/shards.ts";
import { KvError } from "../../src/kv/key-value-store.ts";
import { World } from "./world.ts";

const failures: unknown[] = [];

async function feedOf(world: World): Promise<ImageFeed> {
  const feed = new ImageFeed(world.components, { clusterId: "c", onFailure: (error) => failures.push(error) });
  await world.settled(feed.start(world));
  return feed;
}

async function putTopic(world: World, name: string, partitionCount = 1): Promise<number> {
  const topicId = Buffer.from(name.padEnd(16, "x")).toString("base64url");
  const value = encodeTopic({ topicId, partitionCount, configs: new Map([["retention.ms", "1"]]), createdAtMs: 5 });
  const put = { type: "put" as const, key: world.keys.topic(name), value };
  return (await world.store.inner.txn({ compare: [], then: [put] }, world)).revision;
}

describe("the newest change of a collection", () => {
  it("is that of the newest of what is there, and not of what was deleted or of another collection", async () => {
    const world = new World();
    const newest = () => newestChange(world.components, "topics", world);
    expect(await newest()).toBe(0);
    const first = await putTopic(world, "b");
    const second = await putTopic(world, "a");
    await world.session(4);
    expect(await newest()).toBe(second);
    await world.remove(world.keys.topic("a"));
    expect(await newest()).toBe(first);
  });
});

describe("the image", () => {
  it("shows what was stored before the start, and what changes afterwards", async () => {
    const world = new World();
    await putTopic(world, "b", 3);
    const session = await world.session(4);
    const feed = await feedOf(world);
    expect(feed.current.topic("b")).toMatchObject({ partitionCount: 3, isInternal: false });
    expect(feed.current.brokers()).toMatchObject([{ brokerId: 4, host: "broker-4", port: 9092 }]);
    const revision = await putTopic(world, "a");
    const image = await world.settled(feed.waitFor("topics", revision, world));
    expect(image.topics().map(({ name }) => name)).toEqual(["a", "b"]);
    expect(image.topicById(image.topic("a")?.topicId ?? "")?.name).toBe("a");
    expect(image.partitionCount).toBe(4);
    expect(image.ownerOf(7)).toBeUndefined();
    await claimShards(session, {
      shards: [7],
      claims: new Map(),
      loadCheckpoint: () => Promise.reject(new Error("none")),
      signal: world.signal,
    });
    await world.turn();
    expect(feed.current.ownerOf(7)).toEqual({ sessionId: session.sessionId, epoch: 1, brokerId: 4 });
    expect(image.ownerOf(7), "an image never changes").toBeUndefined();
  });

  it("says which shards a broker may claim: placed on it, and owned by nobody alive", async () => {
    const world = new World();
    const session = await world.session(1);
    const feed = await feedOf(world);
    expect(claimableShards(feed.current, 1)).toHaveLength(1024);
    expect(claimableShards(feed.current, 2)).toEqual([]);
    await claimShards(session, {
      shards: [0, 1],
      claims: new Map(),
      loadCheckpoint: () => Promise.reject(new Error("none")),
      signal: world.signal,
    });
    await world.turn();
    expect(claimableShards(feed.current, 1)).toHaveLength(1022);
    await world.remove(world.keys.session(session.sessionId));
    await world.session(1);
    await world.turn();
    expect(claimableShards(feed.current, 1)).toHaveLength(1024);
  });

  it("forgets what was deleted and tells its listeners each step once, in order", async () => {
    const world = new World();
    const feed = await feedOf(world);
    const steps: [boolean, boolean][] = [];
    const has = (image: MetadataImage) => image.topic("a") !== undefined;
    const end = feed.subscribe((image, previous) => steps.push([has(previous), has(image)]));
    await putTopic(world, "a");
    await world.turn();
    await world.remove(world.keys.topic("a"));
    await world.turn();
    end();
    await putTopic(world, "a");
    await world.turn();
    expect(steps).toEqual([
      [false, true],
      [true, false],
    ]);
  });

  it.each(["compacted", "unknown"] as const)("lists again after a watch failed with %s", async (kind) => {
    const world = new World();
    const watch = world.store.watch.bind(world.store);
    let failuresLeft = 3;
    world.store.watch = (prefix, options) => {
      if (failuresLeft > 0) {
        failuresLeft -= 1;
        throw new KvError(kind, "broken by the test");
      }
      return watch(prefix, options);
    };
    const feed = await feedOf(world);
    await putTopic(world, "a");
    await world.settled(feed.waitUntil((image) => image.topic("a") !== undefined, world));
    const revision = await putTopic(world, "b");
    await world.settled(feed.waitFor("topics", revision, world));
    expect(feed.current.topics()).toHaveLength(2);
    expect(failuresLeft).toBe(0);
  });

  it("ends with an error when a stored value cannot be read", async () => {
    const world = new World();
    await feedOf(world);
    failures.length = 0;
    const put = { type: "put" as const, key: world.keys.topic("bad"), value: new Uint8Array([255]) };
    await world.store.inner.txn({ compare: [], then: [put] }, world);
    await world.turn();
    expect(failures.map(String)).toEqual([expect.stringContaining("/kafscale/test/topics/bad")]);
  });

  it("stops a wait when the waiter gives up", async () => {
    const world = new World();
    const feed = await feedOf(world);
    const giveUp = new AbortController();
    const wait = feed.waitUntil(() => false, { signal: giveUp.signal });
    giveUp.abort(new Error("gave up"));
    await expect(wait).rejects.toThrow("gave up");
    await feed.stop();
  });
});

describe("a session whose key was deleted", () => {
  it("ends although it does nothing", async () => {
    const world = new World();
    const session = await world.session();
    const feed = await feedOf(world);
    endWhenFenced(session, feed);
    expect(session.signal.aborted).toBe(false);
    await world.remove(world.keys.session(session.sessionId));
    await world.turn();
    expect(session.signal.aborted).toBe(true);
    expect((await world.settled(session.closed)).reason.message).toMatch(/fenced/);
  });
});
