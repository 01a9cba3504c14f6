// A gibibyte in and out of one broker beside Apache Kafka, by the same Java clients on the same machine in the same run:
// processor time, rates, puts and gets, memory. Then how long a start takes on that much data, after a kill too.
import { setTimeout as sleep } from "node:timers/promises";
import type { BrokerProcess } from "../test/e2e/broker-process.ts";
import type { BucketFront, RequestKind } from "./bucket-front.ts";
import { consumePerformance, KafkaBroker, producePerformance } from "./kafka-tools.ts";
import { dial, produceOne, valueOf } from "./open-load.ts";
import { aimed, cpuSeconds, memoryOf, metricOf, print, quantile, type RealStores, withStores } from "./real-stores.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const PUTS_PER_SECOND = 4;
const PARTITIONS = 64;
const RECORD_BYTES = 1_024;
const PRODUCERS = 4;
const gibibytes = Number(process.env["KAFSCALE_BENCH_GIB"] ?? 1);
const RECORDS_EACH = Math.round((gibibytes * GIB) / RECORD_BYTES / PRODUCERS);
const codecs = ["none", "lz4"] as const;
type Codec = (typeof codecs)[number];
/** Written and read first: what compilers of either program do to new code is no part of the figures. */
const WARM_UP_TOPIC = "warm-up";
const WARM_UP_RECORDS = 128 * 1024;
const STARTS = 5;
/** Nothing is asked of the bucket for this long when everything written is reconciled; looked at every 5 s by brokers. */
const QUIET_MS = 12_000;
const QUIET_PATIENCE_MS = 180_000;
const aims = { inRatio: 1, outRatio: 1.5, writesPerGib: 300, getsPerGib: 256, startMs: 1_000 } as const;

/** A broker under test, of either kind. */
interface Target {
  readonly port: number;
  readonly pid: number;
}

/** What one direction cost. */
interface Cost {
  readonly cpuSecondsPerGib: number;
  readonly megabytesPerSecond: number;
}

/** In and out of each codec. */
type Costs = Record<Codec, { readonly in: Cost; readonly out: Cost }>;

async function costOf({ pid }: Target, work: () => Promise<number>): Promise<Cost> {
  const before = cpuSeconds(pid);
  const megabytesPerSecond = await work();
  return { cpuSecondsPerGib: (cpuSeconds(pid) - before) / gibibytes, megabytesPerSecond };
}

function produce({ port, pid }: Target, codec: Codec): Promise<Cost> {
  const load = { port, topic: codec, codec, producerCount: PRODUCERS, recordsEach: RECORDS_EACH };
  return costOf({ port, pid }, () => producePerformance({ ...load, recordBytes: RECORD_BYTES }));
}

function consume({ port, pid }: Target, codec: Codec): Promise<Cost> {
  return costOf({ port, pid }, () => consumePerformance(port, codec, RECORDS_EACH * PRODUCERS));
}

/** Creates the topics and writes what is read before anything is measured. */
async function prepare(port: number): Promise<void> {
  const client = await dial(port);
  for (const topic of [...codecs, WARM_UP_TOPIC]) {
    if ((await client.createTopic(topic, PARTITIONS)) !== 0) throw new Error(`${topic} was not created`);
  }
  client.socket.destroy();
  // Kafka answers before its partitions are there.
  await sleep(3_000);
  const load = { port, topic: WARM_UP_TOPIC, codec: "lz4", producerCount: PRODUCERS, recordBytes: RECORD_BYTES };
  await producePerformance({ ...load, recordsEach: WARM_UP_RECORDS / PRODUCERS });
}

async function measureKafka(): Promise<Costs> {
  const kafka = await KafkaBroker.start();
  try {
    const target = { port: kafka.port, pid: kafka.program.pid };
    await prepare(target.port);
    const into = { none: await produce(target, "none"), lz4: await produce(target, "lz4") };
    await consumePerformance(target.port, WARM_UP_TOPIC, WARM_UP_RECORDS);
    const out = { none: await consume(target, "none"), lz4: await consume(target, "lz4") };
    const { peakMib } = memoryOf(target.pid);
    print(`  Kafka: RSS at most ${peakMib.toFixed(0)} MiB, page cache not counted`);
    return { none: { in: into.none, out: out.none }, lz4: { in: into.lz4, out: out.lz4 } };
  } finally {
    await kafka.stop();
  }
}

/** What a broker holds, by the gauge that says so, and what it may, in MiB. */
const boundsMib: ReadonlyMap<string, number> = new Map([
  ["kafscale_request_budget_used_bytes", 256],
  ["kafscale_tail_bytes", 64],
  ["kafscale_read_cache_bytes", 256],
]);

