// kill -9 under load, with the stores in a folder: what was acknowledged is there afterwards, once where the client is
// idempotent, in the order of the producer; groups go on where they committed.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { BrokerProcess } from "./broker-process.ts";
import { javaStream, kafkajsStream, pythonStream, type ValueStream } from "./clients/value-stream.ts";
import { runProgram } from "./program.ts";
import { createTopic } from "./target-broker.ts";
import { describeWithTools, toolCommand } from "./tools.ts";
import { eventually } from "./wait.ts";

const killCount = Number(process.env["KAFSCALE_E2E_KILLS"] ?? "3");

/** What `kcat -J` prints of a message. */
interface StoredRecord {
  readonly partition: number;
  readonly offset: number;
  readonly payload: string;
}

async function readAll(bootstrap: string, topic: string): Promise<readonly StoredRecord[]> {
  const args = ["-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-J", "-X", "check.crcs=true"];
  const { stdout } = await runProgram(toolCommand("kcat"), args, { timeoutMs: 120_000 });
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as StoredRecord);
}

/** Checks the stored records of one producer against what it was told. */
function judge(stream: ValueStream, stored: readonly StoredRecord[]): void {
  const own = stored.filter(({ payload }) => payload.startsWith(stream.prefix));
  const times = new Map<string, number>();
  for (const { payload } of own) times.set(payload, (times.get(payload) ?? 0) + 1);
  const lost = stream.acknowledged.filter((value) => !times.has(value));
  expect(lost, `acknowledged to ${stream.name} and lost`).toEqual([]);
  if (!stream.isIdempotent) return;
  const repeated = [...times].filter(([, count]) => count > 1).map(([value]) => value);
  expect(repeated, `stored more than once for ${stream.name}`).toEqual([]);
  const lastOf = new Map<number, number>();
  for (const { partition, offset, payload } of own) {
    const number = Number(payload.slice(stream.prefix.length));
    const order = `${stream.name}: partition ${partition} offset ${offset} has ${number}`;
    expect(number, order).toBeGreaterThan(lastOf.get(partition) ?? -1);
    lastOf.set(partition, number);
  }
}

/** Offsets of each partition have to be 0, 1, 2, …: a commit leaves no hole behind, and no number is given twice. */
function expectDense(stored: readonly StoredRecord[]): void {
  const nextOffset = new Map<number, number>();
  for (const { partition, offset } of stored) {
    expect(offset, `partition ${partition}`).toBe(nextOffset.get(partition) ?? 0);
    nextOffset.set(partition, offset + 1);
  }
}

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
