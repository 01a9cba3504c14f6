// A change of topics is answered when every live broker shows it, and not before.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { ImageBarrier } from "../../src/cluster/image-barrier.ts";
import { ImageFeed } from "../../src/cluster/image-feed.ts";
import type { PeerLinks } from "../../src/cluster/peers.ts";
import { Topics } from "../../src/cluster/topics.ts";
import { longLivedController } from "../../src/host/abort.ts";
import { KvError, type KvRangeOptions } from "../../src/kv/key-value-store.ts";
import { type Neighbour, NeighbourWorld } from "./neighbours.ts";
import { LaggingStore } from "./world.ts";

/** The topics of `broker`, with a barrier over the others. */
function topicsOf(broker: Neighbour, peers: PeerLinks = broker.control): Topics {
  const { feed, process, components: cluster } = broker;
  return new Topics(cluster, feed, { barrier: new ImageBarrier({ cluster, feed, peers, process }) });
}

async function open(...brokerIds: readonly number[]) {
  const world = new NeighbourWorld();
  const [first, ...others] = await world.start(...brokerIds);
  const [second] = others;
  if (!first || !second) throw new Error("there are two brokers at least");
  const create = (name: string, signal = world.signal) =>
    topicsOf(first).create({ name, partitionCount: 1, configs: new Map() }, { signal });
  return { world, first, second, others, create };
}

/** What a promise came to so far. */
function watched<T>(work: Promise<T>): { outcome: unknown } {
  const seen: { outcome: unknown } = { outcome: "pending" };
  work.then(
    () => {
      seen.outcome = "done";
    },
    (error: unknown) => {
      seen.outcome = error;
    },
  );
  return seen;
}

