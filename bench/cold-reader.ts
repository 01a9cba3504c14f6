// What a reader of old records costs the producers of the same broker: the acknowledgements of a steady load with a
// consumer that catches up from the bucket beside it, and without one, in turns.
import { setTimeout as sleep } from "node:timers/promises";
import type { BrokerProcess } from "../test/e2e/broker-process.ts";
import { consumePerformance, producePerformance } from "./kafka-tools.ts";
import { dial, runOpenLoad } from "./open-load.ts";
import { aimed, metricOf, print, quantile, type RealStores, spreadOf, withStores } from "./real-stores.ts";

const PUTS_PER_SECOND = 4;
const ROUNDS = 3;
const RECORD_BYTES = 1_024;
const PARTITIONS = 64;
const PRODUCERS = 2;
const OLD_RECORDS = 512 * 1_024;
const MEGABYTES = (OLD_RECORDS * RECORD_BYTES) / 1e6;
const RAISE_AIM = 1.25;
const steady = { topic: "steady", partitionCount: 8, requestsPerSecond: 200, valueBytes: 1_024, connectionCount: 4 };
const ROUND_SECONDS = 15;
const WARM_UP_SECONDS = 12;

/** Reads everything old again and again until it is told to end; gives how often. */
async function readOn(port: number, isOver: () => boolean): Promise<{ reads: number; rate: number }> {
  const rates: number[] = [];
  while (!isOver()) rates.push(await consumePerformance(port, "old", OLD_RECORDS));
  return { reads: rates.length, rate: quantile(rates, 0.5) };
}

/** GETs on behalf of consumers so far. */
async function getsOf({ metricsPort }: BrokerProcess): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return metricOf(text, "kafscale_cold_gets_total");
}

/** A broker with old records that are in no memory, and a topic that has been written to for a while. */
async function prepared(stores: RealStores): Promise<BrokerProcess> {
  // Straight to the server: the front shares a process with the load, and what the reader gets through it would delay that.
  const broker = await stores.startBroker({ ...stores.brokerEnv(PUTS_PER_SECOND), ...stores.s3.brokerEnv });
  const port = broker.kafkaPort;
  const client = await dial(port);
  for (const [topic, partitionCount] of [
    ["old", PARTITIONS],
    ["steady", steady.partitionCount],
  ] as const) {
    if ((await client.createTopic(topic, partitionCount)) !== 0) throw new Error("a topic was not created");
  }
  client.socket.destroy();
  const load = { port, topic: "old", codec: "none", recordBytes: RECORD_BYTES, producerCount: PRODUCERS };
  await producePerformance({ ...load, recordsEach: OLD_RECORDS / PRODUCERS });
  // What was just written is in memory: the old records are those that another process has to fetch.
  await broker.killHard();
  await broker.restart();
  await runOpenLoad({ ...steady, port }, WARM_UP_SECONDS);
  return broker;
}

async function measure(stores: RealStores): Promise<void> {
  const broker = await prepared(stores);
  const port = broker.kafkaPort;
  const alone: number[] = [];
  const beside: number[] = [];
  const rates: number[] = [];
  let gets = 0;
  let reads = 0;
  for (let round = 0; round < ROUNDS; round++) {
    alone.push(...(await runOpenLoad({ ...steady, port }, ROUND_SECONDS)));
    let isOver = false;
    const getsBefore = await getsOf(broker);
    const reading = readOn(port, () => isOver);
    // The consumer's own start is not its reading.
    await sleep(2_000);
    beside.push(...(await runOpenLoad({ ...steady, port }, ROUND_SECONDS)));
    isOver = true;
    const read = await reading;
    reads += read.reads;
    rates.push(read.rate);
    gets += (await getsOf(broker)) - getsBefore;
  }
  const raise = quantile(beside, 0.99) / quantile(alone, 0.99);
  print(
    `  ${steady.requestsPerSecond} requests/s to ${steady.partitionCount} partitions, ${ROUNDS} rounds of ${ROUND_SECONDS} s each way, PUT budget: ${PUTS_PER_SECOND}/s`,
  );
  print(`  alone:               ${spreadOf(alone)}`);
  print(
    `  with a cold reader:  ${spreadOf(beside)}; p99 ${raise.toFixed(2)} times (aim ${RAISE_AIM}, ${aimed(raise, RAISE_AIM)})`,
  );
  const each = gets / reads / (MEGABYTES / 1_073.74);
  print(
    `  the reader: ${reads} times ${MEGABYTES.toFixed(0)} MB at ${quantile(rates, 0.5).toFixed(0)} MB/s, ${each.toFixed(0)} gets per GiB`,
  );
}

await withStores("A cold reader beside producers", ["versitygw", "etcd", "kafka"], measure);
process.exit();
