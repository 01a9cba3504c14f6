// Kafka's own command line programs, with the flags that its documentation shows and nothing else.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { runProgram } from "./program.ts";
import { createTopic, freshName, useTargetBroker } from "./target-broker.ts";
import { describeWithTools, toolCommand } from "./tools.ts";

describeWithTools("Kafka's command line tools", ["kafka"], () => {
  const broker = useTargetBroker();

  async function run(name: string, args: readonly string[], input?: string): Promise<string> {
    const all = ["--bootstrap-server", broker.bootstrap, ...args];
    const { stdout } = await runProgram(toolCommand(name), all, input === undefined ? {} : { input });
    return stdout;
  }

  it("carries lines from the console producer with its default flags to the console consumer with a group", async () => {
    const topic = freshName("console");
    const lines = Array.from({ length: 200 }, (_, index) => `line ${index}`);
    await run("kafka-console-producer", ["--topic", topic], `${lines.join("\n")}\n`);
    const group = freshName("console-group");
    const args = ["--topic", topic, "--group", group, "--from-beginning", "--max-messages", "200"];
    const read = await run("kafka-console-consumer", [...args, "--timeout-ms", "30000"]);
    expect(read.trim().split("\n").toSorted()).toEqual(lines.toSorted());
  });

  it("creates, describes, lists and deletes a topic with kafka-topics", async () => {
    const topic = freshName("managed");
    await run("kafka-topics", ["--create", "--topic", topic, "--partitions", "3", "--config", "retention.ms=60000"]);
    const described = await run("kafka-topics", ["--describe", "--topic", topic]);
    expect(described).toMatch(/PartitionCount: 3/);
    expect(described).toMatch(/retention\.ms=60000/);
    expect(described.match(/Partition: \d\s+Leader: \d+/g)).toHaveLength(3);
    expect((await run("kafka-topics", ["--list"])).split("\n")).toContain(topic);
    await run("kafka-topics", ["--delete", "--topic", topic]);
    expect((await run("kafka-topics", ["--list"])).split("\n")).not.toContain(topic);
  });

  it("refuses a second topic of the same name with the error that Kafka gives", async () => {
    const topic = freshName("twice");
    await createTopic(broker.bootstrap, topic, 1);
    await expect(createTopic(broker.bootstrap, topic, 1)).rejects.toThrow(/TopicExistsException/);
  });

  it("shows the settings of a topic to kafka-configs", async () => {
    const topic = freshName("configured");
    await run("kafka-topics", ["--create", "--topic", topic, "--partitions", "1", "--config", "retention.ms=60000"]);
    const text = await run("kafka-configs", ["--describe", "--all", "--entity-type", "topics", "--entity-name", topic]);
    expect(text).toMatch(/retention\.ms=60000/);
    expect(text).toMatch(/cleanup\.policy=delete/);
  });

  it("finds first, last and newest offsets with kafka-get-offsets", async () => {
    const topic = freshName("offsets");
    await createTopic(broker.bootstrap, topic, 1);
    await run("kafka-console-producer", ["--topic", topic], "a\nb\nc\n");
    const offsetAt = async (time: string) =>
      (await run("kafka-get-offsets", ["--topic", topic, "--time", time])).trim();
    expect(await offsetAt("earliest")).toBe(`${topic}:0:0`);
    expect(await offsetAt("latest")).toBe(`${topic}:0:3`);
    expect(await offsetAt("max-timestamp")).toMatch(new RegExp(`^${topic}:0:[012]$`));
    expect(await offsetAt("0")).toBe(`${topic}:0:0`);
  });

  it("removes records with kafka-delete-records, so that a consumer from the beginning gets the rest", async () => {
    const topic = freshName("removed");
    await createTopic(broker.bootstrap, topic, 1);
    await run("kafka-console-producer", ["--topic", topic], "a\nb\nc\n");
    const removeUpTo = async (offset: number) => {
      const folder = await mkdtemp(join(tmpdir(), "kafscale-e2e-"));
      const file = join(folder, "offsets.json");
      await writeFile(file, JSON.stringify({ version: 1, partitions: [{ topic, partition: 0, offset }] }));
      const text = await run("kafka-delete-records", ["--offset-json-file", file]);
      await rm(folder, { recursive: true });
      return text;
    };
    expect(await removeUpTo(2)).toMatch(new RegExp(`partition: ${topic}-0\\s+low_watermark: 2`));
    const args = ["--topic", topic, "--from-beginning", "--max-messages", "1", "--timeout-ms", "30000"];
    expect((await run("kafka-console-consumer", args)).trim()).toBe("c");
    expect(await removeUpTo(-1)).toMatch(/low_watermark: 3/);
    expect((await run("kafka-get-offsets", ["--topic", topic, "--time", "earliest"])).trim()).toBe(`${topic}:0:3`);
    expect(await removeUpTo(4)).toMatch(/OffsetOutOfRangeException/);
  });

  it("answers kafka-broker-api-versions with a usable version of every api it lists", async () => {
    const text = await run("kafka-broker-api-versions", []);
    expect(text).toMatch(/Produce\(0\): \d+ to \d+ \[usable: \d+\]/);
    expect(text).toMatch(/Fetch\(1\): \d+ to \d+ \[usable: \d+\]/);
  });

  it("takes the load of kafka-producer-perf-test", async () => {
    const topic = freshName("perf");
    const args = ["--topic", topic, "--num-records", "50000", "--record-size", "1024", "--throughput", "-1"];
    args.push("--command-property", `bootstrap.servers=${broker.bootstrap}`);
    const { stdout } = await runProgram(toolCommand("kafka-producer-perf-test"), args, { timeoutMs: 120_000 });
    expect(stdout).toMatch(/^50000 records sent/m);
    expect((await run("kafka-get-offsets", ["--topic", topic, "--time", "latest"])).trim()).toBe(`${topic}:0:50000`);
  });
});
