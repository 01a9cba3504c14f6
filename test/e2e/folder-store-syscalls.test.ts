// The system calls of the embedded stores, seen by strace: each write to a file is synced before the process says that
// it is durable, and so is each new name. Needs strace (`make tools`).
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { toolCommand } from "./tools.ts";

/** The one that `make tools` installs, else that of the system. */
const strace = existsSync(toolCommand("strace")) ? toolCommand("strace") : "strace";
const hasStrace = spawnSync(strace, ["-V"]).status === 0;
const program = (source: string) => `
import { existsSync } from "node:fs";
import { NodeFileSystem } from "${source}/host/node-file-system.ts";
import { SystemClock } from "${source}/host/system-clock.ts";
import { JournalKeyValueStore } from "${source}/kv/journal.ts";
import { FolderObjectStore } from "${source}/object-store/folder.ts";
const [folder] = process.argv.slice(2);
const { signal } = new AbortController();
const files = new NodeFileSystem();
const objects = await FolderObjectStore.open({ folder: folder + "/objects", files });
const kv = await JournalKeyValueStore.open({ folder: folder + "/metadata", files, clock: new SystemClock(), onClosed: () => {} });
for (let n = 0; n < 3; n++) {
  await objects.put("wal/1/" + n, [new Uint8Array(100)], { signal, ifAbsent: true });
  existsSync("/answered-put-" + n);
  await kv.txn({ compare: [], then: [{ type: "put", key: "h/1", value: new Uint8Array([n]) }] }, { signal });
  existsSync("/answered-commit-" + n);
}
await kv.close();
await objects.close();
`;

it.runIf(hasStrace || process.env["CI"] === "true")("syncs files and names before each answer", async () => {
  const folder = await mkdtemp(join(tmpdir(), "folder-store-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const [script, trace] = [join(folder, "program.mts"), join(folder, "trace")];
  await writeFile(script, program(new URL("../../src", import.meta.url).pathname));
  const calls = "rename,renameat,renameat2,link,linkat,write,writev,pwrite64,pwritev,fsync,fdatasync,access,mkdir";
  const options = ["-f", "-y", "-s", "0", "-e", `trace=${calls}`, "-o", trace];
  execFileSync(strace, [...options, process.execPath, "--import", "tsx", script, folder], {
    cwd: new URL("../..", import.meta.url).pathname,
  });
  const seen = new Observed(folder);
  for (const line of (await readFile(trace, "utf8")).split("\n")) seen.take(line);
  expect(seen.unsyncedAtAnswers).toEqual(Array.from({ length: 6 }, () => []));
  expect(seen.syncCount).toBeGreaterThanOrEqual(12);
});

/** What a trace shows of the files and folders below one folder. */
class Observed {
  /** At each answer, what had been changed since its last sync. */
  readonly unsyncedAtAnswers: string[][] = [];
  syncCount = 0;
  readonly #folder: string;
  readonly #unsynced = new Set<string>();
  /** By thread, what a sync that has not returned yet is for. */
  readonly #syncing = new Map<string, string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  take(line: string): void {
    const thread = line.split(" ", 1)[0] ?? "";
    const written = /(?:write|writev|pwrite64|pwritev)\(\d+<([^>]*)>/.exec(line)?.[1];
    if (written !== undefined) this.#note(written);
    const named = /(?:link|rename|mkdir)\w*\(.*"([^"]*)"/.exec(line)?.[1];
    if (named !== undefined) this.#note(named.slice(0, named.lastIndexOf("/")));
    const synced = /f(?:data)?sync\(\d+<([^>]*)>/.exec(line)?.[1];
    if (synced !== undefined) this.#syncing.set(thread, synced);
    if (/sync.*= 0$/.test(line)) {
      this.#unsynced.delete(this.#syncing.get(thread) ?? "");
      this.syncCount++;
    }
    if (line.includes("/answered-")) this.unsyncedAtAnswers.push([...this.#unsynced]);
  }

  #note(path: string): void {
    // Claims of the lock and files without a name yet need no durable name.
    if (path.startsWith(`${this.#folder}/`) && !/\+(?:lock|new)$|\+lock\//.test(path)) this.#unsynced.add(path);
  }
}
