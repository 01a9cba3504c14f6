// Adds to package-lock.json the optional packages for other systems that a registry mirror does not serve. npm leaves such a
// package out when it locks, and `npm ci` then refuses the lockfile as incomplete. Run it after `npm install` of a package.
import { readFileSync, writeFileSync } from "node:fs";

const systems = ["android", "darwin", "freebsd", "linux", "openharmony", "win32"];
const processors = {
  armv7: "arm",
  arm: "arm",
  arm64: "arm64",
  ia32: "ia32",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
  x64: "x64",
};

/** Where a package below `path` would find `name`, nearest first. */
function places(path, name) {
  const parts = path.split("/node_modules/");
  return [
    ...parts.map((_, index) => [...parts.slice(0, parts.length - index), name].join("/node_modules/")),
    `node_modules/${name}`,
  ];
}

/** The entry of a package that is named after its system, as `binding-linux-arm64-musl`. */
function entryOf(name, version) {
  const words = name.split(/[/-]/);
  const os = words.filter((word) => systems.includes(word));
  const cpu = words.filter((word) => word in processors).map((word) => processors[word]);
  if (os.length !== 1 || cpu.length !== 1 || !/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Error(`${name}@${version} does not say for which system it is: add it to package-lock.json by hand`);
  }
  const libc = os[0] === "linux" ? { libc: [words.some((word) => word.startsWith("musl")) ? "musl" : "glibc"] } : {};
  return { version, cpu, dev: true, ...libc, optional: true, os };
}

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
for (const [path, { optionalDependencies = {} }] of Object.entries(lock.packages)) {
  if (path === "") continue;
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (places(path, name).some((place) => place in lock.packages)) continue;
    lock.packages[`node_modules/${name}`] = entryOf(name, version);
    console.log(`added ${name}@${version}`);
  }
}
lock.packages = Object.fromEntries(
  Object.entries(lock.packages).toSorted(([left], [right]) => left.localeCompare(right, "en")),
);
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
