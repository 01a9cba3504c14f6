// Planted bugs: each is a patch to a production file, applied to a copy of the sources, and has to be found within the
// number of long or brief schedules that its header states. A patch that no longer applies fails: the code moved, and so has the bug to.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Violation } from "./ledger.ts";
import { runWorker } from "./processes.ts";
import { makeTree, removeTree } from "./tree.ts";

/** How mutants are run. */
export interface MutantRunOptions {
  readonly root: string;
  readonly jobs: number;
  /** Name of a single patch, or "" for all. */
  readonly only: string;
  readonly write: (line: string) => void;
}

/** A planted bug. */
export interface Mutant {
  /** Name of the file, without its ending. */
  readonly name: string;
  /** Path of the file. */
  readonly patch: string;
  /** What is wrong, in one line. */
  readonly bug: string;
  readonly seedsMax: number;
  /** Whether it is looked for in brief schedules. */
  readonly isBrief: boolean;
}

interface Verdict {
  readonly seed: string;
  readonly violation: Violation | undefined;
}

/** Runs every planted bug; whether all were found. */
export async function checkMutants(options: MutantRunOptions): Promise<boolean> {
  const mutants = readMutants(options.root).filter(({ name }) => options.only === "" || name === options.only);
  const waiting = [...mutants];
  let found = 0;
  const work = async () => {
    for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
      if (await isFound(mutant, options)) found++;
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  options.write(`${found} of ${mutants.length} planted bugs found`);
  return found === mutants.length && mutants.length > 0;
}

async function isFound(mutant: Mutant, { root, write }: MutantRunOptions): Promise<boolean> {
  const name = mutant.name.padEnd(40);
  try {
    const { seed, violation } = await run(root, mutant);
    if (!violation) {
      write(`NOT FOUND ${name} in ${mutant.seedsMax} seeds: ${mutant.bug}`);
      return false;
    }
    write(`found     ${name} seed ${seed.padStart(4)} of ${mutant.seedsMax}: ${violation.rule}`);
    return true;
  } catch (error) {
    write(`FAILED    ${name} ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

async function run(root: string, mutant: Mutant): Promise<Verdict> {
  const tree = makeTree(root, [join(root, "test/sim/fewer-shards.patch"), mutant.patch]);
  const last: { verdict: Verdict } = { verdict: { seed: "", violation: undefined } };
  try {
    const longEvery = mutant.isBrief ? Number.MAX_SAFE_INTEGER : 1;
    await runWorker({ tree, first: 1, stride: 1, last: mutant.seedsMax, longEvery, isUntilFound: true }, (report) => {
      last.verdict = { seed: report.seed, violation: report.violations[0] };
    });
  } finally {
    removeTree(tree);
  }
  return last.verdict;
}

/** Every planted bug, by name. @throws Error for a patch without its number of seeds */
export function readMutants(root: string): Mutant[] {
  const folder = join(root, "test/sim/mutants");
  const names = readdirSync(folder).filter((file) => file.endsWith(".patch"));
  return names.sort().map((file) => {
    const patch = join(folder, file);
    const text = readFileSync(patch, "utf8");
    const [, seeds, brief] = /^Found within: (\d+) (brief )?seeds$/m.exec(text) ?? [];
    if (seeds === undefined) throw new Error(`${patch} does not say within how many seeds it is found`);
    return {
      name: file.slice(0, -".patch".length),
      patch,
      bug: text.split("\n", 1)[0] ?? "",
      seedsMax: Number(seeds),
      isBrief: brief !== undefined,
    };
  });
}
