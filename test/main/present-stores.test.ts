// A command that looks at a cluster makes none.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { JOURNAL_NAME } from "../../src/kv/journal.ts";
import { METADATA_FOLDER, requirePresentStores } from "../../src/main/present-stores.ts";
import { SettingsError } from "../../src/main/settings-error.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kafscale-present-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const inFolder = (dataDir: string | undefined) => ({ dataDir, s3: undefined, etcd: undefined });

it("refuses stores that nobody named, by the name of the command", () => {
  expect(() => requirePresentStores(inFolder(undefined), "verify")).toThrow("give `verify` the KAFSCALE_* variables");
});

it("refuses a folder that is not there or that no broker has used, and leaves it as it is", () => {
  const missing = join(folder, "mistyped");
  expect(() => requirePresentStores(inFolder(missing), "verify")).toThrow(SettingsError);
  expect(existsSync(missing)).toBe(false);
  expect(() => requirePresentStores(inFolder(folder), "verify")).toThrow("no broker has ever kept its metadata");
});

it("takes the folder of a broker", () => {
  const metadata = join(folder, METADATA_FOLDER);
  mkdirSync(metadata);
  writeFileSync(join(metadata, JOURNAL_NAME), "");
  expect(() => requirePresentStores(inFolder(folder), "verify")).not.toThrow();
});
