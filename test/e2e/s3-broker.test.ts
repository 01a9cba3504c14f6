// A broker on a real bucket and a real etcd: clients write and read, kill -9 under load loses nothing that was
// acknowledged, a wrong bucket is refused, and each half-set or wrong setting ends the start with one line.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { BrokerProcess } from "./broker-process.ts";
import { javaStream, kafkajsStream, pythonStream } from "./clients/value-stream.ts";
import { EtcdServer } from "./etcd-server.ts";
import { runProgram } from "./program.ts";
import { refusalOf } from "./refused-start.ts";
import { type S3Keys, S3Server, s3Access, s3ServerNames } from "./s3-server.ts";
import { expectDense, judge, readAll } from "./stored-records.ts";
import { createTopic } from "./target-broker.ts";
import { describeWithTools, toolCommand } from "./tools.ts";
import { eventually } from "./wait.ts";

const killCount = Number(process.env["KAFSCALE_E2E_KILLS"] ?? "3");

for (const name of s3ServerNames) {
  describeWithTools(`a broker on ${name} and etcd`, ["etcd", "kafka", "kcat", "python", name], () => {
    let s3: S3Server;
    let etcd: EtcdServer;
    let env: Readonly<Record<string, string>>;
    let broker: BrokerProcess;
    beforeAll(async () => {
      s3 = await S3Server.start(name);
      etcd = await EtcdServer.start();
      env = { ...s3.brokerEnv, KAFSCALE_ETCD_ENDPOINTS: etcd.endpoint };
      broker = await BrokerProcess.start({ env });
    });
    afterAll(async () => {
      await broker?.stop();
      await etcd?.stop();
      await s3?.stop();
    });

    it("gives kcat what kafkajs wrote and kafkajs what kcat wrote, from before a kill too", async () => {
      const { bootstrap } = broker;
      const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING });
      const producer = kafka.producer();
      await createTopic(bootstrap, "orders", 1);
      await producer.connect();
      await producer.send({ topic: "orders", messages: [{ value: "from kafkajs" }] });
      await producer.disconnect();
      await broker.killHard();
      await broker.restart();
      await runProgram(toolCommand("kcat"), ["-P", "-b", bootstrap, "-t", "orders"], { input: "from kcat\n" });
      const args = ["-C", "-b", bootstrap, "-t", "orders", "-o", "beginning", "-e", "-q"];
      const { stdout } = await runProgram(toolCommand("kcat"), args);
      expect(stdout).toBe("from kafkajs\nfrom kcat\n");
      const values: string[] = [];
      const consumer = kafka.consumer({ groupId: "readers" });
      await consumer.connect();
      await consumer.subscribe({ topic: "orders", fromBeginning: true });
      await consumer.run({
        eachMessage: ({ message }) => Promise.resolve(void values.push(String(message.value))),
      });
      await eventually(
        () => values.length === 2,
        () => values.join(),
      );
      await consumer.disconnect();
      expect(values).toEqual(["from kafkajs", "from kcat"]);
    });

    it(`loses nothing acknowledged and stores nothing twice in ${killCount} kills`, {
      timeout: 120_000 + killCount * 60_000,
    }, async () => {
      const target = { bootstrap: broker.bootstrap, topic: "crash" };
      await createTopic(broker.bootstrap, target.topic, 3);
      const streams = [javaStream(target), pythonStream(target, true), await kafkajsStream(target)];
      for (let kill = 0; kill <= killCount; kill++) {
        if (kill > 0) {
          await broker.killHard();
          await broker.restart();
        }
        const goals = streams.map((stream) => stream.acknowledged.length + 100);
        const counts = () => streams.map((stream) => `${stream.name}: ${stream.acknowledged.length}`).join(", ");
        const isReached = () => streams.every((stream, index) => stream.acknowledged.length >= (goals[index] ?? 0));
        await eventually(isReached, () => `100 more of each after kill ${kill}: ${counts()}`, 90_000);
      }
      await Promise.all(streams.map((stream) => stream.end()));
      const stored = await readAll(broker.bootstrap, target.topic);
      for (const stream of streams) judge(stream, stored);
      expectDense(stored);
    });

    it("shows on its metrics what it found out about the bucket", async () => {
      const answer = await fetch(`http://127.0.0.1:${broker.metricsPort}/metrics`);
      const text = await answer.text();
      expect(text).toContain("kafscale_s3_uploads_checked 1\n");
      expect(text).toContain("kafscale_s3_versions_kept 0\n");
      const [, skewSeconds] = /^kafscale_s3_clock_skew_seconds (\S+)$/m.exec(text) ?? [];
      expect(Math.abs(Number(skewSeconds))).toBeLessThan(5);
    });

    it("refuses a bucket that belongs to another cluster", async () => {
      expect(await refusalOf({ ...env, KAFSCALE_CLUSTER_NAME: "other", KAFSCALE_S3_NAMESPACE: "kafscale" })).toMatch(
        /cluster-id names cluster .*, but the metadata store knows no cluster/,
      );
    });

    it("ends a start with one line that says what to do", async () => {
      const refusals: readonly (readonly [Record<string, string>, string])[] = [
        [{ KAFSCALE_S3_BUCKET: "nobody" }, "there is no bucket nobody"],
        [{ KAFSCALE_S3_ACCESS_KEY: "nobody" }, "the store does not know the access key"],
        [{ KAFSCALE_S3_SECRET_KEY: "wrong" }, "the secret key does not belong to the access key"],
        [{ KAFSCALE_S3_REGION: "" }, "KAFSCALE_S3_REGION is not: set the region"],
        [{ KAFSCALE_ETCD_ENDPOINTS: "" }, "neither KAFSCALE_ETCD_ENDPOINTS nor --data-dir"],
      ];
      for (const [more, text] of refusals) {
        const met = await refusalOf({ ...env, ...more });
        expect(met).toContain(text);
        expect(met.trim().split("\n")).toHaveLength(1);
      }
    });

    it("goes on with new keys after the old ones were refused under load, without a restart", async () => {
      const keys = mkdtempSync(join(tmpdir(), "kafscale-e2e-keys-"));
      const give = ({ accessKeyId, secretAccessKey }: S3Keys) => {
        writeFileSync(join(keys, "AWS_ACCESS_KEY_ID"), accessKeyId);
        writeFileSync(join(keys, "AWS_SECRET_ACCESS_KEY"), secretAccessKey);
      };
      give(s3Access);
      const mounted = { KAFSCALE_S3_ACCESS_KEY: "", KAFSCALE_S3_SECRET_KEY: "", KAFSCALE_S3_CREDENTIALS_DIR: keys };
      const own = { KAFSCALE_CLUSTER_NAME: "rotation", KAFSCALE_S3_PUTS_PER_SECOND: "20" };
      const rotated = await BrokerProcess.start({ env: { ...env, ...mounted, ...own } });
      const target = { bootstrap: rotated.bootstrap, topic: "rotation" };
      await createTopic(target.bootstrap, target.topic, 3);
      const streams = [pythonStream(target, true), await kafkajsStream(target)];
      const more = async (count: number) => {
        const goals = streams.map((stream) => stream.acknowledged.length + count);
        const isReached = () => streams.every((stream, index) => stream.acknowledged.length >= (goals[index] ?? 0));
        await eventually(isReached, () => `${count} more of each`, 90_000);
      };
      await more(100);
      const next = { accessKeyId: "nextkey1", secretAccessKey: "nextsecret" };
      // The worst order: the store knows the new keys only, and the broker is given them later.
      await s3.restart(next);
      const isRefused = () => rotated.program.stdout.includes("the store does not know the access key");
      await eventually(isRefused, () => `a refusal in the log\n${rotated.program.describe()}`, 30_000);
      give(next);
      await more(100);
      await Promise.all(streams.map((stream) => stream.end()));
      const stored = await readAll(target.bootstrap, target.topic);
      for (const stream of streams) judge(stream, stored);
      expectDense(stored);
      expect(await rotated.stop()).toBe(0);
      await s3.restart(s3Access);
      rmSync(keys, { recursive: true, force: true });
    });

    it("keeps metadata in a folder where there is no etcd, and finds its records again", async () => {
      const dataDir = mkdtempSync(join(tmpdir(), "kafscale-e2e-"));
      const alone = { ...s3.brokerEnv, KAFSCALE_S3_NAMESPACE: "alone" };
      const single = await BrokerProcess.start({ dataDir, env: alone });
      const { bootstrap } = single;
      await createTopic(bootstrap, "alone", 1);
      await runProgram(toolCommand("kcat"), ["-P", "-b", bootstrap, "-t", "alone"], { input: "kept\n" });
      await single.killHard();
      await single.restart();
      expect((await readAll(bootstrap, "alone")).map(({ payload }) => payload)).toEqual(["kept"]);
      await single.stop();
      rmSync(dataDir, { recursive: true, force: true });
    });
  });
}
