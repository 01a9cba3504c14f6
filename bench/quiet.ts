// A quiet cluster: how much later than the acknowledgement a waiting consumer has a record, and what three brokers with a
// connected group cost while nobody writes.
import { setTimeout as sleep } from "node:timers/promises";
import { Kafka, logLevel } from "kafkajs";
import { createFetchPartition, createFetchRequest, createFetchTopic } from "../generated/testing/fetch-request.ts";
import { iterateBatches } from "../src/records/record-batch.ts";
import { iterateRecords } from "../src/records/record-iterator.ts";
import type { BrokerProcess } from "../test/e2e/broker-process.ts";
import { apis } from "../test/kafka/broker-world.ts";
import { dial, produceOne } from "./open-load.ts";
import { aimed, cpuSeconds, print, quantile, type RealStores, spreadOf, withStores } from "./real-stores.ts";

const PUTS_PER_SECOND = 4;
const trickle = {
  topic: "trickle",
  partitionCount: 4,
  everyMs: 20,
  warmUpCount: 250,
  count: 1_500,
  laterMsAim: 5,
} as const;
const idle = {
  brokerCount: 3,
  topic: "idle",
  partitionCount: 12,
  memberCount: 3,
  settleMs: 60_000,
  seconds: 60,
  cpuAim: 0.5,
  etcdCallsAim: 20,
} as const;
const FETCH_VERSION = 11;
const FETCH_WAIT_MS = 500;

/** Fetches of one connection that wait for records of every partition, one after the other. */
class WaitingConsumer {
  /** Milliseconds of arrival, by the number that each record carries. */
  readonly arrivedMs: number[] = [];
  readonly #offsets: number[] = Array.from({ length: trickle.partitionCount }, () => 0);

  async run(port: number): Promise<void> {
    const client = await dial(port);
    while (this.arrivedMs.filter((ms) => ms > 0).length < trickle.count) {
      const answer = await client.call(apis.fetch, FETCH_VERSION, this.#request());
      const nowMs = performance.now();
      for (const { partitionIndex, records } of answer.responses.flatMap(({ partitions }) => partitions)) {
        for (const part of records ?? []) this.#note(partitionIndex, part, nowMs);
      }
    }
    client.socket.destroy();
  }

  #note(partition: number, bytes: Uint8Array, nowMs: number): void {
    for (const batch of iterateBatches(bytes)) {
      this.#offsets[partition] = batch.baseOffset + batch.lastOffsetDelta + 1;
      for (const { value } of iterateRecords(batch)) {
        if (value) this.arrivedMs[new DataView(value.buffer, value.byteOffset).getUint32(0)] = nowMs;
      }
    }
  }

  #request() {
    const partitions = this.#offsets.map((fetchOffset, partition) =>
      createFetchPartition({ partition, fetchOffset, partitionMaxBytes: 1 << 20 }),
    );
    const topics = [createFetchTopic({ topic: trickle.topic, partitions })];
    return createFetchRequest({ maxWaitMs: FETCH_WAIT_MS, minBytes: 1, maxBytes: 10 << 20, sessionEpoch: -1, topics });
  }
}

/** A record with its number in front. */
function numbered(number: number): Uint8Array {
  const value = new Uint8Array(256);
  new DataView(value.buffer).setUint32(0, number);
  return value;
}

async function endToEnd(stores: RealStores): Promise<void> {
  const broker = await stores.startBroker({ ...stores.brokerEnv(PUTS_PER_SECOND), KAFSCALE_CLUSTER_NAME: "trickle" });
  const producer = await dial(broker.kafkaPort);
  if ((await producer.createTopic(trickle.topic, trickle.partitionCount)) !== 0)
    throw new Error("no topic was created");
  const consumer = new WaitingConsumer();
  const consuming = consumer.run(broker.kafkaPort);
  const sentMs: number[] = [];
  const startedMs = performance.now();
  const answers: Promise<{ readonly errorCode: number; readonly ms: number }>[] = [];
  for (let number = 0; number < trickle.count; number++) {
    await sleep(Math.max(0, startedMs + number * trickle.everyMs - performance.now()));
    sentMs[number] = performance.now();
    const place = { topic: trickle.topic, partition: number % trickle.partitionCount };
    answers.push(produceOne(producer, place, numbered(number)));
  }
  const acknowledged = (await Promise.all(answers)).map(({ errorCode, ms }) => {
    if (errorCode !== 0) throw new Error(`the broker answered error ${errorCode}`);
    return ms;
  });
  await consuming;
  producer.socket.destroy();
  // The brokers of the next figure are alone with their stores.
  await broker.stop();
  const arrived = consumer.arrivedMs.map((ms, number) => ms - (sentMs[number] ?? 0));
  const [acks, ends] = [acknowledged.slice(trickle.warmUpCount), arrived.slice(trickle.warmUpCount)];
  const laterMs = quantile(ends, 0.5) - quantile(acks, 0.5);
  print(
    `${1_000 / trickle.everyMs} records/s over ${trickle.partitionCount} partitions, PUT budget: ${PUTS_PER_SECOND}/s`,
  );
  print(`  acknowledged:       ${spreadOf(acks)}`);
  print(`  with the consumer:  ${spreadOf(ends)}`);
  print(`  later, p50: ${laterMs.toFixed(1)} ms (aim ${trickle.laterMsAim}, ${aimed(laterMs, trickle.laterMsAim)})`);
}

