// The schemas of this repository as text, for tests that start from them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "../../schemas");

/** Text of every message schema by file name. */
export function repositorySchemas(): Map<string, string> {
  const names = readdirSync(folder).filter(
    (name) => name.endsWith(".json") && name !== "errors.json" && name !== "SOURCES.json",
  );
  return new Map(names.toSorted().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

/** Text of schemas/errors.json. */
export function repositoryErrors(): string {
  return readFileSync(join(folder, "errors.json"), "utf8");
}
