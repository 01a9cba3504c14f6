// Several brokers of one cluster as processes of their own, on one real S3 server and one etcd, and what a test asks of
// them: to be killed, frozen and started again, and who leads what. Each broker reaches the stores, and is reached by the
// others, through proxies of its own, which a test makes fail.
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { BrokerProcess, freePort } from "./broker-process.ts";
import { EtcdServer } from "./etcd-server.ts";
import { FaultProxy } from "./fault-proxy.ts";
import { S3Gate } from "./s3-gate.ts";
import { type S3Keys, S3Server, s3Access } from "./s3-server.ts";
import { createTopic } from "./target-broker.ts";
import { eventually } from "./wait.ts";

/** Longer than brokers pause between two hand-overs: after it nothing moves any more. */
const SETTLED_MS = 3_000;

/** What a test chooses of a cluster. */
export interface ClusterOptions {
  readonly brokerCount: number;
  /** Further variables of every broker. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The ways of one broker, all of its own. */
export interface BrokerLinks {
  /** To the S3 server, as a network. */
  readonly s3: FaultProxy;
  /** To the S3 server, behind {@link s3}, as calls. */
  readonly gate: S3Gate;
  readonly etcd: FaultProxy;
  /** From the other brokers. */
  readonly control: FaultProxy;
  /** Where they call it, so that it is told: the address of {@link control} without the port, which is the broker's own. */
  readonly controlHost: string;
  readonly metricsPort: number;
}

/** What can be harmed on its way. */
export type LinkKind = "s3" | "etcd" | "control";

interface ClusterParts {
  readonly s3: S3Server;
  readonly etcd: EtcdServer;
  readonly links: readonly BrokerLinks[];
  readonly keys: MountedKeys;
}

/** A folder with the keys of the S3 server, replaced as a whole, as a mounted Secret is. */
class MountedKeys {
  readonly #folder = mkdtempSync(join(tmpdir(), "kafscale-e2e-keys-"));
  #version = 0;
  #current: S3Keys = s3Access;

  get current(): S3Keys {
    return this.#current;
  }

