// A copy of the sources with patches applied, for planted bugs and for a smaller number of shards, and the one file that a
// worker runs of it. A patch that does not apply is an error, never skipped.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";

/** What a simulation imports. */
const PARTS = ["src", "generated", "test/sim"];

/** Name of the file of a tree that is to be run, with everything of the sources in it. */
const WORKER = "worker.js";

/** A patch does not fit the sources any more. */
export class PatchError extends Error {
  override readonly name = "PatchError";
}

/** Makes the copy; the caller removes it with {@link removeTree}. @param patches paths of files for `git apply` */
export function makeTree(root: string, patches: readonly string[]): string {
  const tree = mkdtempSync(join(tmpdir(), "kafscale-sim-"));
  for (const part of PARTS) copyAll(join(root, part), join(tree, part));
  symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
  for (const file of ["package.json", "tsconfig.json"]) copyFileSync(join(root, file), join(tree, file));
  try {
    for (const patch of patches) applyPatch(tree, patch);
    bundle(tree);
  } catch (error) {
    removeTree(tree);
    throw error;
  }
  return tree;
}

/** Path of the program of a tree. */
export function workerOf(tree: string): string {
  return join(tree, WORKER);
}

/**
 * Compiled here and not by a loader in the worker: that one gives each function its name when it is made, a seventh of
 * the processor time of a schedule.
 */
function bundle(tree: string): void {
  buildSync({
    absWorkingDir: tree,
    entryPoints: ["test/sim/worker.ts"],
    outfile: WORKER,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    sourcemap: true,
    logLevel: "error",
  });
}

/** Removes a tree of {@link makeTree}. */
export function removeTree(tree: string): void {
  rmSync(tree, { recursive: true, force: true });
}

/** Whether a patch fits the sources as they are: "" or what does not fit. */
export function canApply(root: string, patch: string): string {
  try {
    execFileSync("git", ["apply", "--check", patch], { cwd: root, stdio: "pipe" });
    return "";
  } catch (error) {
    return stderrOf(error);
  }
}

function stderrOf(error: unknown): string {
  return error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
}

function applyPatch(tree: string, patch: string): void {
  try {
    // Outside of any repository `git apply` works on plain files.
    execFileSync("git", ["apply", "--whitespace=nowarn", patch], { cwd: tree, stdio: "pipe" });
  } catch (error) {
    throw new PatchError(`${patch} does not apply: ${stderrOf(error)}`, { cause: error });
  }
}

function copyAll(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.name === "mutants" || entry.name.endsWith(".test.ts")) continue;
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) copyAll(source, target);
    else copyFileSync(source, target);
  }
}
