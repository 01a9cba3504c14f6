// Every file opens with what it is, and every exported name has a sentence.
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { placeOf, type SourceFile, sourceFiles } from "./source-files.ts";

function opensWithComment({ text }: SourceFile): boolean {
  const withoutShebang = text.replace(/^#!.*\n/, "");
  return /^(\/\/ \S.{15,}|\/\*\*? \S)/.test(withoutShebang);
}

function isExported(node: ts.Node): boolean {
  return (
    ts.canHaveModifiers(node) &&
    (ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false)
  );
}

function undocumented(file: SourceFile): readonly string[] {
  return file.tree.statements
    .filter((statement) => isExported(statement) && ts.getJSDocCommentsAndTags(statement).length === 0)
    .map(
      (statement) =>
        `${placeOf(file, statement)} exports a name without a sentence: what it is, its units and its errors`,
    );
}

describe("comments", () => {
  it("open every file with what it is and what it refuses", () => {
    // A test file says it by the names of its tests.
    const files = sourceFiles("src", "codegen", "test", "bench", "scripts").filter(
      ({ path }) => !path.endsWith(".test.ts"),
    );
    const bare = files.filter((file) => !opensWithComment(file)).map(({ path }) => path);
    expect(bare).toEqual([]);
  });

  it("stand at every exported name", () => {
    expect(sourceFiles("src", "codegen", "scripts").flatMap(undocumented)).toEqual([]);
  });

  it("carry no task without a number and no switched-off code", () => {
    const files = sourceFiles("src", "codegen", "scripts");
    const marks = files.filter(({ text }) => /\b(TODO|FIXME|XXX)\b(?! ?\(?#\d)/.test(text)).map(({ path }) => path);
    expect(marks).toEqual([]);
  });
});
