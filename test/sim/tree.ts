// A copy of the sources with patches applied, for planted bugs and for a smaller number of shards. A patch that does not
// apply is an error, never skipped.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a simulation imports. */
const PARTS = ["src", "generated", "test/sim"];

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
  } catch (error) {
    removeTree(tree);
    throw error;
  }
  return tree;
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
