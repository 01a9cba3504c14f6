// `make tools`: puts the real Kafka programs that the end-to-end tests run into .tools/, pinned, once. A second run finds
// the stamp of each tool and ends at once. Nothing is installed into the system and nothing needs root.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CommandResult, hasProgram, runCommand, runWithRetries } from "./run-command.ts";
import {
  apacheKafkaDependencies,
  clients39Dependencies,
  commandWrappers,
  etcdModule,
  etcdVersion,
  faketimePackages,
  kcatPackages,
  mavenProject,
  pythonPackages,
  s3Servers,
  stracePackages,
} from "./tool-versions.ts";

const root = join(import.meta.dirname, "..");
const toolsFolder = join(root, ".tools");

/** One thing to install. `contents` changes when a pin changes, which makes the stamp stale. */
interface Tool {
  readonly name: string;
  readonly contents: string;
  readonly install: () => void;
}

/** Why a tool could not be installed; the message is for the person at the terminal. */
class ToolError extends Error {
  override readonly name = "ToolError";
}

function expectOk(result: CommandResult, what: string): void {
  if (result.isOk) return;
  const lastLines = result.output.trim().split("\n").slice(-8).join("\n    ");
  throw new ToolError(`${what} failed:\n    ${lastLines}`);
}

function freshFolder(...parts: string[]): string {
  const folder = join(toolsFolder, ...parts);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

function installJars(folderName: string, project: string): void {
  if (!hasProgram("java", "-version")) throw new ToolError("java is missing: install a JDK, 17 or newer");
  if (!hasProgram("mvn", "-v")) throw new ToolError("mvn is missing: install Maven, 3.8 or newer");
  const folder = freshFolder(folderName);
  const pom = join(folder, "pom.xml");
  writeFileSync(pom, project);
  const args = ["-B", "-q", "-f", pom, "dependency:copy-dependencies", `-DoutputDirectory=${join(folder, "libs")}`];
  expectOk(runWithRetries("mvn", args), `the download of ${folderName} by Maven`);
}

/** Unpacks Debian packages below `.tools/<name>/root` without installing them. */
function installDebian(name: string, packages: readonly string[]): void {
  if (!hasProgram("apt-get", "--version") || !hasProgram("dpkg-deb", "--version")) {
    throw new ToolError(`apt-get and dpkg-deb are missing: ${name} is taken from Debian's packages`);
  }
  const folder = freshFolder(name);
  let download = runCommand("apt-get", ["download", ...packages], { cwd: folder });
  if (!download.isOk) {
    // The package lists may be absent or old; refreshing them needs root, so a refusal is reported by the download.
    runWithRetries("apt-get", ["update"]);
    download = runWithRetries("apt-get", ["download", ...packages], { cwd: folder });
  }
  expectOk(download, `the download of ${packages.join(", ")} by apt-get (are the package lists there?)`);
  const unpack = runCommand("sh", ["-c", 'for f in *.deb; do dpkg-deb -x "$f" root || exit 1; done; rm -f *.deb'], {
    cwd: folder,
  });
  expectOk(unpack, `unpacking ${name}`);
}

function installDebianProgram(name: string, packages: readonly string[]): void {
  installDebian(name, packages);
  expectOk(runCommand(join(toolsFolder, "bin", name), ["-V"]), `starting ${name}`);
}

function installPython(): void {
  if (!hasProgram("python3", "--version")) throw new ToolError("python3 is missing: install Python, 3.9 or newer");
  const folder = freshFolder("python");
  expectOk(runCommand("python3", ["-m", "venv", folder]), "python3 -m venv (Debian: apt-get install python3-venv)");
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...pythonPackages];
  expectOk(runWithRetries(join(folder, "bin", "python"), pip), `the download of ${pythonPackages.join(", ")} by pip`);
}

