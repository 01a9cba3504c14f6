// `kafscale verify` as an operator runs it, beside a broker on a real bucket and a real etcd: nothing to tell while all is
// well, each planted fault told by its key, strays removed and nothing else.
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { VerificationReport } from "../../src/broker/cluster-verification.ts";
import { BrokerProcess } from "./broker-process.ts";
import { EtcdServer } from "./etcd-server.ts";
import { type ProgramResult, RunningProgram } from "./program.ts";
import { S3Server } from "./s3-server.ts";
import { createTopic } from "./target-broker.ts";
import { describeWithTools, repositoryRoot } from "./tools.ts";

const entryPoint = join(repositoryRoot, "dist", "src", "main", "kafscale.js");
const DEAD = "0123456789abcdef01234567";
const STRAY = `kafscale/wal/${DEAD}/000000000001`;

describeWithTools("kafscale verify", ["etcd", "versitygw"], () => {
  let s3: S3Server;
  let etcd: EtcdServer;
  let env: Readonly<Record<string, string>>;
  let broker: BrokerProcess;
  beforeAll(async () => {
    s3 = await S3Server.start("versitygw");
    etcd = await EtcdServer.start();
    env = { ...s3.brokerEnv, KAFSCALE_ETCD_ENDPOINTS: etcd.endpoint };
    broker = await BrokerProcess.start({ env });
  });
  afterAll(async () => {
    await broker?.stop();
    await etcd?.stop();
    await s3?.stop();
  });

  const run = (...args: readonly string[]): Promise<ProgramResult> =>
    new RunningProgram(process.execPath, [entryPoint, "verify", ...args], { env }).waitForEnd(60_000);

  async function found(...args: readonly string[]): Promise<{ code: number | null; texts: string[] }> {
    const { exitCode, stdout, stderr } = await run("--json", ...args);
    expect(stdout, stderr).not.toBe("");
    const { findings } = JSON.parse(stdout) as VerificationReport;
    return { code: exitCode, texts: findings.map(({ kind, key }) => `${kind} ${key}`).sort() };
  }

  async function produce(count: number): Promise<void> {
    const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING });
    const producer = kafka.producer();
    await producer.connect();
    for (let index = 0; index < count; index++) {
      await producer.send({ topic: "orders", messages: [{ value: `${index}`, partition: index % 3 }] });
    }
    await producer.disconnect();
  }

  /** versitygw keeps an object in a file of its name. */
  const fileOf = (key: string) => join(s3.folder, s3.bucket, key);
  const plant = (key: string) => {
    mkdirSync(dirname(fileOf(key)), { recursive: true });
    writeFileSync(fileOf(key), "x");
  };

  it("finds nothing beside a broker that takes records", async () => {
    await createTopic(broker.bootstrap, "orders", 3);
    const producing = produce(60);
    expect(await found()).toEqual({ code: 0, texts: [] });
    await producing;
    const { exitCode, stdout } = await run("--deep");
    expect({ exitCode, stdout }).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining("Nothing is wrong.") as string,
    });
  });

  it("tells of strays and foreign objects, and removes what is nobody's once no broker lives", async () => {
    plant(STRAY);
    plant("kafscale/notes.txt");
    mkdirSync(fileOf("kafscale/empty-folder"), { recursive: true });
    const both = [`foreign kafscale/notes.txt`, `stray ${STRAY}`];
    expect(await found()).toEqual({ code: 3, texts: both });
    expect(await broker.stop()).toBe(0);
    const repaired = await run("--repair");
    expect(repaired).toMatchObject({ exitCode: 3, stdout: expect.stringContaining(`removed  ${STRAY}\n`) as string });
    expect(readFileSync(fileOf("kafscale/notes.txt"), "utf8")).toBe("x");
    rmSync(fileOf("kafscale/notes.txt"));
    expect(await found()).toEqual({ code: 0, texts: [] });
    await broker.restart();
  });

  it("tells of a flush that was cut off, and of one that is gone", async () => {
    await produce(3);
    await broker.stop();
    const listing = await etcd.control("get", "--prefix", "/kafscale/kafscale/h/", "--keys-only");
    const sessions = listing.split("\n").flatMap((line) => /\/h\/([0-9a-f]{24})$/.exec(line)?.[1] ?? []);
    const keys = sessions.map((session) => `kafscale/wal/${session}/000000000001`);
    const [cut = "", gone = ""] = keys;
    truncateSync(fileOf(cut), 10);
    rmSync(fileOf(gone));
    expect(await found("--repair")).toEqual({ code: 3, texts: [`damaged ${cut}`, `missing ${gone}`].sort() });
  });
});
