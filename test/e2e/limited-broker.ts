// A broker in memory as a process of its own, whose limits a test chooses and whose memory it can look at. Started by
// `LimitedBroker.start`; this file is also the program of that process.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Broker } from "../../src/broker/broker.ts";
import { embeddedBrokerSettings } from "../../src/broker/broker-settings.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { TcpTransport } from "../../src/host/tcp-transport.ts";
import { defaultKafkaSettings, type KafkaSettings } from "../../src/kafka/kafka-settings.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";

/** What differs from the defaults. */
interface Limits {
  readonly requestBudgetBytes: number;
  readonly kafka: Partial<KafkaSettings>;
}

const MIB = 1024 * 1024;

/** The process, seen from the test. */
export class LimitedBroker {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  /** Starts a broker; resolves when it serves. */
  static async start(limits: Limits): Promise<LimitedBroker> {
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(limits)], { execArgv: ["--import", "tsx"] });
    const [message] = (await once(child, "message")) as [{ port: number }];
    return new LimitedBroker(child, message.port);
  }

  /** Forgets the peak of the memory so far. */
  resetPeak(): void {
    writeFileSync(`/proc/${this.#child.pid}/clear_refs`, "5");
  }

  /** Memory in MiB: now, and at its highest since the last reset. */
  memory(): { readonly nowMib: number; readonly peakMib: number } {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    const mib = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024;
    return { nowMib: mib("VmRSS"), peakMib: mib("VmHWM") };
  }

  /** Connections that the broker ended itself, by reason. */
  async ends(): Promise<Readonly<Record<string, number>>> {
    this.#child.send("ends");
    const [ends] = (await once(this.#child, "message")) as [Record<string, number>];
    return ends;
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
  }
}

async function serve({ requestBudgetBytes, kafka }: Limits): Promise<void> {
  const clock = new SystemClock();
  const metrics = new UnexportedMetrics();
  const address = { host: "127.0.0.1", port: 0 };
  const anyPace = { acceptsPerSecondMax: 1_000_000, acceptsPerSecondPerAddressMax: 1_000_000 };
  const broker = await Broker.start(
    {
      ...embeddedBrokerSettings,
      requestBudgetBytes,
      listener: address,
      advertised: address,
      kafka: { ...defaultKafkaSettings, ...anyPace, connectionsPerAddressMax: 2_000, ...kafka },
      log: { ...embeddedBrokerSettings.log, tailBytes: 16 * MIB, readCacheBytes: 16 * MIB },
    },
    {
      clock,
      random: new SystemRandom(),
      log: silentLog,
      metrics,
      transport: new TcpTransport(),
      store: new MemoryObjectStore(),
      kv: new MemoryKeyValueStore({ clock }),
    },
    { signal: new AbortController().signal },
  );
  process.on("message", () => {
    const ends = [...metrics.counters].filter(([name, { value }]) => name.includes("ended_total") && value > 0);
    process.send?.(Object.fromEntries(ends.map(([name, { value }]) => [/reason="(.*)"/.exec(name)?.[1], value])));
  });
  process.on("disconnect", () => process.exit(0));
  process.send?.({ port: broker.address.port });
}

if (process.send && process.argv[1] === fileURLToPath(import.meta.url))
  await serve(JSON.parse(process.argv[2] ?? "{}"));