/** Builds etcd from its modules: no package manager has the pinned version, and its programs are one call each. */
function installEtcd(): void {
  if (!hasProgram("go", "version")) throw new ToolError("go is missing: install Go, 1.26 or newer");
  const folder = freshFolder("etcd");
  const source = join(folder, "source");
  for (const [path, text] of etcdModule) {
    mkdirSync(dirname(join(source, path)), { recursive: true });
    writeFileSync(join(source, path), text);
  }
  const options = { cwd: source, env: { CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false" } };
  const modules = ["server", "etcdctl"].map((name) => `go.etcd.io/etcd/${name}/v3@${etcdVersion}`);
  expectOk(runWithRetries("go", ["get", ...modules], options), "the download of etcd's modules by go");
  expectOk(runWithRetries("go", ["mod", "tidy"], options), "the download of etcd's modules by go");
  for (const [name, from] of [
    ["etcd", "./server"],
    ["etcdctl", "./ctl"],
  ] as const) {
    const build = ["build", "-trimpath", "-ldflags", "-s -w", "-o", join(folder, name), from];
    expectOk(runCommand("go", build, options), `the build of ${name}`);
  }
  rmSync(source, { recursive: true, force: true });
  expectOk(runCommand(join(folder, "etcd"), ["--version"]), "starting etcd");
}

/** Builds a program of its own published module, as `go install` does. */
function installGoProgram(name: string, program: string): void {
  if (!hasProgram("go", "version")) throw new ToolError("go is missing: install Go, 1.26 or newer");
  const folder = freshFolder(name);
  const options = { timeoutMs: 1_800_000, env: { CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false", GOBIN: folder } };
  const install = ["install", "-trimpath", "-ldflags", "-s -w", program];
  expectOk(runWithRetries("go", install, options), `the build of ${program} by go`);
  expectOk(runCommand(join(folder, name), ["--version"]), `starting ${name}`);
}

function installWrappers(): void {
  const folder = freshFolder("bin");
  for (const [name, script] of commandWrappers(toolsFolder)) {
    writeFileSync(join(folder, name), script, { mode: 0o755 });
  }
}

const tools: readonly Tool[] = [
  { name: "bin", contents: JSON.stringify(commandWrappers(toolsFolder)), install: installWrappers },
  {
    name: "kafka",
    contents: mavenProject(apacheKafkaDependencies),
    install: () => installJars("kafka", mavenProject(apacheKafkaDependencies)),
  },
  {
    name: "kafka-3.9",
    contents: mavenProject(clients39Dependencies),
    install: () => installJars("kafka-3.9", mavenProject(clients39Dependencies)),
  },
  { name: "kcat", contents: kcatPackages.join(" "), install: () => installDebianProgram("kcat", kcatPackages) },
  { name: "strace", contents: stracePackages.join(" "), install: () => installDebianProgram("strace", stracePackages) },
  {
    name: "faketime",
    contents: faketimePackages.join(" "),
    install: () => installDebian("faketime", faketimePackages),
  },
  { name: "etcd", contents: JSON.stringify([etcdVersion, etcdModule]), install: installEtcd },
  ...Object.entries(s3Servers).map(([name, program]) => ({
    name,
    contents: program,
    install: () => installGoProgram(name, program),
  })),
  { name: "python", contents: [toolsFolder, ...pythonPackages].join(" "), install: installPython },
];

function ensureTool(tool: Tool): string | undefined {
  const stamp = join(toolsFolder, `${tool.name}.stamp`);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === tool.contents) return undefined;
  process.stdout.write(`tools: ${tool.name} …\n`);
  rmSync(stamp, { force: true });
  try {
    tool.install();
  } catch (error) {
    return `tools: ${tool.name}: ${error instanceof Error ? error.message : String(error)}`;
  }
  writeFileSync(stamp, tool.contents);
  return undefined;
}

mkdirSync(toolsFolder, { recursive: true });
const problems = tools.map(ensureTool).filter((problem) => problem !== undefined);
for (const problem of problems) process.stderr.write(`${problem}\n`);
if (problems.length > 0) {
  process.stderr.write(
    `tools: ${problems.length} of ${tools.length} are missing; mend the above and run make tools again\n`,
  );
  // The tests of a missing tool are skipped at a person's machine, never where a machine judges the change.
  const mayBeMissing = process.argv.includes("--as-far-as-possible") && process.env["CI"] !== "true";
  process.exitCode = mayBeMissing ? 0 : 1;
} else {
  process.stdout.write(`tools: all ${tools.length} are in .tools/\n`);
}
