// A view that lags catches up before a topic is denied, and nobody makes the metadata store pay for it.
import { expect, it } from "vitest";
import { ImageCatchUp } from "../../src/cluster/image-catch-up.ts";
import { ImageFeed } from "../../src/cluster/image-feed.ts";
import { encodeTopic } from "../../src/cluster/keys.ts";
import { KvError, type KvRangeOptions } from "../../src/kv/key-value-store.ts";
import { LaggingStore, World } from "./world.ts";

/** A feed whose watch of topics lags by `lagMs`, and a count of the reads that ask for the newest change. */
async function laggingWorld(lagMs: number) {
  const world = new World();
  const reads = { count: 0, isFailing: false };
  class CountingStore extends LaggingStore {
    override async range(prefix: string, options: KvRangeOptions) {
      if (options.isNewestOnly) {
        reads.count++;
        if (reads.isFailing) throw new KvError("unavailable", "no leader");
      }
      return super.range(prefix, options);
    }
  }
  const components = { ...world.components, kv: new CountingStore(world, { prefix: world.keys.topics, lagMs }) };
  const feed = new ImageFeed(components, {
    clusterId: "c",
    onFailure: (error) => {
      throw error;
    },
  });
  await world.settled(feed.start(world));
  const catchUp = new ImageCatchUp(components, feed);
  const ask = (name: string) => catchUp.topics((image) => image.topic(name) !== undefined, world);
  return { world, feed, reads, ask };
}

async function create(world: World, name: string): Promise<void> {
  const topicId = Buffer.from(name.padEnd(16, "x")).toString("base64url");
  const value = encodeTopic({ topicId, partitionCount: 1, configs: new Map(), createdAtMs: 5 });
  await world.store.inner.txn({ compare: [], then: [{ type: "put", key: world.keys.topic(name), value }] }, world);
}

it("waits for a topic that was created before the question and that the watch has not brought yet", async () => {
  const { world, feed, ask } = await laggingWorld(400);
  await create(world, "orders");
  const startedMs = world.clock.monotonicMs();
  expect(feed.current.topic("orders")).toBeUndefined();
  await world.settled(ask("orders"));
  expect(feed.current.topic("orders")?.name).toBe("orders");
  expect(world.clock.monotonicMs() - startedMs).toBeLessThanOrEqual(401);
});

it("answers without any wait what is nowhere, and gives a watch up that lags by more than half a second", async () => {
  const { world, feed, ask } = await laggingWorld(3_000);
  const startedMs = world.clock.monotonicMs();
  await world.settled(ask("nowhere"));
  expect(world.clock.monotonicMs()).toBe(startedMs);
  await world.pass(200);
  await create(world, "orders");
  const askedMs = world.clock.monotonicMs();
  await world.settled(ask("orders"));
  expect([world.clock.monotonicMs() - askedMs, feed.current.topic("orders")]).toEqual([500, undefined]);
});

it("reads once for all who ask at the same time, and ten times a second for whoever asks without end", async () => {
  const { world, reads, ask } = await laggingWorld(0);
  await world.settled(Promise.all(Array.from({ length: 500 }, (_, index) => ask(`x${index}`))));
  expect(reads.count).toBe(1);
  const untilMs = world.clock.monotonicMs() + 2_000;
  const hostile = async (name: string) => {
    while (world.clock.monotonicMs() < untilMs) await ask(name);
  };
  await world.settled(Promise.all(Array.from({ length: 50 }, (_, index) => hostile(`y${index}`))));
  expect(reads.count).toBeGreaterThan(10);
  expect(reads.count).toBeLessThanOrEqual(22);
});

it("lets everybody go on with the view where the metadata store does not answer", async () => {
  const { world, reads, ask } = await laggingWorld(0);
  reads.isFailing = true;
  await world.settled(Promise.all([ask("a"), ask("b")]));
  reads.isFailing = false;
  await world.settled(ask("a"));
  expect(reads.count).toBe(2);
});
