// `make sim`: SEEDS schedules in JOBS processes, from seed FIRST=1 on, then the planted bugs, each of which has to be found.
// SEED=x, or SEED=bx for a brief one, with a `v` behind it where the cluster was verified, replays one schedule with its
// trace. MUTANTS=0 leaves the planted bugs out, MUTANTS=only runs nothing else, MUTANTS=name one of them. VERIFIED=1
// verifies the cluster in every schedule, not in every fifth.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkMutants } from "./mutant-runs.ts";
import { runWorker } from "./processes.ts";
import { Totals } from "./totals.ts";
import { makeTree, removeTree, workerOf } from "./tree.ts";

const ROOT = join(import.meta.dirname, "../..");
const FEWER_SHARDS = join(ROOT, "test/sim/fewer-shards.patch");
/** Every so many seeds the schedule is a long one. A number that no number of jobs divides. */
const LONG_EVERY = 7;
/** Every so many seeds the schedule has all 1,024 shards. */
const ALL_SHARDS_EVERY = 50;
/** Every so many seeds a schedule is run twice. */
const TWICE_EVERY = 25;

const write = (line: string) => void process.stdout.write(`${line}\n`);
const seeds = Number(process.env["SEEDS"] || 200);
const firstSeed = Number(process.env["FIRST"] || 1);
const jobs = Number(process.env["JOBS"] || 2);
const verified = Number(process.env["VERIFIED"] || 5);
const mutants = process.env["MUTANTS"] || "all";
const seed = process.env["SEED"] || "";

process.exitCode = (await main()) ? 0 : 1;

async function main(): Promise<boolean> {
  if (seed !== "") return replay(seed);
  const isClean = mutants === "all" || mutants === "0" ? await simulate() : true;
  if (mutants === "0") return isClean;
  const isFound = await checkMutants({
    root: ROOT,
    jobs,
    only: mutants === "all" || mutants === "only" ? "" : mutants,
    write,
  });
  return isClean && isFound;
}

/** Schedules that found a bug once are run every time. */
function rememberedSchedules(): string[] {
  const lines = readFileSync(join(ROOT, "test/sim/seeds.txt"), "utf8").split("\n");
  return lines.map((line) => line.split("#")[0]?.trim() ?? "").filter((name) => name !== "");
}

async function simulate(): Promise<boolean> {
  const totals = new Totals();
  const startedMs = performance.now();
  const trees = { few: makeTree(ROOT, [FEWER_SHARDS]), all: makeTree(ROOT, []) };
  try {
    const add = (report: Parameters<Totals["add"]>[0]) => {
      totals.add(report);
      for (const violation of report.violations.slice(0, 1)) {
        write(`seed ${report.seed}: ${violation.rule}: ${violation.text.split("\n")[0]}`);
      }
      if (totals.seedCount % 100 === 0) write(`${totals.seedCount} schedules …`);
    };
    const lastSeed = firstSeed + seeds - 1;
    const all = Math.ceil(seeds / ALL_SHARDS_EVERY);
    const work = [
      ...Array.from({ length: jobs }, (_, job) => ({
        tree: trees.few,
        first: firstSeed + job,
        stride: jobs,
        last: lastSeed - all,
        longEvery: LONG_EVERY,
        also: rememberedSchedules().filter((_name, index) => index % jobs === job),
        twice: TWICE_EVERY,
        verified,
      })),
      {
        tree: trees.all,
        first: lastSeed - all + 1,
        stride: 1,
        last: lastSeed,
        longEvery: LONG_EVERY,
        twice: TWICE_EVERY,
        verified,
      },
    ];
    await inParallel(jobs, work, (task) => runWorker(task, add));
  } finally {
    for (const tree of Object.values(trees)) removeTree(tree);
  }
  totals.print(write);
  const minutes = (performance.now() - startedMs) / 60_000;
  write(`${(totals.seedCount / minutes).toFixed(0)} schedules a minute in ${jobs} processes`);
  return totals.failures.length === 0 && totals.missing.length === 0;
}

async function replay(name: string): Promise<boolean> {
  const isAllShards = process.env["SHARDS"] === "1024";
  const tree = makeTree(ROOT, isAllShards ? [] : [FEWER_SHARDS]);
  try {
    const { spawnSync } = await import("node:child_process");
    const args = ["--enable-source-maps", workerOf(tree), "--last", "0", "--also", name, "--trace"];
    return spawnSync(process.execPath, args, { cwd: tree, stdio: "inherit" }).status === 0;
  } finally {
    removeTree(tree);
  }
}

async function inParallel<T>(count: number, items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item; item = waiting.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: count }, worker));
}
