// A codec is straight-line code: nothing walks over descriptions of fields while bytes are read or written.
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { placeOf, type SourceFile, sourceFiles, visitNodes } from "./source-files.ts";

const walkers = /^(Object\.(keys|entries|values|assign|defineProperty|fromEntries)|Reflect\.\w+|eval|Function)$/;

/** What makes code table-driven: properties by a computed name, loops over names, and walks over an object's properties. */
function breachOf(node: ts.Node): string | undefined {
  if (ts.isForInStatement(node)) return "loops over the names of properties";
  if (ts.isCallExpression(node) && walkers.test(node.expression.getText())) return `calls ${node.expression.getText()}`;
  if (ts.isNewExpression(node) && node.expression.getText() === "Function") return "makes code at run time";
  if (!ts.isElementAccessExpression(node)) return undefined;
  const isProperty =
    ts.isStringLiteralLike(node.argumentExpression) || ts.isTemplateExpression(node.argumentExpression);
  return isProperty ? "reads a property by a text" : undefined;
}

function breaches(file: SourceFile): readonly string[] {
  const found: string[] = [];
  visitNodes(file.tree, (node) => {
    const breach = breachOf(node);
    if (breach !== undefined) found.push(`${placeOf(file, node)} ${breach}: print straight-line code instead`);
    const names = ts.isForOfStatement(node) ? node.expression.getText() : "";
    if (/fields|schema|descriptor|layout/i.test(names)) found.push(`${placeOf(file, node)} loops over ${names}`);
  });
  return found;
}

describe("codecs", () => {
  it("walk over no description of fields", () => {
    const isTable = ({ path }: SourceFile) => path === "generated/kafka/error-codes.ts";
    const files = [...sourceFiles("generated/kafka"), ...sourceFiles("src/wire")].filter((file) => !isTable(file));
    expect(files.length).toBeGreaterThan(50);
    expect(files.flatMap(breaches)).toEqual([]);
  });
});
