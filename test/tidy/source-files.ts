// Reads the repository's own source for the rules of this folder: which files there are, and their syntax trees, once.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";

/** The root of the repository. */
export const root: string = join(import.meta.dirname, "..", "..");

/** One TypeScript file of the repository. */
export interface SourceFile {
  /** Path from the root, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

const skippedFolders = new Set(["node_modules", "dist", ".git", ".tools", ".cache", "coverage", "mutants"]);

function walk(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return skippedFolders.has(entry.name) ? [] : walk(path);
    const isScratch = entry.name.startsWith(".") && entry.name.endsWith(".ts");
    return entry.isFile() && !isScratch ? [path] : [];
  });
}

let allPaths: readonly string[] | undefined;
const parsed = new Map<string, SourceFile>();

/** Paths from the root of every file that belongs to the repository, sorted. */
export function repositoryFiles(): readonly string[] {
  allPaths ??= walk(root)
    .map((path) => relative(root, path))
    .toSorted();
  return allPaths;
}

/** A file's text. */
export function textOf(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** The TypeScript files below `folders`, parsed. */
export function sourceFiles(...folders: readonly string[]): readonly SourceFile[] {
  return repositoryFiles()
    .filter((path) => path.endsWith(".ts") && folders.some((folder) => path.startsWith(`${folder}/`)))
    .map(sourceFile);
}

function sourceFile(path: string): SourceFile {
  const known = parsed.get(path);
  if (known !== undefined) return known;
  const text = textOf(path);
  const file = { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true) };
  parsed.set(path, file);
  return file;
}

/** Calls `visit` for a node and everything below it. */
export function visitNodes(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => visitNodes(child, visit));
}

/** `path:line` of a node. */
export function placeOf(file: SourceFile, node: ts.Node): string {
  const { line } = file.tree.getLineAndCharacterOfPosition(node.getStart(file.tree));
  return `${file.path}:${line + 1}`;
}

/** What a file imports, as it is written. */
export function importsOf(file: SourceFile): readonly string[] {
  return ts.preProcessFile(file.text, true, true).importedFiles.map(({ fileName }) => fileName);
}
