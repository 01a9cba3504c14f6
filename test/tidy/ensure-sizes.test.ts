// A file of at most 400 lines, a function of at most 50 and 3 parameters: what one reader holds at once. Tests are lists of
// cases and only have to stay within the hard limits.
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { type Exception, longFiles, longFunctions, manyParameters } from "./exceptions.ts";
import { expectOnly, type Finding } from "./findings.ts";
import { placeOf, type SourceFile, sourceFiles, visitNodes } from "./source-files.ts";

const fileLinesMax = 400;
const fileLinesHardMax = 600;
const functionLinesMax = 50;
const functionLinesHardMax = 70;
const parametersMax = 3;

function writtenFiles(): readonly SourceFile[] {
  return sourceFiles("src", "codegen", "scripts", "test", "bench");
}

type WithBody = ts.FunctionDeclaration | ts.MethodDeclaration | ts.ConstructorDeclaration | ts.ArrowFunction;

function isFunction(node: ts.Node): node is WithBody {
  return (
    ts.isFunctionDeclaration(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isConstructorDeclaration(node) ||
    ts.isArrowFunction(node)
  );
}

function nameOf(node: WithBody): string {
  if (ts.isConstructorDeclaration(node)) return "constructor";
  if (node.name !== undefined) return node.name.getText();
  const { parent } = node;
  return ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) ? parent.name.getText() : "arrow";
}

function functionsOf(file: SourceFile): readonly WithBody[] {
  const functions: WithBody[] = [];
  visitNodes(file.tree, (node) => {
    if (isFunction(node) && node.body !== undefined) functions.push(node);
  });
  return functions;
}

/** The callbacks of `describe`, and functions called `describe…`, hold tests, which are lists: their length says nothing. */
function isTestBlock(node: WithBody): boolean {
  const { parent } = node;
  if (nameOf(node).startsWith("describe")) return true;
  return ts.isCallExpression(parent) && /^(describe|it|test)\b|^describeWithTools$/.test(parent.expression.getText());
}

function isTest(path: string): boolean {
  return path.startsWith("test/");
}

function lineCount(file: SourceFile, node: ts.Node): number {
  const { line: first } = file.tree.getLineAndCharacterOfPosition(node.getStart(file.tree));
  const { line: last } = file.tree.getLineAndCharacterOfPosition(node.getEnd());
  return last - first + 1;
}

function expectBelowHardLimit(exceptions: readonly Exception[], hardMax: number): void {
  expect(exceptions.filter(({ atMost }) => (atMost ?? 0) > hardMax)).toEqual([]);
}

describe("sizes", () => {
  it("of files stay within 400 lines", () => {
    const findings = writtenFiles()
      .map((file): Finding => {
        const measure = file.text.split("\n").length - 1;
        const sentence = `${file.path} has ${measure} lines: split it by the nouns it owns`;
        return { key: file.path, measure, sentence };
      })
      .filter(({ key, measure }) => (measure ?? 0) > (isTest(key) ? fileLinesHardMax : fileLinesMax));
    expectOnly(findings, longFiles);
    expectBelowHardLimit(longFiles, fileLinesHardMax);
  });

  it("of functions stay within 50 lines", () => {
    const findings = writtenFiles().flatMap((file) =>
      functionsOf(file)
        .filter((node) => !isTestBlock(node))
        .map((node): Finding => {
          const measure = lineCount(file, node);
          const sentence = `${placeOf(file, node)} ${nameOf(node)} has ${measure} lines: name its parts`;
          return { key: `${file.path}#${nameOf(node)}`, measure, sentence };
        })
        .filter(({ key, measure }) => (measure ?? 0) > (isTest(key) ? functionLinesHardMax : functionLinesMax)),
    );
    expectOnly(findings, longFunctions);
    expectBelowHardLimit(longFunctions, functionLinesHardMax);
  });

  it("of parameter lists stay within 3", () => {
    const findings = sourceFiles("src", "codegen", "scripts").flatMap((file) =>
      functionsOf(file)
        .map((node): Finding => {
          const measure = node.parameters.length;
          const sentence = `${placeOf(file, node)} ${nameOf(node)} takes ${measure} parameters: pass an options object`;
          return { key: `${file.path}#${nameOf(node)}`, measure, sentence };
        })
        .filter(({ measure }) => (measure ?? 0) > parametersMax),
    );
    expectOnly(findings, manyParameters);
  });
});
