// Processes of their own that contend for the lock of a folder.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import ts from "typescript";

/** What a process of this test runs: it tries each folder it is told of, says how that went, and holds on. */
const contender = `
import { createInterface } from "node:readline";
import { lockFolder } from "./folder-lock.js";
let lock;
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "release") { await lock?.release(); lock = undefined; console.log("released"); continue; }
  try { lock = await lockFolder(line); console.log("won"); }
  catch (error) { console.log(error.name === "FolderInUseError" ? "refused" : String(error)); }
}
process.exit(0);
`;

/** Writes the program that contenders run, as plain JavaScript. @returns its folder, to be removed afterwards */
export async function writeContenderProgram(): Promise<string> {
  const programFolder = await mkdtemp(join(tmpdir(), "folder-lock-program-"));
  for (const name of ["file-system", "folder-claim", "folder-lock"]) {
    const source = await readFile(new URL(`../../src/host/${name}.ts`, import.meta.url), "utf8");
    const options = {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      rewriteRelativeImportExtensions: true,
    };
    const { outputText } = ts.transpileModule(source, { compilerOptions: options });
    await writeFile(join(programFolder, `${name}.js`), outputText);
  }
  await writeFile(join(programFolder, "package.json"), '{"type":"module"}');
  await writeFile(join(programFolder, "contender.js"), contender);
  return programFolder;
}

/** A process that tells line by line how it fared. */
export class Contender {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(programFolder: string) {
    this.#process = spawn(process.execPath, [join(programFolder, "contender.js")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (!this.#process.stdout) throw new Error("no output");
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** Names a folder to lock, or says `release`. @returns `won`, `refused` or `released` */
  async tell(line: string): Promise<string> {
    this.#process.stdin?.write(`${line}\n`);
    return (await this.#lines.next()).value ?? "ended";
  }

  /** Ends the process at once, as `kill -9` does. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill("SIGKILL");
    await once(this.#process, "exit");
  }
}
