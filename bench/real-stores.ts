// What the figures on real stores share: an S3 server behind a counting front, an etcd, built brokers on them, and the
// end of everything. Without the programs of `make tools` a figure is skipped by name, and fails where CI=true.
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { BrokerProcess } from "../test/e2e/broker-process.ts";
import { EtcdServer } from "../test/e2e/etcd-server.ts";
import { S3Server } from "../test/e2e/s3-server.ts";
import { missingTools, type ToolName } from "../test/e2e/tools.ts";
import { BucketFront } from "./bucket-front.ts";

// As kafscale.ts does, and before the client is loaded.
process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";

// Without it versitygw ends each connection after one answer, which S3 does not.
process.env["VGW_KEEP_ALIVE"] = "true";

/** Ticks of /proc's clock in a second: the same on every Linux. */
const TICKS_PER_SECOND = 100;
/** A benchmark that runs into this has hung. */
const TIME_LIMIT_MS = 1_800_000;

/** Prints a line. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The stores of one benchmark. */
export class RealStores {
  readonly s3: S3Server;
  readonly etcd: EtcdServer;
  readonly front: BucketFront;
  readonly #brokers: BrokerProcess[] = [];

  private constructor(s3: S3Server, etcd: EtcdServer, front: BucketFront) {
    this.s3 = s3;
    this.etcd = etcd;
    this.front = front;
  }

  /** Starts an S3 server with an empty bucket, and an empty etcd. */
  static async start(): Promise<RealStores> {
    const s3 = await S3Server.start("versitygw");
    return new RealStores(s3, await EtcdServer.start(), await BucketFront.open(s3.endpoint));
  }

  /** Variables of a broker whose calls to the bucket go through the front. */
  brokerEnv(putsPerSecond: number): Record<string, string> {
    return {
      ...this.s3.brokerEnv,
      KAFSCALE_S3_ENDPOINT: this.front.endpoint,
      KAFSCALE_S3_PUTS_PER_SECOND: String(putsPerSecond),
      KAFSCALE_ETCD_ENDPOINTS: this.etcd.endpoint,
    };
  }

  /** Starts a broker and waits until it is ready. */
  async startBroker(env: Readonly<Record<string, string>>): Promise<BrokerProcess> {
    const broker = await BrokerProcess.start({ env });
    this.#brokers.push(broker);
    return broker;
  }

  /** A figure of etcd's own metrics. */
  async etcdMetric(name: string): Promise<number> {
    const text = await (await fetch(`${this.etcd.endpoint}/metrics`)).text();
    return metricOf(text, name);
  }

  /** Ends everything that was started. */
  async stop(): Promise<void> {
    await Promise.all(
      this.#brokers.map(async ({ program }) => {
        program.kill();
        await program.waitForEnd(10_000);
      }),
    );
    await this.front.close();
    await Promise.all([this.etcd.stop(), this.s3.stop()]);
  }
}

/** Runs a benchmark on stores of its own, unless a tool is missing; ends everything whatever happens. */
export async function withStores(
  title: string,
  tools: readonly ToolName[],
  run: (stores: RealStores) => Promise<void>,
): Promise<void> {
  const missing = missingTools(tools);
  if (missing.length > 0) {
    print(`skipped: ${title}: ${missing.join(" and ")} missing in .tools/, run make tools`);
    if (process.env["CI"] === "true") process.exitCode = 1;
    return;
  }
  print(title);
  const limit = setTimeout(() => {
    process.stderr.write(`${title}: not done within ${TIME_LIMIT_MS / 1_000} s\n`);
    process.kill(process.pid, "SIGTERM");
  }, TIME_LIMIT_MS);
  const stores = await RealStores.start();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => void stores.stop().finally(() => process.exit(1)));
  }
  try {
    await run(stores);
    print(`  conditions: ${conditions()}`);
  } finally {
    await stores.stop();
    clearTimeout(limit);
  }
}

/** The machine and how busy it is, for the line under a figure. */
function conditions(): string {
  const cores = availableParallelism();
  return `${cores} cores shared with clients and stores, load ${loadavg()[0]?.toFixed(1)}, Node ${process.version}`;
}

/** The value of a metric in what an exporter printed; the sum over its labels, 0 without any. */
export function metricOf(text: string, name: string): number {
  let sum = 0;
  for (const line of text.split("\n")) {
    const isIt = line.startsWith(`${name} `) || line.startsWith(`${name}{`);
    if (isIt) sum += Number(line.slice(line.lastIndexOf(" ") + 1));
  }
  return sum;
}

/** Seconds of processor time that a process has used so far. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Memory of a process now and at its peak, in MiB. */
export function memoryOf(pid: number): { readonly nowMib: number; readonly peakMib: number } {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const mib = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) / 1024;
  return { nowMib: mib("VmRSS"), peakMib: mib("VmHWM") };
}

/** The value below which the share `quantile` of the others lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Middle and 99th hundredth in one text. */
export function spreadOf(valuesMs: readonly number[]): string {
  return `p50 ${quantile(valuesMs, 0.5).toFixed(1)} ms, p99 ${quantile(valuesMs, 0.99).toFixed(1)} ms`;
}

/** Whether an aim was met, as a word. */
export function aimed(value: number, limit: number): string {
  return value <= limit ? "met" : "MISSED";
}
