// The folder under the contract, on a real disk and on one that crashes, and what it promises beyond: nothing answered
// is lost, what is left over is swept, and a disk that fails is told from one that is full.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FolderInUseError } from "../../src/host/file-system.ts";
import { NodeFileSystem } from "../../src/host/node-file-system.ts";
import { FolderObjectStore } from "../../src/object-store/folder.ts";
import { CrashFileSystem } from "../host/crash-file-system.ts";
import { SimRandom } from "../sim/sim-random.ts";
import { describeObjectStore } from "./object-store-contract.ts";

const { signal } = new AbortController();
const folder = "/var/lib/kafscale/objects";
const create = { signal, ifAbsent: true };
const replace = { signal, ifAbsent: false };

function open(files: CrashFileSystem): Promise<FolderObjectStore> {
  return FolderObjectStore.open({ folder, files });
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function textOf(store: FolderObjectStore, key: string): Promise<string> {
  return new TextDecoder().decode(await store.get(key, { signal }));
}

async function keysOf(store: FolderObjectStore): Promise<string[]> {
  return (await store.list("", { signal, limit: 1000 })).objects.map(({ key }) => key);
}

/** A file system that takes upper and lower case for the same. */
class CaseBlindFileSystem extends CrashFileSystem {
  override create(path: string) {
    return super.create(path.toLowerCase());
  }
  override makeFolder(path: string) {
    return super.makeFolder(path.toLowerCase());
  }
  override readFolder(path: string) {
    return super.readFolder(path.toLowerCase());
  }
  override read(path: string, start: number, length: number) {
    return super.read(path.toLowerCase(), start, length);
  }
  override size(path: string) {
    return super.size(path.toLowerCase());
  }
  override rename(from: string, to: string) {
    return super.rename(from.toLowerCase(), to.toLowerCase());
  }
  override link(from: string, to: string) {
    return super.link(from.toLowerCase(), to.toLowerCase());
  }
  override remove(path: string) {
    return super.remove(path.toLowerCase());
  }
  override syncFolder(path: string) {
    return super.syncFolder(path.toLowerCase());
  }
}

describeObjectStore("a folder of this machine", async () => {
  const root = await mkdtemp(join(tmpdir(), "folder-objects-"));
  const store = await FolderObjectStore.open({ folder: join(root, "a", "b"), files: new NodeFileSystem() });
  return {
    store,
    close: async () => {
      await store.close();
      await rm(root, { recursive: true });
    },
  };
});

describeObjectStore("a folder in memory", async () => {
  const store = await open(new CrashFileSystem());
  return { store, close: () => store.close() };
});

describeObjectStore("a folder where case does not matter", async () => {
  const store = await open(new CaseBlindFileSystem());
  return { store, close: () => store.close() };
});

describe("opening", () => {
  it("finds what was there, and refuses a second opening until it is closed", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    await store.put("wal/1/2", [bytes("x")], create);
    await expect(open(files)).rejects.toBeInstanceOf(FolderInUseError);
    await store.close();
    await expect(store.put("a", [], create)).rejects.toMatchObject({ kind: "unavailable" });
    expect(await textOf(await open(files), "wal/1/2")).toBe("x");
  });

  it("removes what unfinished puts left", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    files.failure = (operation) => (operation === "append" || operation === "remove" ? "EIO" : undefined);
    await expect(store.put("a", [bytes("x")], create)).rejects.toMatchObject({ kind: "unavailable" });
    expect(await files.readFolder(`${folder}/+new`)).toHaveLength(1);
    const again = files.afterKill();
    await open(again);
    expect(await again.readFolder(`${folder}/+new`)).toEqual([]);
  });

  it("refuses a folder that holds something else, and an unknown format version by its number", async () => {
    const files = new CrashFileSystem();
    await files.makeFolder("/var");
    await (await files.create("/var/photo.jpg")).close();
    await expect(FolderObjectStore.open({ folder: "/var", files })).rejects.toThrow("/var is not an object folder");
    const store = await open(files);
    await store.close();
    files.overwrite(`${folder}/+format`, () => bytes("kafscale objects 2 plain\n"));
    await expect(open(files)).rejects.toThrow("format version 2");
    files.overwrite(`${folder}/+format`, () => bytes("something\n"));
    await expect(open(files)).rejects.toThrow(`${folder}/+format`);
  });

  it("opens a folder as version 1 wrote it", async () => {
    const files = new CrashFileSystem();
    for (const path of [
      "/var",
      "/var/lib",
      "/var/lib/kafscale",
      folder,
      `${folder}/+new`,
      `${folder}/wal+`,
      `${folder}/wal+/7+`,
    ]) {
      await files.makeFolder(path);
    }
    await (await files.create(`${folder}/+format`)).append([bytes("kafscale objects 1 plain\n")]);
    await (await files.create(`${folder}/cluster-id`)).append([bytes("id")]);
    await (await files.create(`${folder}/wal+/7+/000012`)).append([bytes("flush")]);
    const store = await open(files);
    expect(await keysOf(store)).toEqual(["cluster-id", "wal/7/000012"]);
    expect(await textOf(store, "wal/7/000012")).toBe("flush");
  });
});

