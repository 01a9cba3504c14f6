// Worker processes of a run, and the lines they write.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { workerOf } from "./tree.ts";
import type { SeedReport } from "./worker.ts";

/** What a worker is to do. */
export interface WorkerTask {
  /** A tree of `makeTree`. */
  readonly tree: string;
  readonly first: number;
  readonly stride: number;
  readonly last: number;
  /** Every so many seeds as a long schedule, the others as brief ones; by default all as long ones. */
  readonly longEvery?: number;
  /** Names of schedules after those. */
  readonly also?: readonly string[];
  /** Stop after the first violation. */
  readonly isUntilFound?: boolean;
  /** Run every so many seeds twice; 0 for none. */
  readonly twice?: number;
  /** Verify the cluster in every so many seeds; 0 for none. */
  readonly verified?: number;
}

/** Longest silence of a worker, minutes on a busy machine: past it the simulated world hangs outside of virtual time. */
const SILENCE_MS_MAX = 600_000;

/** What a schedule leaves behind is short-lived, and a worker has one core: helping threads would only add to its time. */
const HEAP_FLAGS = ["--max-semi-space-size=32", "--single-threaded-gc"];

/** Runs a worker; each of its lines goes to `onReport`. Rejects when it fails otherwise than by violations. */
export function runWorker(task: WorkerTask, onReport: (report: SeedReport) => void): Promise<void> {
  const { tree, first, stride, last, longEvery = 1, also = [], isUntilFound = false, twice = 0, verified = 0 } = task;
  const range = ["--first", first, "--stride", stride, "--last", last];
  const numbers = [...range, "--long-every", longEvery, "--twice", twice, "--verified", verified].map(String);
  const more = [...(also.length > 0 ? ["--also", also.join()] : []), ...(isUntilFound ? ["--until-found"] : [])];
  const args = [...HEAP_FLAGS, workerOf(tree), ...numbers, ...more];
  const child = spawn(process.execPath, args, { cwd: tree, stdio: ["ignore", "pipe", "pipe"] });
  return new Promise((resolve, reject) => {
    let errors = "";
    let isSilent = false;
    let watchdog = setTimeout(() => {}, 0);
    const watch = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => {
        isSilent = true;
        child.kill("SIGKILL");
      }, SILENCE_MS_MAX);
    };
    watch();
    child.stderr.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-4_000);
    });
    createInterface({ input: child.stdout }).on("line", (line) => {
      watch();
      onReport(JSON.parse(line) as SeedReport);
    });
    child.on("close", (code, signal) => {
      clearTimeout(watchdog);
      if (code === 0) resolve();
      else if (isSilent)
        reject(new Error(`a worker said nothing for ${SILENCE_MS_MAX / 1_000} s and was ended: ${errors}`));
      else reject(new Error(`a worker ended with ${signal ?? code}: ${errors}`));
    });
  });
}
