// A topic that another broker has just created, asked of a broker whose watch lags: it is waited for, never denied.
import { expect, it } from "vitest";
import { createFetchPartition, createFetchRequest, createFetchTopic } from "../../generated/testing/fetch-request.ts";
import {
  createListOffsetsPartition,
  createListOffsetsRequest,
  createListOffsetsTopic,
} from "../../generated/testing/list-offsets-request.ts";
import { createMetadataRequest, createMetadataRequestTopic } from "../../generated/testing/metadata-request.ts";
import { embeddedBrokerSettings } from "../../src/broker/broker-settings.ts";
import { ClusterKeys, encodeTopic } from "../../src/cluster/keys.ts";
import { sleep } from "../../src/host/clock.ts";
import type { KeyValueStore, WatchBatch } from "../../src/kv/key-value-store.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import type { SimClock } from "../sim/sim-clock.ts";
import { apis, BrokerWorld, batchOf, produceOf, valuesOf } from "./broker-world.ts";

const LAG_MS = 300;
const signal = new AbortController().signal;
const keys = new ClusterKeys(embeddedBrokerSettings.clusterName);
const topicId = Buffer.from("orders-orders-oo").toString("base64url");
const knownId = Buffer.from("known-known-know").toString("base64url");

/** A broker that sees changes of topics late, with one that it knows and one that was just created behind its back. */
async function lagging() {
  let memory: MemoryKeyValueStore | undefined;
  const kv = (clock: SimClock): KeyValueStore => {
    const inner = new MemoryKeyValueStore({ clock });
    memory = inner;
    async function* late(batches: AsyncIterableIterator<WatchBatch>): AsyncIterableIterator<WatchBatch> {
      for await (const batch of batches) {
        await sleep(clock, LAG_MS, signal);
        yield batch;
      }
    }
    return {
      get: (key, options) => inner.get(key, options),
      range: (prefix, options) => inner.range(prefix, options),
      txn: (txn, options) => inner.txn(txn, options),
      watch: (prefix, options) =>
        prefix === keys.topics ? late(inner.watch(prefix, options)) : inner.watch(prefix, options),
      grantLease: (ttlMs, options) => inner.grantLease(ttlMs, options),
      keepAlive: (lease, options) => inner.keepAlive(lease, options),
      revokeLease: (lease, options) => inner.revokeLease(lease, options),
    };
  };
  const world = await BrokerWorld.start({ isAutoCreateEnabled: false }, { kv });
  const client = await world.connect();
  const create = async (name: string, id: string) => {
    const value = encodeTopic({ topicId: id, partitionCount: 1, configs: new Map(), createdAtMs: 5 });
    await memory?.txn({ compare: [], then: [{ type: "put", key: keys.topic(name), value }] }, { signal });
  };
  await create("known", knownId);
  await world.clock.advance(2 * LAG_MS);
  await create("orders", topicId);
  return { world, client };
}

it.each([9, 13])("takes a batch, and those behind it in their order, version %i of Produce", async (version) => {
  const { world, client } = await lagging();
  const send = (value: string, baseSequence: number) => {
    const batch = batchOf([value], { producerId: 7, producerEpoch: 0, baseSequence });
    return client.send(apis.produce, version, produceOf([{ topic: "orders", topicId, batch }], version));
  };
  const answers = [send("a", 0)];
  // Some before the watch has brought the topic, some about then, some afterwards.
  for (let n = 1; n <= 30; n++) {
    await world.clock.advance(LAG_MS / 20);
    answers.push(send(`v${n}`, n));
  }
  const rows = (await world.clock.complete(Promise.all(answers))).map(
    ({ responses }) => responses[0]?.partitionResponses[0],
  );
  expect(rows.map((row) => [row?.errorCode, row?.baseOffset])).toEqual(rows.map((_, n) => [0, n]));
  await world.stop();
});

it.each([9, 13])("lets no batch overtake one that waits for another topic, version %i of Produce", async (version) => {
  const { world, client } = await lagging();
  const batch = (value: string, baseSequence: number) =>
    batchOf([value], { producerId: 7, producerEpoch: 0, baseSequence });
  const known = (value: string, sequence: number) => ({
    topic: "known",
    topicId: knownId,
    batch: batch(value, sequence),
  });
  const both = produceOf([known("a", 0), { topic: "orders", topicId, batch: batch("x", 0) }], version);
  const answers = [client.send(apis.produce, version, both)];
  for (let n = 1; n <= 3; n++)
    answers.push(client.send(apis.produce, version, produceOf([known(`v${n}`, n)], version)));
  const rows = (await world.clock.complete(Promise.all(answers))).map(
    ({ responses }) => responses[0]?.partitionResponses[0],
  );
  expect(rows.map((row) => [row?.errorCode, row?.baseOffset])).toEqual(rows.map((_, n) => [0, n]));
  await world.stop();
});

it("shows the topic by name and by id, and reads it", async () => {
  for (const named of [{ name: "orders" }, { name: null, topicId }]) {
    const { world, client } = await lagging();
    const { topics } = await client.call(
      apis.metadata,
      12,
      createMetadataRequest({ topics: [createMetadataRequestTopic(named)] }),
    );
    expect(topics).toMatchObject([{ errorCode: 0, name: "orders", topicId, partitions: [{ leaderId: 0 }] }]);
    await world.stop();
  }
  const { world, client } = await lagging();
  const offsets = client.send(
    apis.listOffsets,
    5,
    createListOffsetsRequest({
      topics: [
        createListOffsetsTopic({
          name: "orders",
          partitions: [createListOffsetsPartition({ partitionIndex: 0, timestamp: -1n })],
        }),
      ],
    }),
  );
  const fetched = client.send(
    apis.fetch,
    13,
    createFetchRequest({
      maxWaitMs: 0,
      maxBytes: 1_000,
      topics: [
        createFetchTopic({ topicId, partitions: [createFetchPartition({ partition: 0, partitionMaxBytes: 1_000 })] }),
      ],
    }),
  );
  const [listed, read] = await world.clock.complete(Promise.all([offsets, fetched]));
  expect(listed.topics[0]?.partitions).toMatchObject([{ errorCode: 0, offset: 0 }]);
  expect(read.responses[0]?.partitions).toMatchObject([{ errorCode: 0, highWatermark: 0 }]);
  expect(valuesOf(read.responses[0]?.partitions[0]?.records ?? null)).toEqual([]);
  await world.stop();
});

it("denies at once what is nowhere", async () => {
  const { world, client } = await lagging();
  await world.clock.advance(2 * LAG_MS);
  const askedMs = world.clock.monotonicMs();
  const answer = await client.call(
    apis.metadata,
    12,
    createMetadataRequest({ topics: [createMetadataRequestTopic({ name: "nowhere" })] }),
  );
  expect(answer.topics).toMatchObject([{ errorCode: 3, name: "nowhere" }]);
  expect(world.clock.monotonicMs() - askedMs).toBeLessThan(60);
  await world.stop();
});
