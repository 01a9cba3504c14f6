// Generated files are what their sources give: they are printed again and compared, never edited.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "./source-files.ts";

function run(program: string, args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const path = join(root, "node_modules", ".bin", program);
  const { status, stdout, stderr } = spawnSync(path, args, { cwd: root, encoding: "utf8", timeout: 120_000 });
  return { status, output: `${stdout}${stderr}`.slice(-3000) };
}

describe("generated files", () => {
  it("of the Kafka protocol are what schemas/ gives: else run make generate", { timeout: 120_000 }, () => {
    expect(run("tsx", ["codegen/main.ts", "--check"])).toMatchObject({ status: 0 });
  });

  it("of the metadata values are what proto/ gives: else run make proto", { timeout: 120_000 }, () => {
    expect(run("tsx", ["scripts/check-proto.ts"])).toMatchObject({ status: 0 });
  });

  it("come from schemas that pass buf lint", () => {
    expect(run("buf", ["lint"])).toEqual({ status: 0, output: "" });
  });
});
