// `make demo`, and every command that it prints, pasted into a shell.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunningProgram, runProgram } from "./program.ts";
import { commandFolder, missingTools, repositoryRoot } from "./tools.ts";

/** A shell that finds the Kafka programs by the names that the demo prints. */
const env = { PATH: `${commandFolder}:${process.env["PATH"] ?? ""}` };

describe("make demo", () => {
  let demo: RunningProgram;
  let commands: readonly string[] = [];

  beforeAll(async () => {
    const ownEnv = { KAFSCALE_DATA_DIR: undefined, MAKEFLAGS: undefined, MAKELEVEL: undefined };
    demo = new RunningProgram("make", ["demo"], { cwd: repositoryRoot, env: ownEnv, hasOwnGroup: true });
    await demo.waitUntil(() => demo.stdout.includes("Ctrl-C stops."), "the demo prints its commands", 120_000);
    commands = demo.lines.filter((line) => line.startsWith("  ")).map((line) => line.trim());
  }, 150_000);
  afterAll(() => demo.kill());

  function commandWith(text: string): string {
    const command = commands.find((line) => line.includes(text));
    if (command === undefined) throw new Error(`the demo prints no command with ${text}\n${demo.describe()}`);
    return command;
  }

  async function paste(command: string, input = ""): Promise<string> {
    const { stdout } = await runProgram("bash", ["-c", command], { cwd: repositoryRoot, env, input });
    return stdout;
  }

  it("says where the broker is and that it is ready", () => {
    expect(demo.stdout).toMatch(/^KafScale \d+\.\d+\.\d+: one broker at 127\.0\.0\.1:39092, ready in \d+\.\d s$/m);
    expect(demo.stdout).toMatch(/^Metrics http:\/\/127\.0\.0\.1:39093\/metrics, /m);
    expect(commands).toHaveLength(5);
  });

  it("prints a command for kafkajs that works from this clone", async () => {
    expect(await paste(commandWith("kafkajs"))).toMatch(/topicName: 'orders'/);
  });

  it.skipIf(missingTools(["kcat"]).length > 0)("prints commands for kcat that work", async () => {
    await paste(commandWith("-P"));
    expect((await paste(commandWith("-C"))).split("\n")).toContain("hello");
  });

  it.skipIf(missingTools(["kafka"]).length > 0)("prints commands for Kafka's console programs that work", async () => {
    await paste(commandWith("kafka-console-producer"), "from the console\n");
    const args = ["-c", `exec ${commandWith("kafka-console-consumer")}`];
    const consumer = new RunningProgram("bash", args, { cwd: repositoryRoot, env });
    await consumer.waitUntil(
      () => consumer.lines.includes("from the console"),
      "the console consumer prints the record",
    );
    await consumer.stop("SIGINT");
    expect(consumer.lines).toContain("from the console");
  });

  it("serves metrics and health", async () => {
    const metrics = await fetch("http://127.0.0.1:39093/metrics");
    expect(await metrics.text()).toMatch(/^kafscale_\w+/m);
    expect((await fetch("http://127.0.0.1:39093/healthz")).status).toBe(200);
    expect((await fetch("http://127.0.0.1:39093/readyz")).status).toBe(200);
  });

  it("refuses to start beside itself, with what to do", async () => {
    const second = new RunningProgram("make", ["demo"], { cwd: repositoryRoot, hasOwnGroup: true });
    const { exitCode, stderr } = await second.waitForEnd(60_000);
    expect(exitCode).not.toBe(0);
    expect(stderr).toMatch(/^kafscale: .*127\.0\.0\.1:3909[23].*Stop what listens there, or choose/m);
  });

  it("ends cleanly with Ctrl-C, and leaves its ports free", async () => {
    demo.signal("SIGINT");
    await demo.waitForEnd(10_000);
    expect(demo.lines).toContain("Stopped.");
    await expect(fetch("http://127.0.0.1:39093/healthz")).rejects.toThrow(/fetch failed/);
  });
});
