// Names are Kafka's nouns and say what a thing is. No file hides behind `index.ts`, no export behind `default`.
import { posix } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { bannedNames } from "./exceptions.ts";
import { expectOnly, type Finding } from "./findings.ts";
import { placeOf, repositoryFiles, type SourceFile, sourceFiles, visitNodes } from "./source-files.ts";

/** Words that say nothing about what a thing is. `base` stays for offsets and what is counted from them, as in Kafka. */
const bannedWords = ["util", "utils", "helper", "helpers", "common", "misc", "manager", "impl", "data", "info"];
const afterBase = ["offset", "timestamp", "sequence", "delta", "64url", "64"];
/** Where Kafka, Node or a format has the word: `dataDir`, `log.info`, `DataView`, a chunk event named `data`. */
const foreignNames = ["dataDir", "dataView", "DataView", "metadata", "info", "data", "KAFSCALE_DATA_DIR", "--data-dir"];

function wordsOf(name: string): readonly string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.toLowerCase());
}

function bannedWordOf(name: string): string | undefined {
  if (foreignNames.includes(name)) return undefined;
  const words = wordsOf(name);
  const base = words.findIndex((word) => word === "base");
  if (base >= 0 && !afterBase.some((word) => words[base + 1]?.startsWith(word)))
    return words.length === 1 ? "base" : undefined;
  if (name === "handle") return "handle";
  return words.find((word, index) => bannedWords.includes(word) && !(word === "data" && words[index + 1] === "dir"));
}

function declaredNames(file: SourceFile): readonly Finding[] {
  const findings: Finding[] = [];
  visitNodes(file.tree, (node) => {
    const isDeclaration =
      ts.isFunctionDeclaration(node) ||
      ts.isClassDeclaration(node) ||
      ts.isInterfaceDeclaration(node) ||
      ts.isTypeAliasDeclaration(node) ||
      ts.isMethodDeclaration(node) ||
      ts.isVariableDeclaration(node);
    if (!isDeclaration || node.name === undefined || !ts.isIdentifier(node.name)) return;
    const name = node.name.getText();
    const word = bannedWordOf(name);
    if (word === undefined) return;
    const sentence = `${placeOf(file, node)} is called ${name}: "${word}" says nothing, use the noun of what it is`;
    findings.push({ key: `${file.path}#${name}`, sentence });
  });
  return findings;
}

describe("names", () => {
  it("of files say what they hold", () => {
    const paths = repositoryFiles().filter(
      (path) => /^(src|codegen|test|bench|scripts)\//.test(path) && path.endsWith(".ts"),
    );
    const findings = paths.flatMap((path): Finding[] => {
      const name = posix.basename(path).replace(/(\.test)?\.ts$/, "");
      if (!/^[a-z0-9-]+(\.(property|contract|golden))?$/.test(name))
        return [{ key: path, sentence: `${path} is not in kebab-case` }];
      if (name === "index")
        return [{ key: path, sentence: `${path}: import the file that owns the name, not an index` }];
      const word = bannedWordOf(name);
      return word === undefined ? [] : [{ key: path, sentence: `${path} is named by "${word}", which says nothing` }];
    });
    expectOnly(findings, []);
  });

  it("of declarations say what they are", () => {
    expectOnly(sourceFiles("src", "codegen").flatMap(declaredNames), bannedNames);
  });

  it("are exported by the file that owns them, never as default and never again", () => {
    const breaches = sourceFiles("src", "generated", "codegen", "scripts").flatMap((file) => {
      const found: string[] = [];
      visitNodes(file.tree, (node) => {
        const isDefault = ts.isExportAssignment(node) || node.kind === ts.SyntaxKind.DefaultKeyword;
        if (isDefault && !ts.isDefaultClause(node.parent))
          found.push(`${placeOf(file, node)} exports a default: give it its name`);
        const isAgain = ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined;
        if (isAgain) found.push(`${placeOf(file, node)} exports another file's names: import the file that owns them`);
      });
      return found;
    });
    expect(breaches).toEqual([]);
  });
});
