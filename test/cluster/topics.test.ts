// Topics: what may be created, and what a lost answer or a race leaves behind.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { ImageFeed } from "../../src/cluster/image-feed.ts";
import { encodeTopic } from "../../src/cluster/keys.ts";
import { newUuid } from "../../src/cluster/new-uuid.ts";
import { OFFSETS_TOPIC, TRANSACTIONS_TOPIC } from "../../src/cluster/topic.ts";
import { Topics } from "../../src/cluster/topics.ts";
import { World } from "./world.ts";

const limits = { partitionsPerTopicMax: 1000, partitionsPerClusterMax: 20_000 };

class TopicWorld extends World {
  readonly feed = new ImageFeed(this.components, {
    clusterId: "c",
    onFailure: (error) => {
      throw error;
    },
  });
  readonly topics = new Topics(this.components, this.feed, { limits });

  static async open(): Promise<TopicWorld> {
    const world = new TopicWorld();
    await world.settled(world.feed.start(world));
    return world;
  }

  create(name: string, partitionCount = 1, configs: Record<string, string> = {}) {
    const topic = { name, partitionCount, configs: new Map(Object.entries(configs)) };
    return this.settled(this.topics.create(topic, { signal: this.signal }));
  }
}

function code(errorCode: ErrorCode) {
  return expect.objectContaining({ code: errorCode });
}

describe("creating a topic", () => {
  it("answers when the own image shows it, with a new id each time", async () => {
    const world = await TopicWorld.open();
    const topic = await world.create("a", 3, { "retention.ms": "1000" });
    expect(world.feed.current.topic("a")).toEqual(topic);
    await world.settled(world.topics.delete({ name: "a" }, world));
    expect(world.feed.current.topic("a")).toBeUndefined();
    const again = await world.create("a", 3);
    expect(again.topicId).not.toBe(topic.topicId);
  });

  it.each(["", ".", "..", "a/b", "a b", "ä", "x".repeat(250)])("refuses the name %j", async (name) => {
    const world = await TopicWorld.open();
    await expect(world.create(name)).rejects.toEqual(code(ErrorCode.INVALID_TOPIC_EXCEPTION));
  });

  it("takes a name of 249 characters", async () => {
    const world = await TopicWorld.open();
    expect((await world.create("x".repeat(249))).name).toHaveLength(249);
  });

  it("refuses a name that differs from another only in dots and underscores", async () => {
    const world = await TopicWorld.open();
    await world.create("a.b");
    await expect(world.create("a_b")).rejects.toEqual(code(ErrorCode.INVALID_TOPIC_EXCEPTION));
    await expect(world.create("a.b")).rejects.toEqual(code(ErrorCode.TOPIC_ALREADY_EXISTS));
  });

  it.each([0, -1, 1001, 1.5])("refuses %d partitions", async (partitionCount) => {
    const world = await TopicWorld.open();
    await expect(world.create("a", partitionCount)).rejects.toEqual(code(ErrorCode.INVALID_PARTITIONS));
  });

  it("stops at 1,000 partitions a topic and 20,000 a cluster", async () => {
    const world = await TopicWorld.open();
    for (let index = 0; index < 19; index += 1) await world.create(`t${index}`, 1000);
    await world.create("t19", 999);
    await expect(world.create("t20", 2)).rejects.toEqual(code(ErrorCode.POLICY_VIOLATION));
    expect((await world.create("t20", 1)).partitionCount).toBe(1);
  });

  it("counts what is being created at the same time", async () => {
    const world = await TopicWorld.open();
    const attempts = Array.from({ length: 21 }, (_, index) =>
      world.topics.create({ name: `t${index}`, partitionCount: 1000, configs: new Map() }, world),
    );
    const twice = world.topics.create({ name: "t0", partitionCount: 1, configs: new Map() }, world);
    const outcomes = await world.settled(Promise.allSettled([...attempts, twice]));
    const failed = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason.code] : []));
    expect(failed).toEqual([ErrorCode.POLICY_VIOLATION, ErrorCode.TOPIC_ALREADY_EXISTS]);
  });

  it("refuses an unknown configuration and a value out of bounds", async () => {
    const world = await TopicWorld.open();
    await expect(world.create("a", 1, { "retention.mss": "1" })).rejects.toEqual(code(ErrorCode.INVALID_CONFIG));
    await expect(world.create("a", 1, { "retention.ms": "-2" })).rejects.toEqual(code(ErrorCode.INVALID_CONFIG));
  });

  it("changes nothing when it is only to be validated", async () => {
    const world = await TopicWorld.open();
    const topic = { name: "a", partitionCount: 2, configs: new Map<string, string>() };
    const sentBefore = world.store.sent.length;
    const validated = await world.topics.create(topic, { signal: world.signal, validateOnly: true });
    expect(validated).toMatchObject({ name: "a", partitionCount: 2 });
    expect(world.store.sent.length).toBe(sentBefore);
    const bad = world.topics.create({ ...topic, name: ".." }, { signal: world.signal, validateOnly: true });
    await expect(bad).rejects.toEqual(code(ErrorCode.INVALID_TOPIC_EXCEPTION));
  });

  it("is done once although its answer was lost", async () => {
    const world = await TopicWorld.open();
    world.store.faults.push("answer-lost", "lost");
    const topic = await world.create("a");
    expect(world.feed.current.topic("a")?.topicId).toBe(topic.topicId);
  });

  it("loses against another broker that the image does not show yet", async () => {
    const world = await TopicWorld.open();
    const other = new Topics(world.components, world.feed, { limits });
    world.store.before = async () => {
      await other.create({ name: "a", partitionCount: 7, configs: new Map() }, world);
    };
    await expect(world.create("a")).rejects.toEqual(code(ErrorCode.TOPIC_ALREADY_EXISTS));
    expect(world.feed.current.topic("a")?.partitionCount).toBe(7);
  });

  it("answers that it timed out while the store is silent", async () => {
    const world = await TopicWorld.open();
    world.store.faults.push(...Array.from({ length: 50 }, () => "lost" as const));
    const giveUp = new AbortController();
    const creation = world.topics.create(
      { name: "a", partitionCount: 1, configs: new Map() },
      { signal: giveUp.signal },
    );
    await world.pass(100);
    giveUp.abort(new Error("time is up"));
    await expect(world.settled(creation)).rejects.toEqual(code(ErrorCode.REQUEST_TIMED_OUT));
  });
});

