// What a start on a folder costs after a long history: 10,000 flushes and 20 restarts, half of them kills, then the built
// program started on it, until it answers. Beside it the same program on an empty folder: the ratio is what history costs.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Broker } from "../src/broker/broker.ts";
import { embeddedBrokerSettings } from "../src/broker/broker-settings.ts";
import { ImageFeed } from "../src/cluster/image-feed.ts";
import { ClusterKeys } from "../src/cluster/keys.ts";
import { Topics } from "../src/cluster/topics.ts";
import { longLivedController } from "../src/host/abort.ts";
import type { AppendFile, FileSystem } from "../src/host/file-system.ts";
import { silentLog } from "../src/host/log.ts";
import { UnexportedMetrics } from "../src/host/metrics.ts";
import { NodeFileSystem } from "../src/host/node-file-system.ts";
import { SystemClock } from "../src/host/system-clock.ts";
import { SystemRandom } from "../src/host/system-random.ts";
import { TcpTransport } from "../src/host/tcp-transport.ts";
import { JournalKeyValueStore } from "../src/kv/journal.ts";
import { FolderObjectStore } from "../src/object-store/folder.ts";
import { encodeBatch } from "../src/records/encode-batch.ts";
import { RecordBatchView } from "../src/records/record-batch.ts";

const RESTARTS = 20;
const FLUSHES = 10_000;
const STARTS = 5;
const PARTITIONS = 12;
const { signal } = longLivedController();

/** This machine's files without the waits for the disk: the folder gets the same content, sooner. */
class UnsyncedFiles extends NodeFileSystem implements FileSystem {
  override async syncFolder(): Promise<void> {}

  override async create(path: string): Promise<AppendFile> {
    const file = await super.create(path);
    return { append: (parts) => file.append(parts), sync: () => Promise.resolve(), close: () => file.close() };
  }
}

/** One life of a broker that makes `flushes` flushes in `folder`. */
async function live(folder: string, flushes: number, isKilled: boolean): Promise<void> {
  const files = new UnsyncedFiles();
  const clock = new SystemClock();
  const random = new SystemRandom();
  const kv = await JournalKeyValueStore.open({ folder: join(folder, "metadata"), files, clock, onClosed: () => {} });
  const store = await FolderObjectStore.open({ folder: join(folder, "objects"), files });
  const metrics = new UnexportedMetrics();
  const parts = { clock, random, log: silentLog, metrics, transport: new TcpTransport(), store, kv };
  const address = { host: "127.0.0.1", port: 0 };
  const broker = await Broker.start({ ...embeddedBrokerSettings, listener: address, advertised: address }, parts, {
    signal,
  });
  const cluster = { kv, clock, random, log: silentLog, keys: new ClusterKeys(embeddedBrokerSettings.clusterName) };
  const feed = new ImageFeed(cluster, { clusterId: "bench", onFailure: () => {} });
  await feed.start({ signal });
  if (!feed.current.topic("history")) {
    const topic = { name: "history", partitionCount: PARTITIONS, configs: new Map<string, string>() };
    await new Topics(cluster, feed).create(topic, { signal });
  }
  const topicId = feed.current.topic("history")?.topicId ?? "";
  const value = new Uint8Array(1024);
  for (let flush = 0; flush < flushes; flush++) {
    const batch = encodeBatch([{ timestampMs: clock.wallMs(), key: null, value }]);
    await broker.brokerLog.partition(topicId, flush % PARTITIONS).append(new RecordBatchView(batch));
  }
  await feed.stop();
  if (isKilled) broker.abandon();
  else await broker.stop();
  await kv.close();
  await store.close();
}

/** Milliseconds from the spawn of the built program to its first byte of an answer, and its memory then. */
async function timeStart(folder: string, port: number): Promise<{ ms: number; rssMiB: number }> {
  const startedMs = performance.now();
  const args = ["dist/src/main/kafscale.js", "serve", "--data-dir", folder];
  const listen = ["--kafka-addr", `127.0.0.1:${port}`, "--metrics-addr", `127.0.0.1:${port + 1}`];
  const program = spawn(process.execPath, [...args, ...listen], { stdio: ["ignore", "ignore", "inherit"] });
  try {
    while (!(await answers(port))) {
      if (program.exitCode !== null) throw new Error(`the program ended with ${program.exitCode}`);
    }
    const ms = performance.now() - startedMs;
    const status = await readFile(`/proc/${program.pid}/status`, "utf8");
    return { ms, rssMiB: Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024 };
  } finally {
    program.kill("SIGKILL");
    await new Promise((resolve) => program.once("exit", resolve));
  }
}

/** Whether an ApiVersions request gets an answer: the listener holds requests back until the recovery is done. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(Buffer.from("0000000a00120000000000010000", "hex")));
    socket.once("data", () => resolve(true));
    socket.once("error", () => setTimeout(() => resolve(false), 5));
    socket.once("close", () => resolve(false));
    socket.once("data", () => socket.destroy());
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

const folder = await mkdtemp(join(tmpdir(), "kafscale-bench-start-"));
try {
  const history = join(folder, "history");
  for (let life = 0; life <= RESTARTS; life++) {
    await live(history, Math.ceil(FLUSHES / (RESTARTS + 1)), life % 2 === 1);
  }
  await live(history, 1, true);
  // Below the ports that the kernel gives to who connects: one of those, tried again and again, meets itself at last.
  const port = 20_000 + (process.pid % 10_000);
  const long: { ms: number; rssMiB: number }[] = [];
  const empty: { ms: number; rssMiB: number }[] = [];
  for (let start = 0; start < STARTS; start++) {
    long.push(await timeStart(history, port));
    empty.push(await timeStart(join(folder, `empty-${start}`), port));
  }
  const longMs = median(long.map(({ ms }) => ms));
  const emptyMs = median(empty.map(({ ms }) => ms));
  console.log(
    `start after ${FLUSHES} flushes and ${RESTARTS} restarts: ${longMs.toFixed(0)} ms until the first answer`,
  );
  console.log(
    `start on an empty folder:                      ${emptyMs.toFixed(0)} ms; ratio ${(longMs / emptyMs).toFixed(2)}`,
  );
  const rss = [long, empty].map((starts) => median(starts.map(({ rssMiB }) => rssMiB)).toFixed(0));
  console.log(`peak memory: ${rss[0]} MiB beside ${rss[1]} MiB`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exit(0);
