// Golden scripts: each file beside this one tells a story of one group. `UPDATE_GOLDEN=1` writes what happens now into
// them; the diff is then read like code.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { GroupScript } from "./group-script.ts";

const folder = new URL("./golden/", import.meta.url);
const isUpdate = process.env["UPDATE_GOLDEN"] === "1";
if (isUpdate && process.env["CI"] === "true") throw new Error("golden files are not rewritten in CI");

/** A script with its outputs replaced by what the machine says. */
function replay(text: string): string {
  const script = new GroupScript();
  const out: string[] = [];
  let isOutput = false;
  let due: string[] = [];
  for (const line of text.split("\n")) {
    if (line === "----") {
      out.push(line, ...due);
      due = [];
      isOutput = true;
    } else if (line === "" || line.startsWith("#")) {
      isOutput = false;
      out.push(line);
    } else if (!isOutput) {
      due.push(...script.run(line));
      out.push(line);
    }
  }
  expect(due, "every command is followed by ----").toEqual([]);
  return out.join("\n");
}

describe("the classic group machine", () => {
  for (const name of readdirSync(folder).sort()) {
    it(`keeps the rules of ${name}`, () => {
      const file = new URL(name, folder);
      const golden = readFileSync(file, "utf8");
      const actual = replay(golden);
      if (isUpdate) writeFileSync(file, actual);
      expect(actual).toBe(isUpdate ? actual : golden);
    });
  }
});
