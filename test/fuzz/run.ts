// `make fuzz`: throws damaged bytes at every decoder for a bounded time. Arguments: --seconds N (over all targets; else
// FUZZ_SECONDS, else 60), --target NAME, --seed S (printed; the same seed gives the same inputs), --replay FILE.hex
// with --target. Ends with 1 and writes the input to test/fuzz/regressions/ when a decoder fails.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { fuzz } from "./campaign.ts";
import { execute } from "./execute.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { regressionBytes, regressionsFolder } from "./regressions.ts";
import { fuzzTargets } from "./targets.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: process.env["FUZZ_SECONDS"] ?? "60" },
    target: { type: "string" },
    seed: { type: "string", default: randomBytes(4).toString("hex") },
    replay: { type: "string" },
  },
});

const chosen = fuzzTargets.filter(({ name }) => values.target === undefined || name === values.target);
const seconds = Number(values.seconds);
if (chosen.length === 0 || !(seconds > 0)) {
  console.error(`--seconds is a number above 0 and --target one of: ${fuzzTargets.map(({ name }) => name).join(", ")}`);
  process.exitCode = 2;
} else {
  process.exitCode = values.replay === undefined ? fuzzAll(chosen) : replay(chosen, values.replay);
}

function fuzzAll(targets: readonly FuzzTarget[]): number {
  console.log(`fuzz: ${targets.length} targets, ${seconds} s, --seed ${values.seed}`);
  let failures = 0;
  let total = 0;
  for (const target of targets) {
    const end = performance.now() + (seconds * 1000) / targets.length;
    const result = fuzz(target, values.seed, () => performance.now() < end);
    total += result.executions;
    const share = ((100 * result.accepted) / result.executions).toFixed(0);
    const counts = `${String(result.executions).padStart(9)} executions, ${share.padStart(3)} % accepted`;
    console.log(`${target.name.padEnd(20)} ${counts}${result.finding === undefined ? "" : "  FAILED"}`);
    if (result.finding === undefined) continue;
    failures += 1;
    const hex = Buffer.from(result.finding.input).toString("hex");
    const file = new URL(
      `${target.name}-${createHash("sha256").update(hex).digest("hex").slice(0, 8)}.hex`,
      regressionsFolder,
    );
    writeFileSync(file, `${hex}\n`);
    console.log(`${result.finding.fault}\n  input of ${result.finding.input.length} bytes: ${file.pathname}`);
  }
  console.log(`fuzz: ${total} executions, ${failures} of ${targets.length} targets failed`);
  return failures > 0 ? 1 : 0;
}

function replay(targets: readonly FuzzTarget[], file: string): number {
  const input = regressionBytes(readFileSync(file, "utf8"));
  const faults = targets.flatMap((target) => {
    const fault = execute(target, input);
    return fault === undefined ? [] : [`${target.name}: ${fault}`];
  });
  console.log(faults.length === 0 ? "no target fails on it" : faults.join("\n"));
  return faults.length > 0 ? 1 : 0;
}