/** Members of one group that commit by themselves, over all partitions of the topic. */
async function connectGroup(bootstraps: readonly string[]): Promise<() => Promise<void>> {
  const kafka = new Kafka({ brokers: [...bootstraps], logLevel: logLevel.NOTHING });
  const consumers = Array.from({ length: idle.memberCount }, () => kafka.consumer({ groupId: "idle" }));
  await Promise.all(
    consumers.map(async (consumer) => {
      await consumer.connect();
      await consumer.subscribe({ topic: idle.topic, fromBeginning: true });
      await consumer.run({ autoCommitInterval: 5_000, eachMessage: async () => {} });
    }),
  );
  return async () => {
    await Promise.all(consumers.map((consumer) => consumer.disconnect()));
  };
}

/** Calls that etcd has taken so far, by the method of its API. A keep-alive is a call of its own; a watch is one for ever. */
async function etcdCalls({ etcd }: RealStores): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${etcd.endpoint}/metrics`)).text();
  const lines = text.matchAll(/^grpc_server_started_total\{.*grpc_method="(\w+)".*\} (\d+)$/gm);
  return new Map([...lines].map(([, method = "", count]) => [method, Number(count)]));
}

async function idleCluster(stores: RealStores): Promise<void> {
  const brokers: BrokerProcess[] = [];
  for (let id = 0; id < idle.brokerCount; id++) {
    const env = { ...stores.brokerEnv(PUTS_PER_SECOND), KAFSCALE_CLUSTER_NAME: "idle", KAFSCALE_BROKER_ID: String(id) };
    brokers.push(await stores.startBroker(env));
  }
  const [first] = brokers;
  const client = await dial(first?.kafkaPort ?? 0);
  if ((await client.createTopic(idle.topic, idle.partitionCount)) !== 0) throw new Error("no topic was created");
  for (let partition = 0; partition < idle.partitionCount; partition++) {
    await produceOne(client, { topic: idle.topic, partition }, numbered(partition)).catch(() => {});
  }
  client.socket.destroy();
  const disconnect = await connectGroup(brokers.map(({ kafkaPort }) => `127.0.0.1:${kafkaPort}`));
  await sleep(idle.settleMs);
  const fromMs = performance.now();
  const cpuBefore = brokers.map(({ program }) => cpuSeconds(program.pid));
  const callsBefore = await etcdCalls(stores);
  await sleep(idle.seconds * 1_000);
  const callsAfter = await etcdCalls(stores);
  const shares = brokers.map(
    ({ program }, index) => ((cpuSeconds(program.pid) - (cpuBefore[index] ?? 0)) / idle.seconds) * 100,
  );
  const counts = [...stores.front.count({ fromMs, toMs: performance.now() })];
  await disconnect();
  const cpu = Math.max(...shares);
  const perMinute = 60 / idle.seconds / idle.brokerCount;
  const byMethod = [...callsAfter].map(
    ([method, count]) => [method, (count - (callsBefore.get(method) ?? 0)) * perMinute] as const,
  );
  const calls = byMethod.reduce((sum, [, count]) => sum + count, 0);
  const methods = byMethod.filter(([, count]) => count > 0).map(([method, count]) => `${count.toFixed(1)} × ${method}`);
  const s3Calls = counts.reduce((sum, [, count]) => sum + count, 0);
  const each = shares.map((share) => share.toFixed(2)).join(", ");
  print(
    `${idle.brokerCount} idle brokers, ${idle.partitionCount} partitions, a group of ${idle.memberCount} that commits by itself, ${idle.seconds} s`,
  );
  print(`  CPU: ${each} % of a core (aim ${idle.cpuAim}, ${aimed(cpu, idle.cpuAim)})`);
  print(
    `  S3: ${s3Calls} calls (aim 0, ${aimed(s3Calls, 0)})${counts.map(([kind, n]) => `; ${n} × ${kind}`).join("")}`,
  );
  print(
    `  etcd: ${calls.toFixed(0)} calls a minute of each broker (aim ${idle.etcdCallsAim}, ${aimed(calls, idle.etcdCallsAim)}); ${methods.join(", ")}`,
  );
}

await withStores("A quiet cluster", ["versitygw", "etcd"], async (stores) => {
  await endToEnd(stores);
  await idleCluster(stores);
});
process.exit();