  /** What brokers are told. */
  get folder(): string {
    return join(this.#folder, "current");
  }

  put({ accessKeyId, secretAccessKey }: S3Keys): void {
    const version = String(++this.#version);
    this.#current = { accessKeyId, secretAccessKey };
    mkdirSync(join(this.#folder, version));
    writeFileSync(join(this.#folder, version, "AWS_ACCESS_KEY_ID"), accessKeyId);
    writeFileSync(join(this.#folder, version, "AWS_SECRET_ACCESS_KEY"), secretAccessKey);
    symlinkSync(version, join(this.#folder, "next"));
    renameSync(join(this.#folder, "next"), this.folder);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function openLinks(id: number, s3: S3Server, etcd: EtcdServer): Promise<BrokerLinks> {
  const gate = await S3Gate.open(s3.port);
  const metricsPort = await freePort();
  // The port is a part of what a broker tells the others, so its stand-in has the same one at another address.
  const controlHost = `127.0.1.${id + 1}`;
  return {
    gate,
    s3: await FaultProxy.open(gate.port, { standsForPort: s3.port }),
    etcd: await FaultProxy.open(etcd.port, { standsForPort: etcd.port }),
    control: await FaultProxy.open(metricsPort, { host: controlHost, port: metricsPort, standsForPort: metricsPort }),
    controlHost,
    metricsPort,
  };
}

/** A running cluster. Broker ids are 0, 1, … */
export class Cluster {
  readonly s3: S3Server;
  readonly etcd: EtcdServer;
  readonly brokers: readonly BrokerProcess[];
  /** By broker id. */
  readonly links: readonly BrokerLinks[];
  /** The keys that the brokers sign with. */
  readonly keys: MountedKeys;

  private constructor({ s3, etcd, links, keys }: ClusterParts, brokers: readonly BrokerProcess[]) {
    this.s3 = s3;
    this.etcd = etcd;
    this.links = links;
    this.keys = keys;
    this.brokers = brokers;
  }

  /** Starts the stores, then all brokers at once, and waits until each is ready. */
  static async start({ brokerCount, env = {} }: ClusterOptions): Promise<Cluster> {
    const [s3, etcd] = await Promise.all([S3Server.start("versitygw"), EtcdServer.start()]);
    const ids = Array.from({ length: brokerCount }, (_, id) => id);
    const links = await Promise.all(ids.map((id) => openLinks(id, s3, etcd)));
    const keys = new MountedKeys();
    keys.put(s3Access);
    const parts = { s3, etcd, links, keys };
    const { KAFSCALE_S3_ACCESS_KEY: _, KAFSCALE_S3_SECRET_KEY: __, ...bucket } = s3.brokerEnv;
    const starts = links.map((link, id) =>
      BrokerProcess.start({
        metricsPort: link.metricsPort,
        env: {
          ...bucket,
          KAFSCALE_S3_CREDENTIALS_DIR: keys.folder,
          KAFSCALE_S3_ENDPOINT: `http://127.0.0.1:${link.s3.port}`,
          KAFSCALE_ETCD_ENDPOINTS: `http://127.0.0.1:${link.etcd.port}`,
          KAFSCALE_CONTROL_HOST: link.controlHost,
          KAFSCALE_LOG_LEVEL: process.env["KAFSCALE_LOG_LEVEL"] ?? "info",
          KAFSCALE_BROKER_ID: String(id),
          ...env,
        },
      }),
    );
    try {
      return new Cluster(parts, await Promise.all(starts));
    } catch (error) {
      for (const start of await Promise.allSettled(starts)) if (start.status === "fulfilled") await start.value.stop();
      await stopParts(parts);
      throw error;
    }
  }

  /** The addresses of all brokers, as clients are given them. */
  get bootstraps(): string[] {
    return this.brokers.map(({ bootstrap }) => bootstrap);
  }

  /** The same in one text, for programs. */
  get bootstrap(): string {
    return this.bootstraps.join(",");
  }

  /** What the ways of all brokers have harmed so far: calls of the S3 server, pieces and connections of the others. */
  get harmedCounts(): Readonly<Record<LinkKind, number>> {
    const sum = (count: (links: BrokerLinks) => number) => this.links.reduce((total, link) => total + count(link), 0);
    return {
      s3: sum(({ s3, gate }) => s3.harmedCount + gate.harmedCount + gate.refusedCount),
      etcd: sum(({ etcd }) => etcd.harmedCount),
      control: sum(({ control }) => control.harmedCount),
    };
  }

  /** Lets everything pass again. */
  mendLinks(): void {
    for (const { s3, gate, etcd, control } of this.links) {
      for (const proxy of [s3, etcd, control]) {
        proxy.mode = "pass";
        proxy.delayMs = 0;
      }
      gate.isStorming = false;
      gate.putDelayMs = 0;
    }
  }

  /** Creates a topic and waits until every broker leads some of its partitions, and none has moved for a while. */
  async createTopic(topic: string, partitionCount: number): Promise<void> {
    await createTopic(this.bootstrap, topic, partitionCount);
    let before = "";
    let sinceMs = Date.now();
    const isSettled = async () => {
      const leaders = await this.leaders(topic);
      if (JSON.stringify(leaders) !== before) {
        before = JSON.stringify(leaders);
        sinceMs = Date.now();
      }
      const isSpread = this.brokers.every(
        (_, id) => leaders.filter((leader) => leader === id).length >= partitionCount / 10,
      );
      return isSpread && Date.now() - sinceMs >= SETTLED_MS;
    };
    await eventually(isSettled, () => `partitions of ${topic} settled at every broker: ${before}`);
  }

  /** The leader of each partition, by what some broker says; none while nobody answers. */
  async leaders(topic: string): Promise<readonly number[]> {
    const retry = { retries: 2, initialRetryTime: 50, maxRetryTime: 100 };
    const kafka = new Kafka({ brokers: this.bootstraps, logLevel: logLevel.NOTHING, requestTimeout: 1_000, retry });
    const admin = kafka.admin();
    try {
      await admin.connect();
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      const partitions = topics[0]?.partitions ?? [];
      return partitions.toSorted((left, right) => left.partitionId - right.partitionId).map(({ leader }) => leader);
    } catch {
      return [];
    } finally {
      await admin.disconnect();
    }
  }

  /** Waits until each partition has the leader that it had: who should lead follows from the ids of the live brokers. */
  async untilLeadersAre(topic: string, expected: readonly number[], timeoutMs = 60_000): Promise<void> {
    let leaders: readonly number[] = [];
    const look = async () => {
      leaders = await this.leaders(topic);
      return JSON.stringify(leaders) === JSON.stringify(expected);
    };
    const describe = () => `leaders as before:\n${JSON.stringify(leaders)}\n${JSON.stringify(expected)}`;
    await eventually(look, describe, timeoutMs);
  }

  /** Ends everything that was started. */
  async stop(): Promise<void> {
    await Promise.all(
      this.brokers.map(async ({ program }) => {
        program.signal("SIGCONT");
        program.kill();
        await program.waitForEnd(10_000);
      }),
    );
    await stopParts(this);
    if (process.env["KAFSCALE_E2E_SHOW_BROKER"] === "true") {
      for (const [id, { output }] of this.brokers.entries()) process.stderr.write(`broker ${id}:\n${output}`);
    }
    const logFolder = process.env["KAFSCALE_E2E_LOGS"];
    if (logFolder) this.writeLogs(logFolder);
  }

  /** Writes what the brokers have said so far into files of a folder. */
  writeLogs(folder: string): void {
    mkdirSync(folder, { recursive: true });
    for (const [id, { output }] of this.brokers.entries()) writeFileSync(join(folder, `broker-${id}.log`), output);
  }
}

async function stopParts({ s3, etcd, links, keys }: ClusterParts): Promise<void> {
  for (const link of links) {
    await Promise.all([link.s3, link.etcd, link.control].map((proxy) => proxy.close()));
    link.gate.close();
  }
  await etcd.stop();
  await s3.stop();
  keys.remove();
}
