// The broker on memory stores against a bare Node sink that only splits frames, checks CRCs and answers, under the same
// load from the same program, in turns; and what a thousand idle connections cost. Prints ratios; nothing fails here.
// Run: make bench (or, when built, npx tsx bench/broker.ts; a size of batch as an argument measures that one alone)
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import {
  createCreatableTopic,
  createCreateTopicsRequest,
  encodeCreateTopicsRequest,
} from "../generated/testing/create-topics-request.ts";
import {
  createPartitionProduceData,
  createProduceRequest,
  createTopicProduceData,
  encodeProduceRequest,
} from "../generated/testing/produce-request.ts";
import { createRequestHeader, encodeRequestHeader } from "../generated/testing/request-header.ts";
import { encodeBatch } from "../src/records/encode-batch.ts";
import { Writer } from "../src/wire/writer.ts";

const PRODUCE_VERSION = 7;
const TOPIC = "bench";
const CONNECTIONS = 8;
/** Requests a connection has under way: enough to keep either side busy, within the broker's limit of 100. */
const WINDOW = 40;
const ROUNDS = 5;
/** Batches of the smallest load that a fresh broker serves first: as many as V8 needs before its code is the final one. */
const WARM_UP_BATCHES = 40_000;
const IDLE_CONNECTIONS = 1_000;
const MIB = 1024 * 1024;

/** One size of batch: how much of it is sent in each round. */
interface Load {
  readonly name: string;
  readonly records: number;
  readonly valueBytes: number;
  readonly batchesPerRound: number;
  readonly aim: number;
}

const loads: readonly Load[] = [
  { name: "1 KiB", records: 1, valueBytes: 950, batchesPerRound: 80_000, aim: 0.6 },
  { name: "16 KiB", records: 16, valueBytes: 1_010, batchesPerRound: 8_000, aim: 0.6 },
  { name: "256 KiB", records: 256, valueBytes: 1_012, batchesPerRound: 1_000, aim: 0.6 },
];

const [smallest] = loads as [Load];

/** Bundled as the program is: what is measured is what runs, not what a loader makes of the sources. */
const bundledTarget = join(import.meta.dirname, "../.cache/bench/broker-target.js");
await build({
  entryPoints: [join(import.meta.dirname, "broker-target.ts")],
  outfile: bundledTarget,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  packages: "external",
});

interface Target {
  readonly child: ChildProcess;
  readonly port: number;
}

async function start(...args: readonly string[]): Promise<Target> {
  const child = fork(bundledTarget, args, { execArgv: ["--expose-gc"] });
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  return { child, port };
}

async function stop({ child }: Target): Promise<void> {
  const ended = once(child, "exit");
  child.disconnect();
  await ended;
}

interface Usage {
  readonly rssBytes: number;
  readonly cpuMicroseconds: number;
  readonly pageFaults: number;
}

async function usageOf({ child }: Target): Promise<Usage> {
  const answered = once(child, "message");
  child.send("usage");
  const [usage] = (await answered) as [Usage];
  return usage;
}

function requestOf(apiKey: number, version: number, body: (writer: Writer) => void): Buffer {
  const writer = new Writer();
  writer.reserveInt32();
  const header = { requestApiKey: apiKey, requestApiVersion: version, correlationId: 1, clientId: "bench" };
  encodeRequestHeader(writer, createRequestHeader(header), apiKey === 19 ? 2 : 1);
  body(writer);
  const frame = Buffer.concat(writer.finish());
  frame.writeInt32BE(frame.length - 4, 0);
  return frame;
}

function batchOf({ records, valueBytes }: Load): Uint8Array {
  const value = Buffer.alloc(valueBytes, "v");
  return encodeBatch(Array.from({ length: records }, () => ({ timestampMs: Date.now(), key: null, value })));
}

function produceRequest(partition: number, batch: Uint8Array): Buffer {
  const partitionData = [createPartitionProduceData({ index: partition, records: [batch] })];
  const topicData = [createTopicProduceData({ name: TOPIC, partitionData })];
  const message = createProduceRequest({ acks: -1, timeoutMs: 30_000, topicData });
  return requestOf(0, PRODUCE_VERSION, (writer) => encodeProduceRequest(writer, message, PRODUCE_VERSION));
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  await once(socket, "connect");
  return socket;
}

/** Sends a frame and waits for one answer. */
async function ask(socket: Socket, frame: Buffer): Promise<Buffer> {
  const answered = once(socket, "data");
  socket.write(frame);
  const [answer] = (await answered) as [Buffer];
  return answer;
}

async function createTopic(port: number): Promise<void> {
  const socket = await open(port);
  const topic = createCreatableTopic({ name: TOPIC, numPartitions: CONNECTIONS, replicationFactor: 1 });
  const message = createCreateTopicsRequest({ topics: [topic], timeoutMs: 10_000 });
  await ask(
    socket,
    requestOf(19, 5, (writer) => encodeCreateTopicsRequest(writer, message, 5)),
  );
  socket.destroy();
}

