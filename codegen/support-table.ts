// The support table of docs/PROTOCOL.md: every API with the versions of the schemas, and those that a handler serves.
// The handlers' versions are read from their source, so that the table can be printed while nothing compiles yet;
// test/codegen/support-table.test.ts compares it with what a broker advertises.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stableVersions } from "./check.ts";
import type { CodecPlan } from "./plan.ts";
import { apiPairs } from "./print/tables.ts";
import { formatVersions, isEmpty, type VersionRange } from "./versions.ts";

const BEGIN = "<!-- The support table is printed by `make generate`. -->";
const END = "<!-- End of the support table. -->";

/** Versions that the handlers in `folder` (files `NN-name.ts`) serve, by API key. */
export function servedVersions(folder: string): Map<number, VersionRange> {
  const served = new Map<number, VersionRange>();
  for (const name of readdirSync(folder)) {
    const key = /^(\d\d)-[a-z-]+\.ts$/.exec(name)?.[1];
    if (key === undefined) continue;
    const match = /minVersion: (\d+),\s*maxVersion: (\d+),/.exec(readFileSync(join(folder, name), "utf8"));
    if (match === null) throw new Error(`${name} does not say its minVersion and maxVersion`);
    served.set(Number(key), { lowest: Number(match[1]), highest: Number(match[2]) });
  }
  return served;
}

/** `document` with the table between its two marks replaced. Throws if the marks are not there. */
export function withSupportTable(
  document: string,
  plans: readonly CodecPlan[],
  served: ReadonlyMap<number, VersionRange>,
): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`docs/PROTOCOL.md lacks "${BEGIN}" and "${END}"`);
  return `${document.slice(0, begin)}${BEGIN}\n\n${supportTable(plans, served)}\n${document.slice(end)}`;
}

function supportTable(plans: readonly CodecPlan[], served: ReadonlyMap<number, VersionRange>): string {
  const rows = apiPairs(plans).map(({ key, name, request }) => {
    const { message } = request;
    const stable = stableVersions(message);
    const schemas = formatVersions({ lowest: stable[0] ?? 0, highest: stable.at(-1) ?? -1 });
    const unstable = message.latestVersionUnstable ? ` (${message.validVersions.highest} unstable)` : "";
    const flexible = isEmpty(message.flexibleVersions) ? "never" : `from ${message.flexibleVersions.lowest}`;
    const range = served.get(key);
    const isServed = range === undefined ? "" : `yes, ${formatVersions(range)}`;
    return `| ${key} | ${name} | ${schemas}${unstable} | ${flexible} | ${message.listeners.join(", ")} | ${isServed} |\n`;
  });
  return `| key | API | versions with codecs | flexible | listeners | served |\n|---|---|---|---|---|---|\n${rows.join("")}`;
}
