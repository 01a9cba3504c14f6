// A broker as a whole: what a stop keeps, leaves behind and answers, and what ends it.
import { expect, it } from "vitest";
import { createDescribeClusterRequest } from "../../generated/testing/describe-cluster-request.ts";
import { Broker } from "../../src/broker/broker.ts";
import { embeddedBrokerSettings } from "../../src/broker/broker-settings.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { RecordBatchView } from "../../src/records/record-batch.ts";
import { apis, BrokerWorld } from "../kafka/broker-world.ts";
import { MemoryTransport } from "../kafka/memory-transport.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";

const { signal } = new AbortController();

function batchOf(value: string): Uint8Array {
  return encodeBatch([{ timestampMs: 1, key: null, value: new TextEncoder().encode(value) }]);
}

it("leaves no timer behind when it stops, whoever still waits for an answer", async () => {
  const world = await BrokerWorld.start();
  const client = await world.connect();
  await client.createTopic("orders");
  expect((await client.produce({ topic: "orders" }, batchOf("last"))).errorCode).toBe(0);
  const parked = client.send(apis.describeCluster, 0, createDescribeClusterRequest({}));
  const outcome = parked.then(
    () => "answered",
    () => "closed",
  );
  await world.stop();
  expect(["answered", "closed"]).toContain(await outcome);
  expect(world.broker.isReady).toBe(false);
  // The lease of the last session is the store's: it runs out by itself.
  await world.clock.advance(10_000);
  expect(world.clock.pendingCount).toBe(0);
});

it("can be stopped twice, and both calls wait for the one stop", async () => {
  const world = await BrokerWorld.start();
  const stops = [world.broker.stop(), world.broker.stop()];
  await world.clock.complete(Promise.all(stops));
  expect(world.broker.isReady).toBe(false);
});

it("leaves nothing behind when its start is refused", async () => {
  const clock = new SimClock();
  const transport = new MemoryTransport();
  const settings = {
    ...embeddedBrokerSettings,
    listener: { host: "127.0.0.1", port: 9092 },
    advertised: { host: "127.0.0.1", port: 0 },
  };
  const shared = { clock, random: new SimRandom("b"), log: silentLog, transport, metrics: new UnexportedMetrics() };
  const store = new MemoryObjectStore();
  const start = () =>
    Broker.start(
      settings,
      { ...shared, store, kv: new MemoryKeyValueStore({ clock }) },
      { signal: new AbortController().signal },
    );
  const first = await clock.complete(start());
  await clock.complete(first.stop());
  const idle = clock.pendingCount;
  await expect(clock.complete(start())).rejects.toThrow("names cluster");
  expect(clock.pendingCount).toBe(idle);
});

it("ends its stop within its time when the metadata store answers no more", async () => {
  const clock = new SimClock();
  const address = { host: "127.0.0.1", port: 9092 };
  const settings = { ...embeddedBrokerSettings, listener: address, advertised: address };
  const kv = new MemoryKeyValueStore({ clock });
  const shared = { clock, random: new SimRandom("b"), log: silentLog, metrics: new UnexportedMetrics() };
  const components = { ...shared, transport: new MemoryTransport(), store: new MemoryObjectStore(), kv };
  const broker = await clock.complete(Broker.start(settings, components, { signal: new AbortController().signal }));
  kv.close();
  const startedMs = clock.monotonicMs();
  await clock.complete(broker.stop());
  expect(clock.monotonicMs() - startedMs).toBeLessThan(settings.stopGraceMs + settings.stopTimeoutMs + 5_000);
});

it("lets no broken invariant pass that shows while it stops", async () => {
  const store = new MemoryObjectStore();
  const world = await BrokerWorld.start({}, { store });
  const client = await world.connect();
  const topicId = await client.createTopic("orders");
  const { brokerLog } = world.broker;
  await world.clock.complete(brokerLog.partition(topicId, 0).append(new RecordBatchView(batchOf("first"))));
  const { objects } = await store.list("kafscale/wal/", { limit: 1, signal });
  const next = (objects[0]?.key ?? "").replace(/1$/, "2");
  await store.put(next, [new Uint8Array([1])], { ifAbsent: true, signal });
  const append = brokerLog.partition(topicId, 0).append(new RecordBatchView(batchOf("second")));
  const refused = append.catch(() => "refused");
  await expect(world.stop()).rejects.toThrow("holds other bytes");
  expect(await refused).toBe("refused");
});
