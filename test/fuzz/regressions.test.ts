// Every input of regressions/, and a short fuzz of every target from a fixed seed.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fuzz } from "./campaign.ts";
import { execute } from "./execute.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { regressionBytes, regressionsFolder } from "./regressions.ts";
import { fuzzTargets } from "./targets.ts";

const EXECUTIONS = 1500;

const regressions = readdirSync(regressionsFolder).filter((name) => name.endsWith(".hex"));

describe("inputs that once broke a decoder, of this project or another", () => {
  it.each(regressions.map((name) => [name]))("%s does no harm", (name) => {
    const target = fuzzTargets.find((candidate) => name.replace(/-[0-9a-f]{8}\.hex$/, "") === candidate.name);
    expect(target, `no target is named in ${name}`).toBeDefined();
    const input = regressionBytes(readFileSync(new URL(name, regressionsFolder), "utf8"));
    expect(execute(target as FuzzTarget, input)).toBeUndefined();
  });
});

describe.each(fuzzTargets)("$name", (target) => {
  it("accepts valid bytes and refuses damaged ones without crash, stall or large allocation", () => {
    const { accepted, executions, finding } = fuzz(target, "1", (count) => count < EXECUTIONS);
    expect(finding?.fault).toBeUndefined();
    expect(accepted).toBeGreaterThan(0);
    expect(executions).toBeGreaterThanOrEqual(EXECUTIONS);
  });
});

describe("the harness", () => {
  const seeds = () => [Uint8Array.of(1, 2, 3)];

  it.each([
    [
      "throws what is not a refusal",
      () => {
        throw new TypeError("oops");
      },
      /oops/,
    ],
    [
      "allocates buffers for an announcement",
      () => void new Uint8Array(300_000).fill(1),
      /bytes of buffers, more than \d+/,
    ],
  ])("finds a decoder that %s", (_, fault, expected) => {
    const run = (input: Uint8Array) => {
      if (input[0] === 0xff) fault();
    };
    const target = { name: "planted", seeds, run, refusals: [RangeError] };
    expect(fuzz(target, "1", (count) => count < 100_000).finding?.fault).toMatch(expected);
  });
});