/** Sends `count` copies of a frame with a window of requests under way; resolves with the last answer. */
function pump(socket: Socket, frame: Buffer, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let answered = 0;
    let rest: Buffer = Buffer.alloc(0);
    const fill = () => {
      socket.cork();
      for (; sent < count && sent - answered < WINDOW; sent++) socket.write(frame);
      socket.uncork();
    };
    socket.on("data", (chunk: Buffer) => {
      let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (data.length >= 4 && data.length >= 4 + data.readInt32BE(0)) {
        const end = 4 + data.readInt32BE(0);
        // Topics, name, partitions and index stand before the error code.
        const errorCode = data.readInt16BE(4 + 4 + 4 + 2 + data.readInt16BE(12) + 4 + 4);
        if (data.readInt16BE(12) > 1 && errorCode !== 0) reject(new Error(`the broker answered error ${errorCode}`));
        answered++;
        data = data.subarray(end);
      }
      rest = data;
      if (answered === count) resolve();
      else fill();
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the connection was closed")));
    fill();
  });
}

/** What one round measured. */
interface Round {
  readonly batchesPerSecond: number;
  /** Of the target: says what it costs also where the machine is busy with other things. */
  readonly cpuMicrosecondsPerBatch: number;
  /** Pages of memory the target had not touched before: the memory store keeps every batch. */
  readonly pageFaultsPerBatch: number;
}

async function round(target: Target, load: Load, batch: Uint8Array): Promise<Round> {
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(target.port)));
  const each = Math.floor(load.batchesPerRound / CONNECTIONS);
  const before = await usageOf(target);
  const startMs = performance.now();
  await Promise.all(sockets.map((socket, partition) => pump(socket, produceRequest(partition, batch), each)));
  const seconds = (performance.now() - startMs) / 1000;
  const after = await usageOf(target);
  for (const socket of sockets) {
    socket.removeAllListeners("close");
    socket.destroy();
  }
  const batches = each * CONNECTIONS;
  return {
    batchesPerSecond: batches / seconds,
    cpuMicrosecondsPerBatch: (after.cpuMicroseconds - before.cpuMicroseconds) / batches,
    pageFaultsPerBatch: (after.pageFaults - before.pageFaults) / batches,
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function compare(load: Load): Promise<void> {
  const batch = batchOf(load);
  const sink = await start("sink", String(batch.length));
  const rounds: { broker: Round[]; sink: Round[] } = { broker: [], sink: [] };
  for (let index = 0; index < ROUNDS; index++) {
    // The memory store keeps everything: a fresh broker each time. The sink is warm from the rounds before.
    const broker = await start("broker");
    await createTopic(broker.port);
    await round(broker, { ...smallest, batchesPerRound: WARM_UP_BATCHES }, batchOf(smallest));
    for (const [name, target] of [
      ["sink", sink],
      ["broker", broker],
    ] as const) {
      await round(target, { ...load, batchesPerRound: load.batchesPerRound / 5 }, batch);
      rounds[name].push(await round(target, load, batch));
    }
    await stop(broker);
  }
  await stop(sink);
  const medianOf = (name: "broker" | "sink", field: keyof Round) => median(rounds[name].map((each) => each[field]));
  // The least disturbed round: what other programs do to the caches only adds.
  const cpuOf = (name: "broker" | "sink") => Math.min(...rounds[name].map((each) => each.cpuMicrosecondsPerBatch));
  const textOf = (name: "broker" | "sink") => {
    const rate = medianOf(name, "batchesPerSecond");
    const mib = Math.round((rate * batch.length) / MIB);
    const faults = medianOf(name, "pageFaultsPerBatch").toFixed(1);
    return `${name} ${Math.round(rate)} batches/s, ${mib} MiB/s, ${cpuOf(name).toFixed(1)} µs of CPU and ${faults} page faults each`;
  };
  const ratio = medianOf("broker", "batchesPerSecond") / medianOf("sink", "batchesPerSecond");
  const cpuRatio = cpuOf("sink") / cpuOf("broker");
  const percent = (value: number) => `${(value * 100).toFixed(0)} %`;
  print(`${load.name}: ${textOf("broker")}; ${textOf("sink")}`);
  print(`  ${percent(ratio)} of the sink's rate (aim ${percent(load.aim)}), ${percent(cpuRatio)} by CPU`);
}

async function idle(): Promise<void> {
  const broker = await start("broker");
  const apiVersions = requestOf(18, 0, () => {});
  const first = await open(broker.port);
  await ask(first, apiVersions);
  const { rssBytes: before } = await usageOf(broker);
  const sockets: Socket[] = [];
  for (let index = 0; index < IDLE_CONNECTIONS; index++) {
    const socket = await open(broker.port);
    await ask(socket, apiVersions);
    sockets.push(socket);
  }
  const { rssBytes: after } = await usageOf(broker);
  for (const socket of [first, ...sockets]) socket.destroy();
  await stop(broker);
  print(
    `${IDLE_CONNECTIONS} idle connections: RSS ${Math.round(before / MIB)} MiB before, ${Math.round(after / MIB)} MiB with them, ` +
      `${((after - before) / IDLE_CONNECTIONS / 1024).toFixed(1)} KiB each`,
  );
}

print(
  `The broker against a bare sink: ${CONNECTIONS} connections, ${WINDOW} requests under way on each, medians of ${ROUNDS} rounds in turns, the lowest CPU.`,
);
const [, , only] = process.argv;
for (const load of loads) if (only === undefined || only === load.name) await compare(load);
if (only === undefined) await idle();
