// A broker whose stores refuse it, have no room, have another clock, or give back damaged objects: one clear line at the
// start or an error that clients repeat, the state where people look, no crash, no records kept in memory instead.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { BrokerProcess } from "./broker-process.ts";
import { EtcdServer } from "./etcd-server.ts";
import { RunningProgram, runProgram } from "./program.ts";
import { refusalOf } from "./refused-start.ts";
import { S3Server } from "./s3-server.ts";
import { ShiftedClock } from "./shifted-clock.ts";
import { createTopic } from "./target-broker.ts";
import { describeWithTools, toolCommand } from "./tools.ts";
import { eventually } from "./wait.ts";

const kcat = toolCommand("kcat");

async function startEtcd(flags: readonly string[] = []): Promise<EtcdServer> {
  const etcd = await EtcdServer.start({ flags });
  onTestFinished(() => etcd.stop());
  return etcd;
}

async function startBroker(env: Readonly<Record<string, string>>): Promise<BrokerProcess> {
  const broker = await BrokerProcess.start({ env });
  onTestFinished(async () => {
    broker.program.kill();
    await broker.program.waitForEnd(10_000);
  });
  return broker;
}

/** Writes one record; kcat's exit code, 0 when it was acknowledged within `timeoutMs`. */
async function write(
  broker: BrokerProcess,
  to: { topic: string; partition: number },
  text: string,
  timeoutMs = 20_000,
) {
  const args = ["-P", "-b", broker.bootstrap, "-t", to.topic, "-p", String(to.partition)];
  const program = new RunningProgram(kcat, [...args, "-X", `message.timeout.ms=${timeoutMs}`]);
  program.write(`${text}\n`);
  program.endInput();
  return (await program.waitForEnd(timeoutMs + 10_000)).exitCode;
}

/** What is in a partition. */
async function read(broker: BrokerProcess, topic: string, partition: number): Promise<string> {
  const args = ["-C", "-b", broker.bootstrap, "-t", topic, "-p", String(partition), "-o", "beginning", "-e", "-q"];
  return (await runProgram(kcat, args)).stdout;
}

/** What kafkajs is told of a partition's records until it has met an error of a fetch: the names of the errors. */
async function fetchErrors(broker: BrokerProcess, topic: string): Promise<ReadonlySet<string>> {
  const errors = new Set<string>();
  const kafka = new Kafka({
    brokers: [broker.bootstrap],
    logLevel: logLevel.ERROR,
    logCreator:
      () =>
      ({ log }) =>
        void errors.add(String(log["error"] ?? log.message)),
  });
  const consumer = kafka.consumer({ groupId: `${topic}-readers`, maxWaitTimeInMs: 200 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ eachMessage: () => Promise.resolve() });
  const isMet = () => [...errors].some((text) => /Disk error|CRC|corrupt/i.test(text));
  await eventually(isMet, () => `an error of a fetch\n${[...errors].join("\n")}\n${broker.program.describe()}`, 30_000);
  await consumer.disconnect();
  return errors;
}

/** The files of the write-ahead objects that hold `text`. */
function objectsWith(s3: S3Server, text: string): readonly string[] {
  const folder = join(s3.folder, s3.bucket);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => path.includes("/wal/"));
  return paths.filter((path) => readFileSync(path).includes(text));
}

