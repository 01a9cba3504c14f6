// The lock of a folder: exactly one holder, and no clean-up after one that was killed. Two hundred processes at once
// contend in test/e2e.
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { FolderInUseError } from "../../src/host/file-system.ts";
import { lockFolder } from "../../src/host/folder-lock.ts";
import { Contender, writeContenderProgram } from "./lock-contenders.ts";

let programFolder = "";

beforeAll(async () => {
  programFolder = await writeContenderProgram();
});

afterAll(() => rm(programFolder, { recursive: true }));

function newContenders(count: number): Contender[] {
  const contenders = Array.from({ length: count }, () => new Contender(programFolder));
  onTestFinished(async () => {
    await Promise.all(contenders.map((one) => one.kill()));
  });
  return contenders;
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "folder-lock-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

it("refuses a folder that is locked, and gives it once it is released", async () => {
  const folder = await newFolder();
  const lock = await lockFolder(folder);
  await expect(lockFolder(folder)).rejects.toBeInstanceOf(FolderInUseError);
  await expect(lockFolder(folder)).rejects.toThrow(folder);
  await lock.release();
  await (await lockFolder(folder)).release();
});

it("locks a folder whose path is longer than a socket's name may be", async () => {
  const folder = join(await newFolder(), "x".repeat(120), "y".repeat(120));
  await mkdir(folder, { recursive: true });
  const lock = await lockFolder(folder);
  await expect(lockFolder(folder)).rejects.toBeInstanceOf(FolderInUseError);
  await lock.release();
  expect(await readdir(folder)).toEqual(["+lock"]);
});

it("says why a folder cannot be locked at all", async () => {
  await expect(lockFolder("/proc/none")).rejects.toThrow("/proc/none");
});

it("leaves one claim behind, however often the folder was locked", async () => {
  const folder = await newFolder();
  for (let round = 0; round < 20; round++) await (await lockFolder(folder)).release();
  expect(await readdir(join(folder, "+lock"))).toEqual(["20"]);
});

it("clears away candidates that died, and takes their place", async () => {
  const folder = await newFolder();
  await mkdir(join(folder, "+lock"));
  const abandoned = createServer().listen(join(folder, "+lock", "socket"));
  await once(abandoned, "listening");
  await rename(join(folder, "+lock", "socket"), join(folder, "+lock", "candidate-dead"));
  abandoned.close();
  const lock = await lockFolder(folder);
  expect(await readdir(join(folder, "+lock"))).toEqual(["1"]);
  await lock.release();
});

it("lets exactly one of two processes win in each of 200 simultaneous double starts", async () => {
  const folder = await newFolder();
  const contenders = newContenders(2);
  const winners = new Set<number>();
  for (let round = 0; round < 200; round++) {
    const outcomes = await Promise.all(contenders.map((one) => one.tell(folder)));
    expect(outcomes.toSorted()).toEqual(["refused", "won"]);
    const winner = outcomes.indexOf("won");
    winners.add(winner);
    await contenders[winner]?.tell("release");
  }
  expect(winners.size).toBe(2);
});

it("lets exactly one of many processes win that start at once, and another after it was killed", async () => {
  const folder = await newFolder();
  const contenders = newContenders(20);
  const outcomes = await Promise.all(contenders.map((one) => one.tell(folder)));
  expect(outcomes.filter((outcome) => outcome === "won")).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === "refused")).toHaveLength(19);
  const winner = outcomes.indexOf("won");
  await contenders[winner]?.kill();
  const again = await Promise.all(contenders.filter((_, index) => index !== winner).map((one) => one.tell(folder)));
  expect(again.filter((outcome) => outcome === "won")).toHaveLength(1);
});
