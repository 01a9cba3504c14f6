// The programs that `make tools` installs, and what a test does without them: it is skipped at a person's machine and
// fails where CI=true.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "vitest";

/** The root of the repository. */
export const repositoryRoot: string = join(import.meta.dirname, "..", "..");

const toolsFolder = join(repositoryRoot, ".tools");

/** A tool by the name of its stamp. */
export type ToolName = "etcd" | "faketime" | "kafka" | "kcat" | "minio" | "python" | "versitygw";

/** The folder whose programs carry the names that Kafka's documentation uses. */
export const commandFolder: string = join(toolsFolder, "bin");

/** The path of a command of `.tools/bin`, like `kcat` or `kafka-topics`. */
export function toolCommand(name: string): string {
  return join(commandFolder, name);
}

/** The interpreter with the Python clients. */
export const pythonProgram: string = join(toolsFolder, "python", "bin", "python");

/** The tools of `names` that are not installed. */
export function missingTools(names: readonly ToolName[]): readonly ToolName[] {
  return names.filter((name) => !existsSync(join(toolsFolder, `${name}.stamp`)));
}

/** A `describe` that needs tools. Without them it is skipped by name, or fails where CI=true. */
export function describeWithTools(title: string, names: readonly ToolName[], define: () => void): void {
  const missing = missingTools(names);
  if (missing.length === 0) {
    describe(title, define);
    return;
  }
  const reason = `${title}: ${missing.join(" and ")} missing in .tools/, run make tools`;
  if (process.env["CI"] === "true") {
    it(reason, () => {
      throw new Error(reason);
    });
    return;
  }
  describe.skipIf(true)(reason, define);
}
