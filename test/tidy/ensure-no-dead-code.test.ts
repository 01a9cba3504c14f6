// No file, export or package that nothing uses: knip looks at the whole tree.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "./source-files.ts";

it("leaves no file, export or dependency without a use", { timeout: 120_000 }, () => {
  const knip = join(root, "node_modules", ".bin", "knip");
  const { status, stdout, stderr } = spawnSync(knip, ["--no-progress"], { cwd: root, encoding: "utf8" });
  expect({ status, output: `${stdout}${stderr}`.trim().slice(-4000) }).toEqual({ status: 0, output: "" });
});
