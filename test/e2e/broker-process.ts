// One real broker as its own process, started as a user starts it. It is ready when /readyz says so.
import { createServer } from "node:net";
import { join } from "node:path";
import { RunningProgram } from "./program.ts";
import { repositoryRoot } from "./tools.ts";

const entryPoint = join(repositoryRoot, "dist", "src", "main", "kafscale.js");

/** No promise: how long a start may take on a machine whose cores are busy with other work. */
const START_MS_MAX = 60_000;

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}

/** What a test chooses of a broker. */
export interface BrokerProcessOptions {
  /** Folder of the embedded stores; in memory without it. */
  readonly dataDir?: string;
  /** Any free one without it. */
  readonly metricsPort?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** A broker that can be killed and started again on the same ports and folder. */
export class BrokerProcess {
  readonly kafkaPort: number;
  readonly metricsPort: number;
  readonly #options: BrokerProcessOptions;
  readonly #earlier: RunningProgram[] = [];
  /** Variables of the next start beside those of every start. */
  #more: Readonly<Record<string, string>> = {};
  #program: RunningProgram;

  private constructor(kafkaPort: number, metricsPort: number, options: BrokerProcessOptions) {
    this.kafkaPort = kafkaPort;
    this.metricsPort = metricsPort;
    this.#options = options;
    this.#program = this.#launch();
  }

  /** Starts a broker and waits until it is ready. */
  static async start(options: BrokerProcessOptions = {}): Promise<BrokerProcess> {
    const broker = new BrokerProcess(await freePort(), options.metricsPort ?? (await freePort()), options);
    await broker.#waitUntilReady();
    return broker;
  }

  /** What clients connect to. */
  get bootstrap(): string {
    return `127.0.0.1:${this.kafkaPort}`;
  }

  /** The running process. */
  get program(): RunningProgram {
    return this.#program;
  }

  /** What every process of this broker has written, the ended ones first. */
  get output(): string {
    return [...this.#earlier, this.#program].map(({ stdout, stderr }) => stdout + stderr).join("");
  }

  /** Ends the process as a power cut would: no handler runs. */
  async killHard(): Promise<void> {
    this.#program.kill();
    await this.#program.waitForEnd(10_000);
  }

  /** Starts the process again after it ended, perhaps with further variables for this one life. */
  async restart(more: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#more = more;
    this.#earlier.push(this.#program);
    this.#program = this.#launch();
    await this.#waitUntilReady();
  }

  /** What the broker's metrics say of `name`; not a number where they say nothing. */
  async metric(name: string): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${this.metricsPort}/metrics`, { signal: AbortSignal.timeout(5_000) });
    const line = (await answer.text()).split("\n").find((text) => text.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? Number.NaN);
  }

  /** Asks the broker to end and gives its exit code. */
  async stop(): Promise<number | null> {
    const result = await this.#program.stop("SIGTERM", 30_000);
    return result.exitCode;
  }

  #launch(): RunningProgram {
    const args = [entryPoint, "serve"];
    args.push("--kafka-addr", `127.0.0.1:${this.kafkaPort}`, "--metrics-addr", `127.0.0.1:${this.metricsPort}`);
    if (this.#options.dataDir !== undefined) args.push("--data-dir", this.#options.dataDir);
    const program = new RunningProgram(process.execPath, args, { env: { ...this.#options.env, ...this.#more } });
    return program;
  }

  async #waitUntilReady(): Promise<void> {
    const deadline = Date.now() + START_MS_MAX;
    while ((await this.readiness())?.status !== 200) {
      if (this.#program.hasEnded) throw new Error(`the broker ended at its start\n${this.#program.describe()}`);
      if (Date.now() > deadline)
        throw new Error(`the broker was not ready in ${START_MS_MAX / 1_000} s\n${this.#program.describe()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** What `/readyz` answers, status and text; undefined when nothing does. */
  async readiness(): Promise<{ readonly status: number; readonly text: string } | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.metricsPort}/readyz`, { signal: AbortSignal.timeout(2000) });
      return { status: answer.status, text: await answer.text() };
    } catch {
      return undefined;
    }
  }
}
