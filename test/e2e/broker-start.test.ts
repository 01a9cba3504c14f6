// Starts that are refused end at once with one line; a stop is clean; a folder serves one process.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { BrokerProcess, freePort } from "./broker-process.ts";
import { type ProgramResult, RunningProgram } from "./program.ts";
import { repositoryRoot } from "./tools.ts";

const entryPoint = join(repositoryRoot, "dist", "src", "main", "kafscale.js");

async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<ProgramResult> {
  const program = new RunningProgram(process.execPath, [entryPoint, "serve", ...args], { env });
  return await program.waitForEnd(15_000);
}

describe("kafscale serve", () => {
  const folder = mkdtempSync(join(tmpdir(), "kafscale-start-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    [
      { KAFSCALE_S3_BUCKET: "prod" },
      /^kafscale: KAFSCALE_S3_BUCKET is set and KAFSCALE_S3_REGION is not: set the region of the bucket$/m,
    ],
    [{ KAFSCALE_PRODUCE_SYNC_FLUSH: "false" }, /^kafscale: KAFSCALE_PRODUCE_SYNC_FLUSH is false: there is no mode/],
    [{ KAFSCALE_BROKER_ID: "seven" }, /^kafscale: KAFSCALE_BROKER_ID is "seven": it has to be a whole number/],
    [
      { KAFSCALE_USE_MEMORY_S3: "1", KAFSCALE_DATA_DIR: "/d" },
      /^kafscale: KAFSCALE_DATA_DIR and KAFSCALE_USE_MEMORY_S3/,
    ],
  ])("ends with one line for %j", async (env, line) => {
    const { exitCode, stderr } = await start([], env);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(line);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  it("ends with one line for a flag that it does not know", async () => {
    const { exitCode, stderr } = await start(["--data-folder", "x"]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/unknown option '--data-folder'/);
  });

  it("ends with one line that names the path for a folder that cannot be one", async () => {
    const file = join(folder, "a-file");
    writeFileSync(file, "");
    const ports = ["--kafka-addr", `127.0.0.1:${await freePort()}`, "--metrics-addr", `127.0.0.1:${await freePort()}`];
    const { exitCode, stderr } = await start(["--data-dir", file, ...ports]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(new RegExp(`^kafscale: .*${file}`));
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  it("refuses a folder that another broker uses, and takes it over after a kill", async () => {
    const dataDir = join(folder, "shared");
    const first = await BrokerProcess.start({ dataDir });
    const ports = ["--kafka-addr", `127.0.0.1:${await freePort()}`, "--metrics-addr", `127.0.0.1:${await freePort()}`];
    const { exitCode, stderr } = await start(["--data-dir", dataDir, ...ports]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^kafscale: .*in use/);
    await first.killHard();
    await first.restart();
    expect(await first.stop()).toBe(0);
  });

  it("ends with 0 after SIGTERM and within its grace", async () => {
    const broker = await BrokerProcess.start();
    const startedMs = performance.now();
    expect(await broker.stop()).toBe(0);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  it("says in its first log line that records are in memory", async () => {
    const broker = await BrokerProcess.start();
    await broker.stop();
    expect(JSON.parse(broker.program.lines[0] ?? "{}")).toMatchObject({
      level: "warn",
      msg: "records and metadata are in memory and end with this process",
    });
  });
});
