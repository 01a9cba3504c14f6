// Several brokers of one cluster as processes of their own, on one real S3 server and one etcd, and what a test asks of
// them: to be killed, frozen and started again, and who leads what.
import { Kafka, logLevel } from "kafkajs";
import { BrokerProcess } from "./broker-process.ts";
import { EtcdServer } from "./etcd-server.ts";
import { S3Server } from "./s3-server.ts";
import { createTopic } from "./target-broker.ts";
import { eventually } from "./wait.ts";

/** What a test chooses of a cluster. */
export interface ClusterOptions {
  readonly brokerCount: number;
  /** Further variables of every broker. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A running cluster. Broker ids are 0, 1, … */
export class Cluster {
  readonly s3: S3Server;
  readonly etcd: EtcdServer;
  readonly brokers: readonly BrokerProcess[];

  private constructor(s3: S3Server, etcd: EtcdServer, brokers: readonly BrokerProcess[]) {
    this.s3 = s3;
    this.etcd = etcd;
    this.brokers = brokers;
  }

  /** Starts the stores, then all brokers at once, and waits until each is ready. */
  static async start({ brokerCount, env = {} }: ClusterOptions): Promise<Cluster> {
    const [s3, etcd] = await Promise.all([S3Server.start("versitygw"), EtcdServer.start()]);
    const stores = { ...s3.brokerEnv, KAFSCALE_ETCD_ENDPOINTS: etcd.endpoint, KAFSCALE_LOG_LEVEL: "info" };
    const starts = Array.from({ length: brokerCount }, (_, id) =>
      BrokerProcess.start({ env: { ...stores, KAFSCALE_BROKER_ID: String(id), ...env } }),
    );
    try {
      return new Cluster(s3, etcd, await Promise.all(starts));
    } catch (error) {
      for (const start of await Promise.allSettled(starts)) if (start.status === "fulfilled") await start.value.stop();
      await etcd.stop();
      await s3.stop();
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

  /** Creates a topic and waits until every broker leads some of its partitions. */
  async createTopic(topic: string, partitionCount: number): Promise<void> {
    await createTopic(this.bootstrap, topic, partitionCount);
    const isSpread = async () => {
      const leaders = await this.leaders(topic);
      return this.brokers.every((_, id) => leaders.filter((leader) => leader === id).length >= partitionCount / 10);
    };
    await eventually(isSpread, () => `partitions of ${topic} at every broker`);
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
    await this.etcd.stop();
    await this.s3.stop();
    if (process.env["KAFSCALE_E2E_SHOW_BROKER"] === "true") {
      for (const [id, { output }] of this.brokers.entries()) process.stderr.write(`broker ${id}:\n${output}`);
    }
  }
}
