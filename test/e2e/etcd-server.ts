// A real member of etcd as its own process, alone or one of several, on ports that stay its own over restarts, with its
// folder removed at the end. What a test asks of it beyond the store's seam goes through etcdctl.
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./broker-process.ts";
import { RunningProgram, runProgram } from "./program.ts";
import { toolCommand } from "./tools.ts";

/** What a test chooses of a server. */
export interface EtcdServerOptions {
  /** Further flags, like `--quota-backend-bytes=16777216`. */
  readonly flags?: readonly string[];
  /** Files of a server that speaks TLS and asks for a client certificate; plain text without them. */
  readonly tls?: { readonly ca: string; readonly certificate: string; readonly key: string };
}

interface Membership {
  readonly name: string;
  readonly peerPort: number;
  /** Every member as `name=url`. */
  readonly cluster: readonly string[];
}

/** One member of etcd. Nothing is synced to the disk: a test may kill the process, not the machine. */
export class EtcdServer {
  readonly folder: string;
  readonly port: number;
  readonly #membership: Membership;
  readonly #metricsPort: number;
  readonly #options: EtcdServerOptions;
  #program: RunningProgram;

  private constructor(ports: readonly [number, number], membership: Membership, options: EtcdServerOptions) {
    [this.port, this.#metricsPort] = ports;
    this.#membership = membership;
    this.#options = options;
    this.folder = mkdtempSync(join(tmpdir(), "kafscale-etcd-"));
    this.#program = this.#launch();
  }

  /** Starts a server and waits until it answers. */
  static async start(options: EtcdServerOptions = {}): Promise<EtcdServer> {
    const [server] = await EtcdServer.startMembers(1, options);
    if (!server) throw new Error("no member was started");
    return server;
  }

  /** Starts the members of one cluster and waits until each of them answers. */
  static async startMembers(count: number, options: EtcdServerOptions = {}): Promise<readonly EtcdServer[]> {
    const peerPorts: number[] = [];
    for (let index = 0; index < count; index++) peerPorts.push(await freePort());
    const cluster = peerPorts.map((port, index) => `n${index}=http://127.0.0.1:${port}`);
    const servers: EtcdServer[] = [];
    for (const [index, peerPort] of peerPorts.entries()) {
      const membership = { name: `n${index}`, peerPort, cluster };
      servers.push(new EtcdServer([await freePort(), await freePort()], membership, options));
    }
    await Promise.all(servers.map((server) => server.#waitUntilReady()));
    return servers;
  }

  /** What clients connect to. */
  get endpoint(): string {
    return `${this.#options.tls ? "https" : "http"}://127.0.0.1:${this.port}`;
  }

  /** The running process. */
  get program(): RunningProgram {
    return this.#program;
  }

  /** Ends the process where it stands. */
  async killHard(): Promise<void> {
    this.#program.kill();
    await this.#program.waitForEnd(10_000);
  }

  /** Starts the process again after it ended. */
  async restart(): Promise<void> {
    this.#program = this.#launch();
    await this.#waitUntilReady();
  }

  /** Ends the process and removes its folder. */
  async stop(): Promise<void> {
    this.#program.signal("SIGCONT");
    if (!this.#program.hasEnded) await this.killHard();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Runs etcdctl against this server and gives what it printed. */
  async control(...args: readonly string[]): Promise<string> {
    const { tls } = this.#options;
    const files = tls ? [`--cacert=${tls.ca}`, `--cert=${tls.certificate}`, `--key=${tls.key}`] : [];
    const result = await runProgram(toolCommand("etcdctl"), [`--endpoints=${this.endpoint}`, ...files, ...args]);
    return result.stdout;
  }

  #launch(): RunningProgram {
    const { tls, flags = [] } = this.#options;
    const { name, peerPort, cluster } = this.#membership;
    const peer = `http://127.0.0.1:${peerPort}`;
    const secure = tls
      ? [`--cert-file=${tls.certificate}`, `--key-file=${tls.key}`, `--trusted-ca-file=${tls.ca}`, "--client-cert-auth"]
      : [];
    const args = [`--name=${name}`, `--data-dir=${join(this.folder, "data")}`, "--log-level=warn", "--unsafe-no-fsync"];
    args.push(`--listen-client-urls=${this.endpoint}`, `--advertise-client-urls=${this.endpoint}`);
    args.push(
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${cluster.join(",")}`,
    );
    args.push(`--listen-metrics-urls=http://127.0.0.1:${this.#metricsPort}`, ...secure, ...flags);
    return new RunningProgram(toolCommand("etcd"), args);
  }

  async #waitUntilReady(): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!(await this.#isReady())) {
      if (this.#program.hasEnded) throw new Error(`etcd ended at its start\n${this.#program.describe()}`);
      if (Date.now() > deadline) throw new Error(`etcd was not ready in 30 s\n${this.#program.describe()}`);
      await sleep(20);
    }
  }

  #isReady(): Promise<boolean> {
    return new Promise((resolve) => {
      const options = { host: "127.0.0.1", port: this.#metricsPort, path: "/readyz", timeout: 2000 };
      const probe = request(options, (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      });
      probe.on("error", () => resolve(false));
      probe.on("timeout", () => probe.destroy());
      probe.end();
    });
  }
}