/** The most that each of a broker's gauges showed, looked at twice a second. */
class PeakGauges {
  readonly #peaks = new Map<string, number>();
  readonly #done: Promise<void>;
  #isRunning = true;

  constructor(metricsPort: number) {
    this.#done = this.#run(metricsPort);
  }

  /** Ends the watch; gives what was held, with its bounds. */
  async stop(): Promise<string> {
    this.#isRunning = false;
    await this.#done;
    const parts = [...boundsMib].map(([name, boundMib]) => {
      const mib = (this.#peaks.get(name) ?? 0) / MIB;
      return `${name.replace(/^kafscale_|_bytes$/g, "")} ${mib.toFixed(0)} of ${boundMib}`;
    });
    return parts.join(", ");
  }

  async #run(metricsPort: number): Promise<void> {
    while (this.#isRunning) {
      const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
      for (const name of boundsMib.keys()) {
        this.#peaks.set(name, Math.max(this.#peaks.get(name) ?? 0, metricOf(text, name)));
      }
      await sleep(500);
    }
  }
}

/** The requests of some kinds that passed the front during `work`, with its cost. */
async function counted<T>(front: BucketFront, kinds: readonly RequestKind[], work: () => Promise<T>) {
  const from = front.requests.length;
  const cost = await work();
  return { cost, requests: front.requests.slice(from).filter(({ kind }) => kinds.includes(kind)) };
}

async function writeAll(front: BucketFront, broker: BrokerProcess): Promise<Record<Codec, Cost>> {
  const target = { port: broker.kafkaPort, pid: broker.program.pid };
  const { nowMib } = memoryOf(target.pid);
  await prepare(target.port);
  const gauges = new PeakGauges(broker.metricsPort);
  const costs = new Map<Codec, Cost>();
  for (const codec of codecs) {
    const kinds = ["put WAL", "put checkpoint", "put segment"] as const;
    const { cost, requests } = await counted(front, kinds, () => produce(target, codec));
    costs.set(codec, cost);
    const perGib = requests.length / gibibytes;
    const sizes = requests.filter(({ kind }) => kind === "put WAL").map(({ bodyBytes }) => bodyBytes / MIB);
    const aim = `aim ${aims.writesPerGib}, ${aimed(perGib, aims.writesPerGib)}`;
    const objects = `WAL objects of ${quantile(sizes, 0.5).toFixed(1)} MiB in the middle, ${Math.max(...sizes).toFixed(1)} at most`;
    print(`  ${codec}: ${perGib.toFixed(0)} S3 writes per GiB of records (${aim}); ${objects}`);
  }
  print(`  writing: RSS ${nowMib.toFixed(0)} MiB at start, ${memoryOf(target.pid).peakMib.toFixed(0)} at most`);
  print(`  writing, MiB held at most: ${await gauges.stop()}`);
  return { none: costOfCodec(costs, "none"), lz4: costOfCodec(costs, "lz4") };
}

/** Waits for the end of what the broker does by itself with what was written, and tells what it cost. */
async function untilQuiet(front: BucketFront, { program }: BrokerProcess): Promise<void> {
  const from = front.requests.length;
  const cpuBefore = cpuSeconds(program.pid);
  const startedMs = performance.now();
  const quietForMs = () => performance.now() - Math.max(startedMs, front.requests.at(-1)?.atMs ?? 0);
  while (quietForMs() < QUIET_MS && performance.now() - startedMs < QUIET_PATIENCE_MS) await sleep(100);
  const own = front.requests.slice(from);
  const perGib = (kind: RequestKind) =>
    own.filter((request) => request.kind === kind).length / gibibytes / codecs.length;
  const cpu = (cpuSeconds(program.pid) - cpuBefore) / gibibytes / codecs.length;
  const calls = `${perGib("get").toFixed(0)} gets, ${perGib("put segment").toFixed(0)} puts of segments`;
  const took = `${((performance.now() - startedMs) / 1_000).toFixed(0)} s until quiet`;
  print(`  reconciled after that, per GiB: ${calls}, ${cpu.toFixed(1)} CPU s; ${took}`);
}

