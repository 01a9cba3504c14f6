// Writes generated files only where their text changed, so that a second run touches nothing.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Names below `folder` whose text on disk is not the given one. */
export function changedFiles(folder: string, files: ReadonlyMap<string, string>): string[] {
  return [...files.keys()].filter((name) => {
    const path = join(folder, name);
    return !existsSync(path) || readFileSync(path, "utf8") !== files.get(name);
  });
}

/** Writes what changed and returns the names. */
export function writeChanged(folder: string, files: ReadonlyMap<string, string>): string[] {
  const changed = changedFiles(folder, files);
  for (const name of changed) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, files.get(name) ?? "");
  }
  return changed;
}