describe("deleting a topic", () => {
  it("names it by name or id, and refuses what does not exist", async () => {
    const world = await TopicWorld.open();
    const { topicId } = await world.create("a");
    await world.settled(world.topics.delete({ topicId }, world));
    await expect(world.topics.delete({ topicId }, world)).rejects.toEqual(code(ErrorCode.UNKNOWN_TOPIC_ID));
    for (const name of ["a", "", "x".repeat(5000)]) {
      await expect(world.topics.delete({ name }, world)).rejects.toEqual(code(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION));
    }
  });

  it("is done although its answer was lost", async () => {
    const world = await TopicWorld.open();
    await world.create("a");
    world.store.faults.push("answer-lost");
    await world.settled(world.topics.delete({ name: "a" }, world));
    expect(world.feed.current.topic("a")).toBeUndefined();
  });

  it("is final: no late copy of the creation brings the id back", async () => {
    const world = await TopicWorld.open();
    const { topicId } = await world.create("a");
    const creation = world.store.sent.at(-1);
    if (!creation) throw new Error("a creation was sent");
    await world.settled(world.topics.delete({ name: "a" }, world));
    await world.settled(world.store.inner.txn(creation, world));
    const successor = await world.create("a");
    expect(successor.topicId).not.toBe(topicId);
    expect(world.feed.current.topicById(topicId)).toBeUndefined();
  });

  it("between two copies of a creation makes the second one create under another id", async () => {
    const world = await TopicWorld.open();
    const other = new Topics(world.components, world.feed, { limits });
    world.store.faults.push("answer-lost");
    world.store.before = async () => {
      // Runs before the first copy; the deletion follows it, before the second.
      world.store.before = () => other.delete({ name: "a" }, world);
    };
    const created = await world.create("a");
    const revived = world.store.sent.filter(({ then }) => then.some(({ type }) => type === "put")).length;
    expect(revived).toBeGreaterThan(1);
    expect(world.feed.current.topic("a")).toEqual(created);
  });

  it("leaves a successor of the same name alone", async () => {
    const world = await TopicWorld.open();
    const { topicId } = await world.create("a");
    const key = world.keys.topic("a");
    const successor = { topicId: newUuid(world.random), partitionCount: 5, configs: new Map(), createdAtMs: 1 };
    world.store.before = async () => {
      await world.remove(key);
      const put = { type: "put" as const, key, value: encodeTopic(successor) };
      await world.store.inner.txn({ compare: [], then: [put] }, world);
    };
    await world.settled(world.topics.delete({ topicId }, world));
    expect(world.feed.current.topic("a")?.topicId).toBe(successor.topicId);
  });

  it("refuses internal topics", async () => {
    const world = await TopicWorld.open();
    await world.settled(world.topics.ensureInternal(OFFSETS_TOPIC, world));
    const deletion = world.topics.delete({ name: OFFSETS_TOPIC }, world);
    await expect(deletion).rejects.toEqual(code(ErrorCode.INVALID_TOPIC_EXCEPTION));
  });
});

describe("an internal topic", () => {
  it("is created once, whoever asks, and keeps the partition count it was created with", async () => {
    const world = await TopicWorld.open();
    const asked = Array.from({ length: 5 }, () => world.topics.ensureInternal(OFFSETS_TOPIC, { signal: world.signal }));
    const found = await world.settled(Promise.all(asked));
    expect(new Set(found.map(({ topicId }) => topicId)).size).toBe(1);
    expect(found[0]).toMatchObject({ partitionCount: 50, isInternal: true });
    const again = await world.topics.ensureInternal(OFFSETS_TOPIC, { signal: world.signal, partitionCount: 3 });
    expect(again.partitionCount).toBe(50);
  });

  it("cannot be created by a client", async () => {
    const world = await TopicWorld.open();
    await expect(world.create(TRANSACTIONS_TOPIC)).rejects.toEqual(code(ErrorCode.INVALID_TOPIC_EXCEPTION));
  });
});
