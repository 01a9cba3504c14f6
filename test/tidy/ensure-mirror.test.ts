// `test/<room>/<file>.test.ts` mirrors `src/<room>/<file>.ts`, so that nobody has to look for the test of a file. A part of
// a bigger thing may be tested by a test of its room that reaches it; a file of types alone needs none.
import { posix } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { withoutOwnTest } from "./exceptions.ts";
import { expectOnly, type Finding } from "./findings.ts";
import { importsOf, repositoryFiles, type SourceFile, sourceFiles } from "./source-files.ts";

const files = repositoryFiles();

/** Tests of a file: its own name, or its own name and an aspect, as `reader.property.test.ts` or `reader-limits.test.ts`. */
function hasTest(path: string): boolean {
  const stem = path.replace(/^src\//, "test/").replace(/\.ts$/, "");
  return files.some(
    (file) => file.startsWith(stem) && /^(?:[.-][a-z0-9.-]+)?\.test\.ts$/.test(file.slice(stem.length)),
  );
}

function targetsOf(file: SourceFile): readonly string[] {
  return importsOf(file).map((specifier) => posix.join(posix.dirname(file.path), specifier));
}

/** Files that the tests of their own room reach: imported by one of them, or by a file of the room that they reach. */
function reachedByRoomTests(): ReadonlySet<string> {
  const ofRoom = new Map(sourceFiles("src").map((file) => [file.path, targetsOf(file)]));
  const reached = new Set<string>();
  const reach = (path: string) => {
    if (reached.has(path) || !ofRoom.has(path)) return;
    reached.add(path);
    const room = path.split("/")[1];
    for (const target of ofRoom.get(path) ?? []) if (target.split("/")[1] === room) reach(target);
  };
  for (const file of sourceFiles("test")) {
    const room = file.path.split("/")[1];
    for (const target of targetsOf(file)) if (target.startsWith(`src/${room}/`)) reach(target);
  }
  return reached;
}

function isTypesAlone(file: SourceFile): boolean {
  return file.tree.statements.every(
    (statement) =>
      ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement) || ts.isImportDeclaration(statement),
  );
}

describe("mirror of tests", () => {
  it("has a test for every source file where one looks for it, or says where it is", () => {
    const reached = reachedByRoomTests();
    const findings = sourceFiles("src")
      .filter((file) => !hasTest(file.path) && !reached.has(file.path) && !isTypesAlone(file))
      .map(({ path }): Finding => ({ key: path, sentence: `${path} is reached by no test of its room` }));
    expectOnly(findings, withoutOwnTest);
  });

  it("has no test folder without a room", () => {
    const apart = ["e2e", "integration", "tidy", "sim", "fuzz", "codegen", "generated", "scripts", "fixtures"];
    const rooms = new Set(files.filter((path) => path.startsWith("src/")).map((path) => path.split("/")[1]));
    const strangers = files
      .filter((path) => path.startsWith("test/") && path.split("/").length > 2)
      .map((path) => path.split("/")[1] ?? "")
      .filter((folder) => !rooms.has(folder) && !apart.includes(folder));
    expect([...new Set(strangers)]).toEqual([]);
  });
});