describe("durability", () => {
  it("syncs the file before it has a name, and the name and each new folder before the answer", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    files.log.length = 0;
    await store.put("wal/1/2", [bytes("x")], create);
    expect(files.log.map((line) => line.replace(folder, "")).filter((line) => !line.startsWith("append"))).toEqual([
      "makeFolder /wal+",
      "syncFolder ",
      "makeFolder /wal+/1+",
      "syncFolder /wal+",
      "create /+new/0",
      "sync /+new/0",
      "link /wal+/1+/2",
      "syncFolder /wal+/1+",
      "remove /+new/0",
    ]);
    files.log.length = 0;
    await store.put("wal/1/3", [bytes("x")], replace);
    expect(files.log.slice(-3).map((line) => line.replace(folder, ""))).toEqual([
      "sync /+new/1",
      "rename /wal+/1+/3",
      "syncFolder /wal+/1+",
    ]);
  });

  it.each([1, 2, 3, 4])("keeps what was answered through a crash at any boundary (seed %i)", async (seed) => {
    const random = new SimRandom(seed);
    const files = new CrashFileSystem();
    const answered = new Map<string, string | undefined>();
    const underWay = new Map<string, string | undefined>();
    const checks: (() => Promise<void>)[] = [];
    files.onBoundary = () => {
      const [expected, open_] = [new Map(answered), new Map(underWay)];
      for (const choice of ["least", "most", random, random] as const) {
        const image = files.crashed(choice);
        checks.push(() => expectRecovered(image, expected, open_));
      }
    };
    const store = await open(files);
    const worker = async (name: string) => {
      for (let count = 0; count < 6; count++) {
        const key = `${name}/${random.below(3)}/${random.below(2)}`;
        const value = random.chance(0.2) ? undefined : `${name} ${count}`.padEnd(random.below(1500), ".");
        underWay.set(key, value);
        if (value === undefined) await store.delete([key], { signal });
        else await store.put(key, [bytes(value)], { signal, ifAbsent: false });
        answered.set(key, value);
        underWay.delete(key);
      }
    };
    await Promise.all(["a", "b"].map(worker));
    expect(checks.length).toBeGreaterThan(200);
    for (const check of checks) await check();
  });

  it("answers already-exists only when the object that is there is durable", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    files.failure = (operation) => (operation === "syncFolder" ? "EIO" : undefined);
    await expect(store.put("a", [bytes("x")], create)).rejects.toMatchObject({ kind: "unknown" });
    const again = await open(files.afterKill());
    await expect(again.put("a", [bytes("x")], create)).rejects.toMatchObject({ kind: "already-exists" });
    expect(await textOf(await open(files.crashed("least")), "a")).toBe("x");
  });
});

