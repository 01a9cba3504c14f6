// The embedded stores in a process that is killed again and again: everything it said was done is there afterwards.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { NodeFileSystem } from "../../src/host/node-file-system.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { JournalKeyValueStore } from "../../src/kv/journal.ts";
import { FolderObjectStore } from "../../src/object-store/folder.ts";

const source = new URL("../../src", import.meta.url).pathname;
const { signal } = new AbortController();

/** Writes an object, then the key that counts it, and says so, until it is killed. */
const writer = `
import { NodeFileSystem } from "${source}/host/node-file-system.ts";
import { SystemClock } from "${source}/host/system-clock.ts";
import { JournalKeyValueStore } from "${source}/kv/journal.ts";
import { FolderObjectStore } from "${source}/object-store/folder.ts";
import { writeSync } from "node:fs";
const [folder, round] = process.argv.slice(2);
const { signal } = new AbortController();
const files = new NodeFileSystem();
const objects = await FolderObjectStore.open({ folder: folder + "/objects", files });
const kv = await JournalKeyValueStore.open({
  folder: folder + "/metadata", files, clock: new SystemClock(), onClosed: () => {}, rewriteBytesMin: 5000,
});
await Promise.all(["a", "b", "c", "d"].map(async (name) => {
  for (let count = 1; ; count++) {
    const value = new TextEncoder().encode(String(count).repeat(50));
    await objects.put("wal/" + round + "/" + name + "-" + count, [value], { signal, ifAbsent: true });
    await kv.txn({ compare: [], then: [{ type: "put", key: round + name, value: new TextEncoder().encode(String(count)) }] }, { signal });
    writeSync(1, name + " " + count + "\\n");
  }
}));
`;

it("loses nothing that was answered when its process is killed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "folder-store-kill-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const script = join(folder, "writer.mts");
  await writeFile(script, writer);
  for (let round = 0; round < 8; round++) {
    const answered = await runAndKill(script, folder, round);
    expect(answered.size).toBe(4);
    await expectThere(folder, round, answered);
  }
});

/** Runs the writer for a while and kills it. @returns the highest count that each of its loops called done */
async function runAndKill(script: string, folder: string, round: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, ["--import", "tsx", script, folder, String(round)], {
    cwd: new URL("../..", import.meta.url).pathname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += String(chunk);
    if (output.length > 1000 + round * 97) child.kill("SIGKILL");
  });
  await once(child, "close");
  const answered = new Map<string, number>();
  for (const [, name = "", count] of output.matchAll(/^(\w) (\d+)\n/gm)) answered.set(name, Number(count));
  return answered;
}

async function expectThere(folder: string, round: number, answered: ReadonlyMap<string, number>): Promise<void> {
  const files = new NodeFileSystem();
  const objects = await FolderObjectStore.open({ folder: join(folder, "objects"), files });
  const clock = new SystemClock();
  const kv = await JournalKeyValueStore.open({ folder: join(folder, "metadata"), files, clock, onClosed: () => {} });
  for (const [name, count] of answered) {
    const { entry } = await kv.get(`${round}${name}`, { signal });
    expect(Number(new TextDecoder().decode(entry?.value))).toBeGreaterThanOrEqual(count);
    for (let each = 1; each <= count; each++) {
      const value = await objects.get(`wal/${round}/${name}-${each}`, { signal });
      expect(new TextDecoder().decode(value)).toBe(String(each).repeat(50));
    }
  }
  await kv.close();
  await objects.close();
}