async function readAll(front: BucketFront, broker: BrokerProcess): Promise<Record<Codec, Cost>> {
  const target = { port: broker.kafkaPort, pid: broker.program.pid };
  await consumePerformance(target.port, WARM_UP_TOPIC, WARM_UP_RECORDS);
  const gauges = new PeakGauges(broker.metricsPort);
  const costs = new Map<Codec, Cost>();
  for (const codec of codecs) {
    const { cost, requests } = await counted(front, ["get"], () => consume(target, codec));
    costs.set(codec, cost);
    const perGib = requests.length / gibibytes;
    print(
      `  ${codec}: ${perGib.toFixed(0)} gets per GiB read (aim ${aims.getsPerGib}, ${aimed(perGib, aims.getsPerGib)})`,
    );
  }
  print(`  reading: RSS ${memoryOf(target.pid).peakMib.toFixed(0)} MiB at most`);
  print(`  reading, MiB held at most: ${await gauges.stop()}`);
  return { none: costOfCodec(costs, "none"), lz4: costOfCodec(costs, "lz4") };
}

function costOfCodec(costs: ReadonlyMap<Codec, Cost>, codec: Codec): Cost {
  const cost = costs.get(codec);
  if (!cost) throw new Error(`${codec} was not measured`);
  return cost;
}

/** A row of this broker beside Kafka. */
function printRow(what: string, { own, kafka }: { own: Cost; kafka: Cost }, ratioAim: number): void {
  const ratio = own.cpuSecondsPerGib / kafka.cpuSecondsPerGib;
  const cpu = `${own.cpuSecondsPerGib.toFixed(1)} CPU s per GiB beside ${kafka.cpuSecondsPerGib.toFixed(1)} of Kafka`;
  const rate = `${own.megabytesPerSecond.toFixed(0)} MB/s beside ${kafka.megabytesPerSecond.toFixed(0)}`;
  print(`  ${what}: ${cpu}, ${ratio.toFixed(2)} times (aim ${ratioAim}, ${aimed(ratio, ratioAim)}); ${rate}`);
}

/** Milliseconds from `begin` to the first acknowledgement of a broker. */
async function untilAcknowledged(port: number, topic: string, begin: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  const begun = begin();
  for (;;) {
    try {
      const client = await dial(port);
      const { errorCode } = await produceOne(client, { topic, partition: 0 }, valueOf(RECORD_BYTES));
      client.socket.destroy();
      if (errorCode === 0) {
        const ms = performance.now() - startedMs;
        await begun;
        return ms;
      }
    } catch {
      // Not yet there.
    }
    await sleep(5);
  }
}

async function measureStarts(stores: RealStores, broker: BrokerProcess): Promise<void> {
  const [cold, killed]: [number[], number[]] = [[], []];
  for (let start = 0; start < STARTS; start++) {
    const startedMs = performance.now();
    const env = { ...stores.brokerEnv(PUTS_PER_SECOND), KAFSCALE_CLUSTER_NAME: `cold-${start}` };
    const fresh = await stores.startBroker(env);
    cold.push(performance.now() - startedMs);
    await fresh.killHard();
    const killAndStart = async () => {
      await broker.killHard();
      await broker.restart();
    };
    killed.push(await untilAcknowledged(broker.kafkaPort, "none", killAndStart));
  }
  const [coldMs, killedMs] = [quantile(cold, 0.5), quantile(killed, 0.5)];
  const range = (values: readonly number[]) => `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;
  print(
    `  start on an empty bucket until ready: ${coldMs.toFixed(0)} ms, ${range(cold)} (aim ${aims.startMs}, ${aimed(coldMs, aims.startMs)})`,
  );
  print(
    `  start after kill -9 on ${2 * gibibytes} GiB until the first acknowledgement: ${killedMs.toFixed(0)} ms, ${range(killed)} (aim ${aims.startMs}, ${aimed(killedMs, aims.startMs)})`,
  );
}

await withStores("A gibibyte in and out, beside Apache Kafka", ["versitygw", "etcd", "kafka"], async (stores) => {
  const clients = `${PRODUCERS} Java producers at once, then one consumer, all with their defaults`;
  print(`  ${clients}; ${gibibytes} GiB of ${RECORD_BYTES}-byte records to ${PARTITIONS} partitions`);
  print(`  PUT budget: ${PUTS_PER_SECOND}/s, an S3 server on this machine`);
  const kafka = await measureKafka();
  const broker = await stores.startBroker(stores.brokerEnv(PUTS_PER_SECOND));
  const into = await writeAll(stores.front, broker);
  // Each start is of another process, which has in memory nothing of what was written.
  await measureStarts(stores, broker);
  await untilQuiet(stores.front, broker);
  await broker.killHard();
  await broker.restart();
  const out = await readAll(stores.front, broker);
  for (const codec of codecs) {
    printRow(`${codec} in`, { own: into[codec], kafka: kafka[codec].in }, aims.inRatio);
    printRow(`${codec} out`, { own: out[codec], kafka: kafka[codec].out }, aims.outRatio);
  }
});
process.exit();
