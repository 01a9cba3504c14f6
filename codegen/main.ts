// `make generate`: prints generated/kafka, generated/testing and the support table of docs/PROTOCOL.md from schemas/,
// writing only what changed and removing what is no longer printed. With --check it writes nothing and fails if anything would change.
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseErrors, planSchemas, printPlans } from "./generate.ts";
import { servedVersions, withSupportTable } from "./support-table.ts";
import { changedFiles, writeChanged } from "./write-changed.ts";

const root = join(import.meta.dirname, "..");
const schemaFolder = join(root, "schemas");
const generatedFolder = join(root, "generated");
const documentFolder = join(root, "docs");
const NOT_MESSAGES = new Set(["errors.json", "SOURCES.json"]);

function readSchemas(): Map<string, string> {
  const names = readdirSync(schemaFolder).filter((name) => name.endsWith(".json") && !NOT_MESSAGES.has(name));
  return new Map(names.toSorted().map((name) => [name, readFileSync(join(schemaFolder, name), "utf8")]));
}

/** Files in the generator's folders that it does not print. */
function staleFiles(files: ReadonlyMap<string, string>): string[] {
  return ["kafka", "testing"].flatMap((folder) => {
    const names = readdirSync(join(generatedFolder, folder), { withFileTypes: true });
    return names.map((entry) => `${folder}/${entry.name}`).filter((name) => !files.has(name));
  });
}

const plans = planSchemas(readSchemas());
const files = printPlans(plans, parseErrors(readFileSync(join(schemaFolder, "errors.json"), "utf8")));
const protocol = readFileSync(join(documentFolder, "PROTOCOL.md"), "utf8");
const documents = new Map([
  ["PROTOCOL.md", withSupportTable(protocol, plans, servedVersions(join(root, "src/kafka/apis")))],
]);
const layouts = plans.reduce(
  (sum, plan) => sum + new Set(plan.layoutByVersion.filter((suffix) => suffix !== undefined)).size,
  0,
);
const versions = plans.reduce(
  (sum, plan) => sum + plan.layoutByVersion.filter((suffix) => suffix !== undefined).length,
  0,
);
const summary = `${plans.length} messages, ${versions} versions, ${layouts} layouts`;

if (process.argv.includes("--check")) {
  const wrong = [
    ...changedFiles(generatedFolder, files),
    ...changedFiles(documentFolder, documents),
    ...staleFiles(files),
  ];
  console.log(
    wrong.length === 0
      ? `generated/ and docs/PROTOCOL.md are what schemas/ gives: ${summary}`
      : `stale: ${wrong.join(", ")}`,
  );
  process.exitCode = wrong.length === 0 ? 0 : 1;
} else {
  const changed = [...writeChanged(generatedFolder, files), ...writeChanged(documentFolder, documents)];
  const stale = staleFiles(files);
  for (const name of stale) rmSync(join(generatedFolder, name));
  console.log(`generated: ${summary}; ${changed.length} files written, ${stale.length} removed`);
}
