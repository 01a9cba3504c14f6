// Fails when generated/proto is not what `buf generate` makes of proto/, naming the files that differ.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { runCommand } from "./run-command.ts";

const root = join(import.meta.dirname, "..");
const generated = "generated/proto";

/** Files below a folder with their text, by path from it. */
function filesOf(folder: string): ReadonlyMap<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).toSorted();
  return new Map(paths.map((path) => [relative(folder, path), readFileSync(path, "utf8")]));
}

const scratch = mkdtempSync(join(tmpdir(), "kafscale-proto-"));
try {
  const buf = runCommand(join(root, "node_modules", ".bin", "buf"), ["generate", "--output", scratch], { cwd: root });
  if (!buf.isOk) throw new Error(buf.output);
  const fresh = filesOf(join(scratch, generated));
  const present = filesOf(join(root, generated));
  const names = [...new Set([...fresh.keys(), ...present.keys()])].toSorted();
  const stale = names.filter((name) => fresh.get(name) !== present.get(name));
  for (const name of stale) process.stderr.write(`${generated}/${name} is not what proto/ gives: run make proto\n`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
