// Nothing in the repository depends on one person's machine: no absolute paths, no addresses of registries, exact versions.
import { describe, expect, it } from "vitest";
import { repositoryFiles, textOf } from "./source-files.ts";

const textFiles = repositoryFiles().filter((path) => !/\.(bin|png|jar|gz|zst|lz4|snappy)$/.test(path));

/** Places of one machine, and hosts that a client is configured with elsewhere. */
const foreign = [
  /(?<![\w.])\/(?:work|root|home\/[a-z]\w*|Users\/\w+)\//,
  /registry\.npmjs\.org|repo\d?\.maven|files\.pythonhosted|proxy\.golang|deb\.debian|pypi\.org\/simple/,
];

describe("text of the repository", () => {
  it("names no path of one machine and no registry", () => {
    const own = "test/tidy/ensure-clean-text.test.ts";
    const found = textFiles
      .filter((path) => path !== own)
      .flatMap((path) => {
        const lines = textOf(path).split("\n");
        const isForeign = (line: string) => foreign.some((pattern) => pattern.test(line));
        return lines.flatMap((line, index) =>
          isForeign(line) ? [`${path}:${index + 1}: ${line.trim().slice(0, 120)}`] : [],
        );
      });
    expect(found).toEqual([]);
  });

  it("pins every package to one version", () => {
    const manifest = JSON.parse(textOf("package.json")) as Record<string, unknown>;
    const groups = ["dependencies", "devDependencies", "optionalDependencies"];
    const versions = groups.flatMap((group) => Object.entries((manifest[group] ?? {}) as Record<string, string>));
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
    expect(versions.length).toBeGreaterThan(10);
  });

  it("has one version of the project", () => {
    const { version } = JSON.parse(textOf("package.json")) as { version: string };
    expect(textOf("src/broker/broker-settings.ts")).toContain(`version: "${version}"`);
    expect(textOf("CHANGELOG.md")).toContain(`## ${version}`);
  });
});
