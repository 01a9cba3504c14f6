// Apache Kafka from its jars: one broker with its default settings, and the performance tools of its distribution, which
// load it and the built broker alike. Without the wrappers of .tools/bin, whose settings are for quick starts.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../test/e2e/broker-process.ts";
import { RunningProgram, runProgram } from "../test/e2e/program.ts";
import { repositoryRoot } from "../test/e2e/tools.ts";
import { dial } from "./open-load.ts";

const jars = ["-cp", join(repositoryRoot, ".tools", "kafka", "libs", "*")];
const toolClasses = "org.apache.kafka.tools";
const TOOL_TIMEOUT_MS = 300_000;

/** Starts a Java class with so much memory. */
function java(memory: readonly string[], className: string, args: readonly string[]): RunningProgram {
  return new RunningProgram("java", [...memory, ...jars, className, ...args]);
}

/** One broker of Apache Kafka, which is its own controller, on a folder of its own. */
export class KafkaBroker {
  readonly port: number;
  readonly program: RunningProgram;

  private constructor(port: number, program: RunningProgram) {
    this.port = port;
    this.program = program;
  }

  /** Formats a folder, starts a broker on it and waits until it answers. */
  static async start(): Promise<KafkaBroker> {
    const folder = mkdtempSync(join(tmpdir(), "kafscale-bench-kafka-"));
    // However the benchmark ends.
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    const [port, controllerPort] = [await freePort(), await freePort()];
    const settings = join(folder, "server.properties");
    writeFileSync(settings, serverProperties(port, controllerPort, folder));
    const storage = [...jars, "kafka.tools.StorageTool"];
    const { stdout } = await runProgram("java", [...storage, "random-uuid"]);
    await runProgram("java", [...storage, "format", "--standalone", "-t", stdout.trim(), "-c", settings]);
    const broker = new KafkaBroker(port, java(["-Xms256m", "-Xmx512m"], "kafka.Kafka", [settings]));
    await broker.#waitUntilReady();
    return broker;
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    this.program.kill();
    await this.program.waitForEnd(10_000);
  }

  async #waitUntilReady(): Promise<void> {
    for (let attempt = 0; attempt < 300; attempt++) {
      if (this.program.hasEnded) throw new Error(`Kafka ended at its start\n${this.program.describe()}`);
      try {
        (await dial(this.port)).socket.destroy();
        return;
      } catch {
        await sleep(100);
      }
    }
    throw new Error(`Kafka was not ready in 30 s\n${this.program.describe()}`);
  }
}

function serverProperties(port: number, controllerPort: number, folder: string): string {
  const lines = [
    "process.roles=broker,controller",
    "node.id=1",
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    "controller.listener.names=CONTROLLER",
    "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    `controller.quorum.bootstrap.servers=127.0.0.1:${controllerPort}`,
    `log.dirs=${join(folder, "log")}`,
    "offsets.topic.replication.factor=1",
    "group.initial.rebalance.delay.ms=0",
  ];
  return `${lines.join("\n")}\n`;
}

/** What the clients write. */
export interface PerformanceLoad {
  readonly port: number;
  readonly topic: string;
  readonly codec: string;
  readonly producerCount: number;
  readonly recordsEach: number;
  readonly recordBytes: number;
}

/** Runs producers at full speed with the defaults of the Java client; gives their rates together, in MB (10^6) a second. */
export async function producePerformance(load: PerformanceLoad): Promise<number> {
  const { port, topic, codec, producerCount, recordsEach, recordBytes } = load;
  const args = ["--topic", topic, "--num-records", String(recordsEach), "--record-size", String(recordBytes)];
  args.push("--throughput", "-1", "--bootstrap-server", `127.0.0.1:${port}`);
  args.push("--command-property", `compression.type=${codec}`);
  const producers = Array.from({ length: producerCount }, () =>
    java(["-Xmx256m"], `${toolClasses}.ProducerPerformance`, args),
  );
  let megabytesPerSecond = 0;
  for (const producer of producers) {
    const { exitCode, stdout } = await producer.waitForEnd(TOOL_TIMEOUT_MS);
    const rates = [...stdout.matchAll(/^(\d+) records sent, ([\d.]+) records\/sec/gm)];
    const [, count, rate] = rates.at(-1) ?? [];
    if (exitCode !== 0 || Number(count) !== recordsEach) throw new Error(`a producer failed\n${producer.describe()}`);
    megabytesPerSecond += (Number(rate) * recordBytes) / 1e6;
  }
  return megabytesPerSecond;
}

/** Reads so many records from the beginning; gives MB (10^6) a second from the first fetch on. */
export async function consumePerformance(port: number, topic: string, records: number): Promise<number> {
  const args = ["--topic", topic, "--num-records", String(records), "--bootstrap-server", `127.0.0.1:${port}`];
  args.push("--timeout", "30000", "--hide-header");
  const consumer = java(["-Xmx256m"], `${toolClasses}.ConsumerPerformance`, args);
  const { exitCode, stdout } = await consumer.waitForEnd(TOOL_TIMEOUT_MS);
  // Start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, MB/s of fetches, records/s of fetches.
  const fields = stdout.trim().split("\n").at(-1)?.split(", ") ?? [];
  if (exitCode !== 0 || Number(fields[4]) < records) throw new Error(`the consumer failed\n${consumer.describe()}`);
  return (Number(fields[8]) * 1024 * 1024) / 1e6;
}