describe("a change of topics", () => {
  it("is in every image when a creation and when a deletion is answered", async () => {
    const { world, first, others, create } = await open(1, 2, 3);
    const topic = await world.settled(create("orders"));
    expect(others.map(({ feed }) => feed.current.topic("orders"))).toEqual([topic, topic]);
    await world.settled(topicsOf(first).delete({ name: "orders" }, world));
    expect(others.map(({ feed }) => feed.current.topic("orders"))).toEqual([undefined, undefined]);
  });

  it("is waited for also when the answers of the store were lost", async () => {
    const { world, first, second, create } = await open(1, 2);
    world.store.faults.push("answer-lost");
    await world.settled(create("orders"));
    expect(second.feed.current.topic("orders")).toBeDefined();
    second.clock.pause();
    world.store.faults.push("answer-lost");
    const deletion = watched(topicsOf(first).delete({ name: "orders" }, world));
    await world.pass(5000);
    expect(deletion.outcome).toBe("pending");
    second.clock.resume();
    await world.pass(2000);
    expect(deletion.outcome).toBe("done");
  });

  it("is not answered before a broker that is slow shows it", async () => {
    const { world, second, create } = await open(1, 2);
    second.clock.pause();
    const creation = watched(create("orders"));
    await world.pass(30_000);
    expect(creation.outcome).toBe("pending");
    second.clock.resume();
    await world.pass(2000);
    expect([creation.outcome, second.feed.current.topic("orders")?.name]).toEqual(["done", "orders"]);
  });

  it("is not answered before a broker shows it that was registered while others were waited for", async () => {
    const { world, second, create } = await open(1, 2);
    second.clock.pause();
    const creation = watched(create("orders"));
    await world.pass(1000);
    const [third] = await world.start(3);
    if (!third) throw new Error("the third one started");
    third.clock.pause();
    second.clock.resume();
    await world.pass(3000);
    expect(creation.outcome).toBe("pending");
    third.clock.resume();
    await world.pass(2000);
    expect(creation.outcome).toBe("done");
  });

  it("is not answered before a broker shows it that the own watch of sessions has not brought yet", async () => {
    const world = new NeighbourWorld();
    const [first] = await world.start(1);
    if (!first) throw new Error("the first one started");
    const { process, control: peers } = first;
    let failureCount = 0;
    class Store extends LaggingStore {
      override range(prefix: string, options: KvRangeOptions) {
        if (!options.isNewestOnly || failureCount++ > 0) return super.range(prefix, options);
        return Promise.reject(new KvError("unavailable", "no leader"));
      }
    }
    const kv = new Store(world, { prefix: world.keys.sessions, lagMs: 5000 });
    const cluster = { ...first.components, kv };
    const onFailure = (error: unknown) => {
      throw error;
    };
    const feed = new ImageFeed(cluster, { clusterId: "c", onFailure });
    await world.settled(feed.start(world));
    const [second] = await world.start(2);
    if (!second) throw new Error("the second one started");
    expect(feed.current.brokers().map(({ brokerId }) => brokerId)).toEqual([1]);
    second.clock.pause();
    const topics = new Topics(cluster, feed, { barrier: new ImageBarrier({ cluster, feed, peers, process }) });
    const creation = watched(topics.create({ name: "orders", partitionCount: 1, configs: new Map() }, world));
    await world.pass(10_000);
    expect(creation.outcome).toBe("pending");
    second.clock.resume();
    await world.pass(2000);
    expect([creation.outcome, second.feed.current.topic("orders")?.name]).toEqual(["done", "orders"]);
  });

  it("no longer waits for a broker whose session has ended", async () => {
    const { world, second, create } = await open(1, 2);
    second.clock.pause();
    const creation = watched(create("orders"));
    await world.pass(3000);
    await world.remove(world.keys.session(second.session.sessionId));
    await world.pass(100);
    expect(creation.outcome).toBe("done");
  });

  it("answers REQUEST_TIMED_OUT when the time is up before a broker that lives could be asked", async () => {
    const { world, first, second, create } = await open(1, 2);
    world.network.cut("broker-1", "broker-2");
    const giveUp = new AbortController();
    const creation = watched(create("orders", giveUp.signal));
    await world.pass(20_000);
    expect(creation.outcome).toBe("pending");
    giveUp.abort(new Error("time is up"));
    await world.pass(100);
    expect(creation.outcome).toMatchObject({ code: ErrorCode.REQUEST_TIMED_OUT });
    expect([first, second].map(({ feed }) => feed.current.topic("orders")?.name)).toEqual(["orders", "orders"]);
    const before = world.clock.pendingCount;
    await world.pass(20_000);
    expect(world.clock.pendingCount).toBeLessThanOrEqual(before);
  });

  it("costs a few calls a broker, however many change at once and whoever gives up meanwhile", async () => {
    const { world, first, second } = await open(1, 2);
    let callCount = 0;
    const { control } = first;
    const waitForImage: PeerLinks["waitForImage"] = (...asked) => {
      callCount += 1;
      return control.waitForImage(...asked);
    };
    const peers = {
      probe: control.probe.bind(control),
      probeStore: control.probeStore.bind(control),
      onLost: control.onLost.bind(control),
      keepOnly: () => {},
      waitForImage,
    };
    const topics = topicsOf(first, peers);
    second.clock.pause();
    const impatient = longLivedController();
    const creations = Array.from({ length: 50 }, (_, index) => {
      const { signal } = index % 2 === 0 ? world : impatient;
      return watched(topics.create({ name: `t${index}`, partitionCount: 1, configs: new Map() }, { signal }));
    });
    await world.pass(1000);
    impatient.abort(new Error("time is up"));
    await world.pass(1000);
    const timedOut = { code: ErrorCode.REQUEST_TIMED_OUT };
    expect(creations.map(({ outcome }) => outcome)).toMatchObject(
      creations.map((_, index) => (index % 2 === 0 ? "pending" : timedOut)),
    );
    second.clock.resume();
    await world.pass(2000);
    expect(creations.filter(({ outcome }) => outcome === "done")).toHaveLength(25);
    expect(callCount).toBeLessThan(5);
    await world.settled(topics.create({ name: "later", partitionCount: 1, configs: new Map() }, world));
    expect(second.feed.current.topic("later")).toBeDefined();
  });

  it("asks nobody when there is no other broker", async () => {
    const world = new NeighbourWorld();
    const [alone] = await world.start(7);
    if (!alone) throw new Error("there is one");
    const refuse = () => Promise.reject(new Error("nobody is to be called"));
    const links = { onLost: () => () => {}, keepOnly: () => {} };
    const peers = { probe: refuse, probeStore: refuse, waitForImage: refuse, ...links };
    const creation = topicsOf(alone, peers).create({ name: "a", partitionCount: 1, configs: new Map() }, world);
    expect((await world.settled(creation)).name).toBe("a");
  });
});
