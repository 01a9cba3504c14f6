// The real file system against what the stores rely on, and against its twin.
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ensureFolder, type FileSystem, fileErrorCode, fileExists } from "../../src/host/file-system.ts";
import { NodeFileSystem } from "../../src/host/node-file-system.ts";
import { CrashFileSystem } from "./crash-file-system.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const codeOf = (promise: Promise<unknown>) => promise.then(() => "ok", fileErrorCode);

async function onDisk(): Promise<{ files: FileSystem; root: string }> {
  const root = await mkdtemp(join(tmpdir(), "node-file-system-"));
  onTestFinished(() => rm(root, { recursive: true }));
  return { files: new NodeFileSystem(), root };
}

async function inMemory(): Promise<{ files: FileSystem; root: string }> {
  const files = new CrashFileSystem();
  await files.makeFolder("/root");
  return { files, root: "/root" };
}

describe.each([
  ["the disk", onDisk],
  ["its twin", inMemory],
])("%s", (_, open) => {
  it("appends parts in order, more than one system call takes, and reads any part of them", async () => {
    const { files, root } = await open();
    const file = await files.create(`${root}/a`);
    await file.append(Array.from({ length: 3000 }, (_unused, index) => bytes(`${index},`)));
    await file.append([]);
    await file.append([bytes("end")]);
    await file.sync();
    await file.close();
    const whole = new TextDecoder().decode(await files.read(`${root}/a`, 0, Number.POSITIVE_INFINITY));
    expect(whole).toBe(`${Array.from({ length: 3000 }, (_unused, index) => `${index},`).join("")}end`);
    expect(await files.size(`${root}/a`)).toBe(whole.length);
    expect(await files.read(`${root}/a`, whole.length - 3, 100)).toEqual(bytes("end"));
    expect(await files.read(`${root}/a`, whole.length + 5, 100)).toEqual(new Uint8Array());
  });

  it("fails with the codes that the stores look at", async () => {
    const { files, root } = await open();
    await (await files.create(`${root}/a`)).close();
    await files.makeFolder(`${root}/f`);
    expect(await codeOf(files.create(`${root}/a`))).toBe("EEXIST");
    expect(await codeOf(files.makeFolder(`${root}/f`))).toBe("EEXIST");
    expect(await codeOf(files.makeFolder(`${root}/none/f`))).toBe("ENOENT");
    expect(await codeOf(files.link(`${root}/a`, `${root}/a`))).toBe("EEXIST");
    expect(await codeOf(files.read(`${root}/none`, 0, 1))).toBe("ENOENT");
    expect(await codeOf(files.remove(`${root}/none`))).toBe("ENOENT");
    expect(await codeOf(files.read(`${root}/a/b`, 0, 1))).toBe("ENOTDIR");
    expect(await fileExists(files, `${root}/a`)).toBe(true);
    expect(await fileExists(files, `${root}/none`)).toBe(false);
  });

  it("renames over a file, and keeps one under its second name", async () => {
    const { files, root } = await open();
    for (const name of ["old", "new"]) {
      const file = await files.create(`${root}/${name}`);
      await file.append([bytes(name)]);
      await file.close();
    }
    await files.rename(`${root}/new`, `${root}/old`);
    await files.link(`${root}/old`, `${root}/second`);
    await files.remove(`${root}/old`);
    expect(await files.read(`${root}/second`, 0, 10)).toEqual(bytes("new"));
    expect(await files.readFolder(root)).toEqual([{ name: "second", isFolder: false }]);
  });

  it("ensures a folder with all above it, also when it is there", async () => {
    const { files, root } = await open();
    for (let time = 0; time < 2; time++) await ensureFolder(files, `${root}/a/b/c`);
    expect(await files.readFolder(`${root}/a/b`)).toEqual([{ name: "c", isFolder: true }]);
    await files.syncFolder(`${root}/a/b/c`);
  });
});

it("keeps what it makes from other users", async () => {
  const { files, root } = await onDisk();
  await files.makeFolder(`${root}/f`);
  await (await files.create(`${root}/f/a`)).close();
  expect(((await stat(`${root}/f`)).mode & 0o777).toString(8)).toBe("700");
  expect(((await stat(`${root}/f/a`)).mode & 0o777).toString(8)).toBe("600");
});

it("ends with the refusal of a file system that says the folder above is missing when it is there", async () => {
  const files = new (class extends CrashFileSystem {
    override makeFolder(path: string): Promise<void> {
      if (!path.startsWith("/above/")) return super.makeFolder(path);
      return Promise.reject(Object.assign(new Error(`mkdir ${path}`), { code: "ENOENT" }));
    }
  })();
  await files.makeFolder("/above");
  expect(await codeOf(ensureFolder(files, "/above/a"))).toBe("ENOENT");
});
