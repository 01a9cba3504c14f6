// kill -9 under load, with the stores in a folder: what was acknowledged is there afterwards, once where the client is
// idempotent, in the order of the producer; groups go on where they committed.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { BrokerProcess } from "./broker-process.ts";
import { javaStream, kafkajsStream, pythonStream } from "./clients/value-stream.ts";
import { runProgram } from "./program.ts";
import { expectDense, judge, readAll } from "./stored-records.ts";
import { createTopic } from "./target-broker.ts";
import { describeWithTools, toolCommand } from "./tools.ts";
import { eventually } from "./wait.ts";

const killCount = Number(process.env["KAFSCALE_E2E_KILLS"] ?? "3");

describeWithTools("a broker with --data-dir that is killed under load", ["kafka", "kcat", "python"], () => {
  const dataDir = mkdtempSync(join(tmpdir(), "kafscale-e2e-"));
  let broker: BrokerProcess;
  beforeAll(async () => {
    broker = await BrokerProcess.start({ dataDir });
  });
  afterAll(async () => {
    await broker?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it(`loses nothing acknowledged and stores nothing twice in ${killCount} kills`, {
    timeout: 120_000 + killCount * 30_000,
  }, async () => {
    const { bootstrap } = broker;
    const topic = "crash";
    await createTopic(bootstrap, topic, 3);
    const target = { bootstrap, topic };
    const streams = [
      javaStream(target),
      pythonStream(target, true),
      pythonStream(target, false),
      await kafkajsStream(target),
    ];
    for (let kill = 0; kill <= killCount; kill++) {
      if (kill > 0) {
        await broker.killHard();
        await broker.restart();
      }
      const goals = streams.map((stream) => stream.acknowledged.length + 200);
      const counts = () => streams.map((stream) => `${stream.name}: ${stream.acknowledged.length}`).join(", ");
      const isReached = () => streams.every((stream, index) => stream.acknowledged.length >= (goals[index] ?? 0));
      await eventually(isReached, () => `200 more of each after kill ${kill}: ${counts()}`, 90_000);
    }
    await Promise.all(streams.map((stream) => stream.end()));
    const stored = await readAll(bootstrap, topic);
    for (const stream of streams) judge(stream, stored);
    expectDense(stored);
  });

  it("keeps the committed offsets of a group", async () => {
    const { bootstrap } = broker;
    const topic = "group-after-crash";
    const consume = async (count: number) => {
      const args = ["--bootstrap-server", bootstrap, "--topic", topic, "--group", "survivors", "--from-beginning"];
      args.push("--max-messages", String(count), "--timeout-ms", "30000");
      const { stdout } = await runProgram(toolCommand("kafka-console-consumer"), args);
      return stdout.trim().split("\n");
    };
    const produce = async (lines: readonly string[]) => {
      const args = ["-P", "-b", bootstrap, "-t", topic];
      await runProgram(toolCommand("kcat"), args, { input: lines.map((line) => `${line}\n`).join("") });
    };
    await createTopic(bootstrap, topic, 1);
    await produce(["a", "b", "c"]);
    expect(await consume(2)).toEqual(["a", "b"]);
    await broker.killHard();
    await broker.restart();
    await produce(["d"]);
    expect(await consume(2)).toEqual(["c", "d"]);
  });
});