describeWithTools("a broker in bad surroundings", ["etcd", "faketime", "kafka", "kcat", "versitygw"], () => {
  let s3: S3Server;
  beforeAll(async () => {
    s3 = await S3Server.start("versitygw");
    return () => s3.stop();
  });
  let clusterCount = 0;
  /** Variables of a broker of a cluster of its own. */
  function envOn(etcd: EtcdServer): Record<string, string> {
    const cluster = { KAFSCALE_CLUSTER_NAME: `surroundings-${clusterCount++}`, KAFSCALE_S3_PUTS_PER_SECOND: "20" };
    return { ...s3.brokerEnv, ...cluster, KAFSCALE_ETCD_ENDPOINTS: etcd.endpoint, KAFSCALE_LOG_LEVEL: "info" };
  }

  async function expectRefusal(env: Readonly<Record<string, string>>, text: string | RegExp): Promise<void> {
    const refusal = await refusalOf({ ...env, KAFSCALE_LOG_LEVEL: "error" });
    expect(refusal).toMatch(text);
    expect(refusal.trim().split("\n")).toHaveLength(1);
  }

  it("ends its start with one line when its keys lack a right, or the region is another one", async () => {
    const env = envOn(await startEtcd());
    await s3.addUser({ accessKeyId: "guest", secretAccessKey: "guest-secret" }, "user");
    const guest = { KAFSCALE_S3_ACCESS_KEY: "guest", KAFSCALE_S3_SECRET_KEY: "guest-secret" };
    await expectRefusal({ ...env, ...guest }, /the keys lack a right: allow s3:GetObject.* on bucket kafscale/);
    await expectRefusal({ ...env, KAFSCALE_S3_REGION: "eu-west-1" }, /set KAFSCALE_S3_REGION, which is eu-west-1/);
  });

  it("ends its start with one line when etcd refuses its login, or it has none, or no rights", async () => {
    const etcd = await startEtcd();
    const env = envOn(etcd);
    for (const name of ["root", "stranger"]) await etcd.control("user", "add", `${name}:secret`);
    await etcd.control("user", "grant-role", "root", "root");
    await etcd.control("auth", "enable");
    const login = (name: string, password: string) => ({
      KAFSCALE_ETCD_USERNAME: name,
      KAFSCALE_ETCD_PASSWORD: password,
    });
    await expectRefusal(env, /set KAFSCALE_ETCD_USERNAME/);
    await expectRefusal({ ...env, ...login("stranger", "wrong") }, /KAFSCALE_ETCD_PASSWORD/);
    await expectRefusal({ ...env, ...login("stranger", "secret") }, /grant-permission/);
  });

  it("serves with a clock that is wrong by an hour, and says so", async () => {
    const clock = new ShiftedClock();
    onTestFinished(() => clock.remove());
    clock.shift(3_600);
    const broker = await startBroker({ ...envOn(await startEtcd()), ...clock.env });
    await createTopic(broker.bootstrap, "late", 1);
    expect(await write(broker, { topic: "late", partition: 0 }, "written")).toBe(0);
    expect(await read(broker, "late", 0)).toBe("written\n");
    expect(broker.program.stdout).toMatch(/clock/);
    expect(await broker.metric("kafscale_s3_clock_skew_seconds")).toBeLessThan(-3_500);
  });

  it("acknowledges nothing while etcd is full, stays up, is not ready, and goes on once there is room", async () => {
    const etcd = await startEtcd([`--quota-backend-bytes=${16 * 1024 * 1024}`]);
    const broker = await startBroker(envOn(etcd));
    const place = { topic: "full", partition: 0 };
    await createTopic(broker.bootstrap, "full", 1);
    expect(await write(broker, place, "before")).toBe(0);
    const filler = "x".repeat(100_000);
    const isFull = async () => {
      const puts = Array.from({ length: 20 }, (_, index) => etcd.control("put", `/filler/${index}`, filler));
      return (await Promise.allSettled(puts)).some(({ status }) => status === "rejected");
    };
    await eventually(isFull, () => "etcd to be full");
    expect(await write(broker, place, "meanwhile", 3_000)).not.toBe(0);
    // The session dies of a head that had no answer for 30 s, and none can be registered.
    const isUnready = async () => (await broker.readiness())?.status === 503;
    await eventually(isUnready, () => broker.program.describe(), 60_000);
    expect(broker.program.hasEnded).toBe(false);
    expect(await broker.metric("kafscale_sessions")).toBe(1);
    expect(broker.output).toMatch(/out of its space quota/);
    await etcd.control("del", "--prefix", "/filler/");
    const status = await etcd.control("endpoint", "status", "-w", "fields");
    const [, revision = ""] = /"Revision" : (\d+)/.exec(status) ?? [];
    await etcd.control("compaction", "--physical", revision);
    await etcd.control("defrag");
    await etcd.control("alarm", "disarm");
    const isReady = async () => (await broker.readiness())?.status === 200;
    await eventually(isReady, () => broker.program.describe(), 60_000);
    expect(await write(broker, place, "after")).toBe(0);
    const lines = (await read(broker, "full", 0)).trim().split("\n");
    expect(lines).toEqual(["before", ...lines.filter((line) => line === "meanwhile").slice(0, 1), "after"]);
  }, 240_000);

  it("answers KAFKA_STORAGE_ERROR for the partition of a damaged object, names it, and serves the rest", async () => {
    const broker = await startBroker(envOn(await startEtcd()));
    for (const topic of ["damaged", "whole"]) await createTopic(broker.bootstrap, topic, 1);
    expect(await write(broker, { topic: "damaged", partition: 0 }, "to-be-damaged")).toBe(0);
    expect(await write(broker, { topic: "whole", partition: 0 }, "kept")).toBe(0);
    expect(await broker.stop()).toBe(0);
    const [path = ""] = objectsWith(s3, "to-be-damaged");
    const bytes = readFileSync(path);
    bytes.write("2", bytes.indexOf("to-be-damaged"));
    writeFileSync(path, bytes);
    await broker.restart();
    expect(await read(broker, "whole", 0)).toBe("kept\n");
    expect([...(await fetchErrors(broker, "damaged"))].join()).toContain("Disk error");
    const [, key = ""] = path.split(`/${s3.bucket}/`);
    expect(broker.program.stdout).toContain(key);
    expect(await broker.metric("kafscale_corrupt_reads_total")).toBeGreaterThan(0);
    expect(await write(broker, { topic: "damaged", partition: 0 }, "later")).toBe(0);
    expect(await write(broker, { topic: "whole", partition: 0 }, "more")).toBe(0);
    expect(await read(broker, "whole", 0)).toBe("kept\nmore\n");
    expect(broker.program.hasEnded).toBe(false);
  });
});
