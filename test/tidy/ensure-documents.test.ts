// What the documents say is true: commands are run, links lead somewhere, and every part of the tree has its place in them.
import { spawnSync } from "node:child_process";
import { posix } from "node:path";
import { describe, expect, it } from "vitest";
import { documentedCommands } from "./documented-commands.ts";
import { repositoryFiles, root, textOf } from "./source-files.ts";

const documents = repositoryFiles().filter((path) => path.endsWith(".md") && !path.startsWith("test/"));

/** Lines of the code blocks that are commands: those marked `sh` or `bash`. */
function commandsOf(path: string): readonly string[] {
  const blocks = [...textOf(path).matchAll(/^```(?:sh|bash)\n([\s\S]*?)^```/gm)];
  return blocks
    .flatMap(([, body = ""]) => body.split("\n"))
    .map((line) => line.replace(/^\$ /, "").trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

function makeTargets(): ReadonlySet<string> {
  const names = [...textOf("Makefile").matchAll(/^([a-z0-9-]+):(?!=)/gm)].map(([, name = ""]) => name);
  return new Set(names);
}

describe("documents", () => {
  it("show only commands that a test runs", () => {
    const shown = documents.flatMap((path) => commandsOf(path).map((command) => ({ path, command })));
    const rows = new Map(documentedCommands.map((row) => [row.command, row]));
    const without = shown
      .filter(({ command }) => !rows.has(command))
      .map(({ path, command }) => `${path} shows "${command}", which no row of documented-commands.ts runs`);
    const commands = new Set(shown.map(({ command }) => command));
    const unshown = documentedCommands
      .filter(({ command }) => !commands.has(command))
      .map(({ command }) => `no document shows "${command}" any more`);
    const files = new Set(repositoryFiles());
    const unrun = documentedCommands
      .filter(({ runBy }) => !files.has(`test/${runBy}`))
      .map(({ command, runBy }) => `"${command}" is to be run by test/${runBy}, which is not there`);
    expect([...without, ...unshown, ...unrun]).toEqual([]);
  });

  it("name only targets that the Makefile has", () => {
    const targets = makeTargets();
    const named = documents.flatMap((path) =>
      [...textOf(path).matchAll(/`make ([a-z0-9-]+)/g)].map(([, name = ""]) => ({ path, name })),
    );
    // The guide of the Go project has targets of its own; the page of differences names them.
    const foreign = new Set(["docker-build", "tidy"]);
    const missing = named.filter(({ name }) => !targets.has(name) && !foreign.has(name));
    expect(missing).toEqual([]);
  });

  it("show each target of the Makefile with what it does and what it needs", () => {
    const text = spawnSync("make", ["-C", root, "help"], { encoding: "utf8" }).stdout;
    const hidden = new Set(["deps"]);
    const undescribed = [...makeTargets()].filter(
      (name) => !hidden.has(name) && !new RegExp(`make ${name} +\\S.*needs`).test(text),
    );
    expect(undescribed).toEqual([]);
  });

  it("link only to what is there", () => {
    const files = new Set(repositoryFiles());
    const broken = documents.flatMap((path) =>
      [...textOf(path).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target = ""]) => target)
        .filter((target) => !/^[a-z]+:/.test(target))
        .filter((target) => !files.has(posix.join(posix.dirname(path), target)))
        .map((target) => `${path} links to ${target}, which is not there`),
    );
    expect(broken).toEqual([]);
  });

  it("place every folder of the tree", () => {
    const text = textOf("docs/ARCHITECTURE.md");
    const folders = new Set(
      repositoryFiles().flatMap((path) => {
        const parts = path.split("/");
        const top = parts.length > 1 && !path.startsWith(".") ? [`${parts[0]}/`] : [];
        const room =
          parts.length > 2 && /^(src|test|generated)$/.test(parts[0] ?? "") ? [`${parts[0]}/${parts[1]}`] : [];
        return [...top, ...room];
      }),
    );
    const unplaced = [...folders].filter((folder) => !text.includes(`\`${folder}\``));
    expect(unplaced, "folders that docs/ARCHITECTURE.md does not name").toEqual([]);
  });

  it("name every run-time dependency with its reason", () => {
    const { dependencies, optionalDependencies } = JSON.parse(textOf("package.json")) as Record<
      string,
      Record<string, string>
    >;
    const names = Object.keys({ ...dependencies, ...optionalDependencies });
    const text = textOf("docs/DEPENDENCIES.md");
    expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});
