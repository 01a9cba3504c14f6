// `npm ci` takes the lockfile on every system: it names every package that a locked one may want, with one version.
import { expect, it } from "vitest";
import { textOf } from "./source-files.ts";

/** The parts of a lockfile's entry that are looked at. */
interface LockedPackage {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const { packages } = JSON.parse(textOf("package-lock.json")) as {
  readonly packages: Readonly<Record<string, LockedPackage>>;
};

it("has the packages for other systems: else run node scripts/complete-lockfile.mjs", () => {
  const names = new Set(Object.keys(packages).map((path) => path.slice(path.lastIndexOf("node_modules/") + 13)));
  const wanted = Object.values(packages).flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}));
  expect(wanted.filter((name) => !names.has(name))).toEqual([]);
});

it("locks what package.json asks for", () => {
  const manifest = JSON.parse(textOf("package.json")) as Readonly<Record<string, Readonly<Record<string, string>>>>;
  const groups = ["dependencies", "devDependencies", "optionalDependencies"];
  const asked = groups.flatMap((group) => Object.entries(manifest[group] ?? {}));
  const different = asked.filter(([name, version]) => packages[`node_modules/${name}`]?.version !== version);
  expect(different).toEqual([]);
});
