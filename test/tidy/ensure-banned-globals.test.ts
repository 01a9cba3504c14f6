// Time, chance, sockets, the process and the console reach a room through the host's seams alone, so that a whole cluster
// runs in one process under a seed.
import ts from "typescript";
import { describe, it } from "vitest";
import { bannedGlobals } from "./exceptions.ts";
import { expectOnly, type Finding } from "./findings.ts";
import { importsOf, placeOf, type SourceFile, sourceFiles, visitNodes } from "./source-files.ts";

const clock = "take the time from the Clock of src/host/clock.ts";
const timers = "use Clock.setTimer, sleep or withDeadline of src/host/clock.ts";
const chance = "take it from the Random of src/host/random.ts";
const network = "use the Transport of src/host/transport.ts";

/** Expressions by their text, and what to use instead. */
const replacements: Readonly<Record<string, string>> = {
  "Date.now": clock,
  "performance.now": clock,
  "process.hrtime": clock,
  "Math.random": chance,
  "crypto.randomBytes": chance,
  "crypto.randomUUID": chance,
  "crypto.getRandomValues": chance,
  "AbortSignal.timeout": timers,
};

/** Names that may not stand alone, and what to use instead. */
const bareNames: Readonly<Record<string, string>> = {
  process: "take it as a setting: only src/main reads the process",
  console: "use the Log of src/host/log.ts",
  setTimeout: timers,
  setInterval: timers,
  setImmediate: timers,
  randomBytes: chance,
  randomUUID: chance,
  randomInt: chance,
};

const bannedModules: Readonly<Record<string, string>> = {
  "node:net": network,
  "node:tls": network,
  "node:http": network,
  "node:http2": network,
  "node:https": network,
  "node:timers": timers,
  "node:timers/promises": timers,
  "node:child_process": "nothing starts programs",
  "node:worker_threads": "work off the loop belongs to src/host",
};

/** Names that the file itself declares: a local `process` is not Node's. */
function declaredNames(file: SourceFile): ReadonlySet<string> {
  const names = new Set<string>();
  visitNodes(file.tree, (node) => {
    const isDeclaration = ts.isVariableDeclaration(node) || ts.isParameter(node) || ts.isBindingElement(node);
    if (isDeclaration && ts.isIdentifier(node.name)) names.add(node.name.text);
  });
  return names;
}

function isName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  return !(ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent) || ts.isTypeReferenceNode(parent));
}

function replacementOf(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node)) return replacements[node.getText()];
  if (ts.isNewExpression(node) && node.expression.getText() === "Date" && !node.arguments?.length) return clock;
  if (ts.isIdentifier(node) && Object.hasOwn(bareNames, node.text) && isName(node)) return bareNames[node.text];
  return undefined;
}

function findingsOf(file: SourceFile): readonly Finding[] {
  const findings: Finding[] = [];
  const declared = declaredNames(file);
  visitNodes(file.tree, (node) => {
    const replacement = replacementOf(node);
    if (replacement === undefined || declared.has(node.getText())) return;
    findings.push({ key: file.path, sentence: `${placeOf(file, node)} uses ${node.getText()}: ${replacement}` });
  });
  for (const specifier of importsOf(file)) {
    const replacement = bannedModules[specifier];
    if (replacement === undefined) continue;
    findings.push({ key: file.path, sentence: `${file.path} imports ${specifier}: ${replacement}` });
  }
  return findings;
}

describe("banned globals", () => {
  it("are used by no room but host and main", () => {
    const files = sourceFiles("src").filter(({ path }) => !/^src\/(host|main)\//.test(path));
    expectOnly(files.flatMap(findingsOf), bannedGlobals);
  });
});
