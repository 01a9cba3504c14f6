// The only door to ts-morph: a list of declarations becomes the text of one file, set once and never manipulated.
// Imports and private declarations that nothing in the file uses are left out.
import {
  type FunctionDeclarationStructure,
  IndentationText,
  type InterfaceDeclarationStructure,
  NewLineKind,
  type OptionalKind,
  Project,
  QuoteKind,
  type StatementStructures,
  StructureKind,
} from "ts-morph";

/** An import: the module and the names it may give; a name that starts with "type " is a type, "* as x" the whole module. */
export interface ImportPlan {
  readonly from: string;
  readonly names: readonly string[];
}

/** A declaration of a file. One that is not exported is kept only if another one that is kept names it. */
export interface DeclarationPlan {
  readonly name: string;
  readonly structure: StatementStructures | string;
}

const project = new Project({
  useInMemoryFileSystem: true,
  skipLoadingLibFiles: true,
  manipulationSettings: {
    indentationText: IndentationText.TwoSpaces,
    newLineKind: NewLineKind.LineFeed,
    quoteKind: QuoteKind.Double,
  },
});

/** A declaration of an interface. */
export function interfaceOf(structure: OptionalKind<InterfaceDeclarationStructure>): DeclarationPlan {
  return { name: structure.name, structure: { kind: StructureKind.Interface, isExported: true, ...structure } };
}

/** A declaration of a function. */
export function functionOf(
  structure: OptionalKind<FunctionDeclarationStructure> & { readonly name: string },
): DeclarationPlan {
  return { name: structure.name, structure: { kind: StructureKind.Function, ...structure } };
}

/** Declarations given as text: name, then source. */
export function textOf(name: string, text: string): DeclarationPlan {
  return { name, structure: text };
}

/** Prints one file. `header` is its opening comment. */
export function printFile(
  header: readonly string[],
  imports: readonly ImportPlan[],
  declarations: readonly DeclarationPlan[],
): string {
  const statements = keepUsed(declarations).map((declaration) => declaration.structure);
  const file = project.createSourceFile("printed.ts", { statements }, { overwrite: true });
  const body = file.getFullText().trim();
  const lines = imports.flatMap((entry) => printImport(entry, body));
  return `${header.map((line) => `// ${line}`).join("\n")}\n${lines.join("\n")}${lines.length > 0 ? "\n" : ""}\n${body}\n`;
}

/** What is exported, and what is reached from there by name. */
function keepUsed(declarations: readonly DeclarationPlan[]): DeclarationPlan[] {
  const texts = new Map(declarations.map((declaration) => [declaration, sourceOf(declaration.structure)]));
  const isExported = (text: string): boolean => /"isExported":true|^(?:\/\*\*.*\*\/)?\s*export /.test(text);
  const kept = new Set(declarations.filter((declaration) => isExported(texts.get(declaration) ?? "")));
  for (let before = -1; before !== kept.size; ) {
    before = kept.size;
    for (const candidate of declarations) {
      const isUsed = [...kept].some((user) => user !== candidate && uses(texts.get(user) ?? "", candidate.name));
      if (isUsed) kept.add(candidate);
    }
  }
  return declarations.filter((declaration) => kept.has(declaration));
}

/** A declaration as one searchable line. */
function sourceOf(structure: StatementStructures | string): string {
  const text = typeof structure === "string" ? structure : JSON.stringify(structure).replaceAll("\\n", " ");
  return text.replaceAll("\n", " ");
}

function uses(text: string, name: string): boolean {
  return new RegExp(`\\b${name}\\b`).test(text);
}

function printImport(entry: ImportPlan, body: string): string[] {
  const [first = ""] = entry.names;
  if (first.startsWith("* as ")) return [`import ${first} from "${entry.from}";`];
  const names = entry.names.filter((name) => uses(body, name.replace("type ", "")));
  if (names.length === 0) return [];
  const areTypes = names.every((name) => name.startsWith("type "));
  const listed = areTypes ? names.map((name) => name.replace("type ", "")) : names;
  const opening = `import ${areTypes ? "type " : ""}{`;
  const line = `${opening} ${listed.join(", ")} } from "${entry.from}";`;
  if (line.length <= 120) return [line];
  return [`${opening}\n${listed.map((name) => `  ${name},`).join("\n")}\n} from "${entry.from}";`];
}
