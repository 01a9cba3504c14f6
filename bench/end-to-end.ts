// How much later than its acknowledgement a record is with a consumer who waits for it, at a low and even load.
import { setTimeout as sleep } from "node:timers/promises";
import { createFetchPartition, createFetchRequest, createFetchTopic } from "../generated/testing/fetch-request.ts";
import { iterateBatches } from "../src/records/record-batch.ts";
import { iterateRecords } from "../src/records/record-iterator.ts";
import { apis } from "../test/kafka/broker-world.ts";
import { dial, produceOne } from "./open-load.ts";
import { aimed, print, quantile, type RealStores, spreadOf, withStores } from "./real-stores.ts";

const PUTS_PER_SECOND = 4;
const trickle = {
  topic: "trickle",
  partitionCount: 4,
  everyMs: 20,
  warmUpCount: 250,
  count: 1_500,
  laterMsAim: 5,
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
  const broker = await stores.startBroker(stores.brokerEnv(PUTS_PER_SECOND));
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

await withStores("From a producer to a waiting consumer", ["versitygw", "etcd"], endToEnd);
process.exit();
