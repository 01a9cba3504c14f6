import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { planSchemas } from "../../codegen/generate.ts";
import { servedVersions, withSupportTable } from "../../codegen/support-table.ts";
import { handlers } from "../../src/kafka/handlers.ts";
import { supportedApisOf } from "../../src/kafka/supported-apis.ts";
import { repositorySchemas } from "./repository-schemas.ts";

const root = join(import.meta.dirname, "../..");
const served = servedVersions(join(root, "src/kafka/apis"));

it("the support table shows as served exactly what a broker advertises", () => {
  const advertised = supportedApisOf(handlers).map((row) => [row.apiKey, row.minVersion, row.maxVersion]);
  const shown = [...served].map(([key, range]) => [key, range.lowest, range.highest]);
  expect(shown.toSorted(([a = 0], [b = 0]) => a - b)).toEqual(advertised);
});

it("docs/PROTOCOL.md holds the table that the schemas and handlers give", () => {
  const document = readFileSync(join(root, "docs/PROTOCOL.md"), "utf8");
  expect(withSupportTable(document, planSchemas(repositorySchemas()), served)).toBe(document);
  expect(() => withSupportTable("no marks", [], served)).toThrow("docs/PROTOCOL.md lacks");
});