/** Opens what a crash left. What was answered is there; what was under way is there or not, and never in part. */
async function expectRecovered(
  image: CrashFileSystem,
  answered: ReadonlyMap<string, string | undefined>,
  underWay: ReadonlyMap<string, string | undefined>,
): Promise<void> {
  const store = await open(image);
  const present = new Set(await keysOf(store));
  for (const key of new Set([...answered.keys(), ...underWay.keys()])) {
    const found = present.has(key) ? await textOf(store, key) : undefined;
    const allowed = underWay.has(key) ? [answered.get(key), underWay.get(key)] : [answered.get(key)];
    expect(allowed).toContain(found);
  }
  await store.put("a/after", [bytes("x")], create);
  expect(await image.readFolder(`${folder}/+new`)).toEqual([]);
}

describe("failing disks", () => {
  it.each([
    ["ENOSPC", "unavailable"],
    ["EDQUOT", "unavailable"],
    ["EIO", "unavailable"],
    ["EROFS", "denied"],
    ["EACCES", "denied"],
  ] as const)("says of %s before an object has its name that nothing was done: %s", async (code, kind) => {
    for (const failing of ["create", "append", "sync", "makeFolder", "link", "rename"] as const) {
      for (const options of [create, replace]) {
        const files = new CrashFileSystem();
        const store = await open(files);
        files.failure = (operation) => (operation === failing ? code : undefined);
        const isUsed = !(failing === "link" && !options.ifAbsent) && !(failing === "rename" && options.ifAbsent);
        const outcome = store.put("a/b", [bytes("x")], options);
        if (isUsed)
          await expect(outcome).rejects.toMatchObject({ kind, message: expect.stringContaining(folder) as string });
        else await outcome;
        files.failure = () => undefined;
        expect(await keysOf(store)).toEqual(isUsed ? [] : ["a/b"]);
        expect(await files.readFolder(`${folder}/+new`)).toEqual([]);
        await store.put("a/b", [bytes("x")], replace);
      }
    }
  });

  it("says unknown when the sync of a name fails, tells its owner, and takes no write from then on", async () => {
    const files = new CrashFileSystem();
    const told: string[] = [];
    const onClosed = (reason: Error) => told.push(reason.message);
    const store = await FolderObjectStore.open({ folder: "/data", files, onClosed });
    await store.put("kept", [bytes("x")], create);
    let syncCount = 0;
    files.failure = (operation) => (operation === "syncFolder" && ++syncCount > 0 ? "EIO" : undefined);
    await expect(store.put("a", [bytes("x")], replace)).rejects.toMatchObject({ kind: "unknown" });
    await expect(store.put("a", [bytes("x")], replace)).rejects.toMatchObject({ kind: "unavailable" });
    await expect(store.delete(["kept"], { signal })).rejects.toMatchObject({ kind: "unavailable" });
    expect([syncCount, told.length]).toEqual([1, 1]);
    expect(await textOf(store, "kept")).toBe("x");
  });

  it("lets a caller go whose signal aborts, and never gives a name to bytes that he may have changed since", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    const controller = new AbortController();
    const putting = store.put("a", [bytes("x")], { signal: controller.signal, ifAbsent: true });
    controller.abort(new Error("deadline"));
    await expect(putting).rejects.toMatchObject({ kind: "unknown" });
    await store.close();
    expect(await keysOf(await open(files))).toEqual([]);
    expect(await files.readFolder(`${folder}/+new`)).toEqual([]);
  });

  it("says not-found of what cannot be there and unavailable of what cannot be read", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    await store.put("a", [bytes("x")], create);
    await expect(store.get("a/b/c", { signal })).rejects.toMatchObject({ kind: "not-found" });
    files.failure = (operation) => (operation === "read" ? "EIO" : undefined);
    await expect(store.get("a", { signal })).rejects.toMatchObject({ kind: "unavailable" });
  });
});
