import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readMutants } from "./mutant-runs.ts";
import { runWorker } from "./processes.ts";
import { canApply, makeTree, removeTree } from "./tree.ts";
import type { SeedReport } from "./worker.ts";

const ROOT = join(import.meta.dirname, "../..");
const mutants = readMutants(ROOT);

describe("planted bugs", () => {
  it.each(mutants.map(({ name, patch }) => ({ name, patch })))("$name still applies to the sources", ({ patch }) => {
    expect(canApply(ROOT, patch)).toBe("");
  });

  it("finds an acknowledgement before the commit, or silence means nothing", async () => {
    const patch = join(ROOT, "test/sim/mutants/ack-before-commit.patch");
    const tree = makeTree(ROOT, [join(ROOT, "test/sim/fewer-shards.patch"), patch]);
    const reports: SeedReport[] = [];
    try {
      await runWorker({ tree, first: 1, stride: 1, last: 20, isUntilFound: true }, (report) => reports.push(report));
    } finally {
      removeTree(tree);
    }
    expect(reports.at(-1)?.violations[0]?.rule).toBe("I1 an acknowledged batch is committed at its offset");
  });
});
