// Makes a clone ready to run: checks Node and npm, and installs the packages of the lockfile when those in node_modules
// are other ones. Plain JavaScript for any Node, because it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

const required = [20, 19];
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < required[0] || (major === required[0] && minor < required[1])) {
  console.error(
    `Node ${process.versions.node} is too old: install Node ${required.join(".")} or newer, then run this again.`,
  );
  process.exit(1);
}

/** The packages of a lockfile with their versions, or nothing when there is no such file. */
function lockedPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return undefined;
  }
}

/** Whether node_modules holds every package of the lockfile; those for other systems may be absent. */
function isInstalled() {
  const wanted = lockedPackages("package-lock.json");
  const present = lockedPackages("node_modules/.package-lock.json");
  if (wanted === undefined || present === undefined) return false;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === "") return true;
    return present[path] ? present[path].version === version : optional === true;
  });
}

if (!isInstalled()) {
  console.log("Installing the npm packages of package-lock.json …");
  let status = 1;
  for (let attempt = 1; attempt <= 3 && status !== 0; attempt++) {
    const npm = spawnSync("npm", ["ci", "--loglevel=error"], { stdio: "inherit" });
    if (npm.error) {
      console.error(`npm cannot be started (${npm.error.message}): install npm 10 or newer, then run this again.`);
      process.exit(1);
    }
    status = npm.status ?? 1;
  }
  if (status !== 0) {
    console.error("npm ci failed three times: see its message above; it needs the npm registry.");
    process.exit(1);
  }
}
