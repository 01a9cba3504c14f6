// The journal under the contract, and what it promises beyond: nothing answered is lost, damage is told from a torn
// tail, a failed sync ends the store, a full disk passes.
import { setMaxListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { FolderInUseError } from "../../src/host/file-system.ts";
import { JOURNAL_NAME, JournalKeyValueStore, type JournalOptions } from "../../src/kv/journal.ts";
import { JournalError } from "../../src/kv/journal-format.ts";
import type { KeyValueStore, LeaseId, Revision } from "../../src/kv/key-value-store.ts";
import { CrashFileSystem } from "../host/crash-file-system.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";
import { describeKeyValueStore } from "./key-value-store-contract.ts";

const { signal } = new AbortController();
setMaxListeners(0, signal);
const folder = "/var/lib/kafscale/metadata";
const path = `${folder}/${JOURNAL_NAME}`;

function open(files: CrashFileSystem, options: Partial<JournalOptions> = {}): Promise<JournalKeyValueStore> {
  return JournalKeyValueStore.open({ folder, files, clock: new SimClock(), onClosed: () => {}, ...options });
}

async function put(store: KeyValueStore, key: string, text: string, lease?: LeaseId): Promise<Revision> {
  const value = new TextEncoder().encode(text);
  const operation = { type: "put", key, value, ...(lease === undefined ? {} : { lease }) } as const;
  return (await store.txn({ compare: [], then: [operation] }, { signal })).revision;
}

/** Everything in a store, as text. */
async function contentOf(store: KeyValueStore): Promise<Record<string, string>> {
  const { entries } = await store.range("", { signal });
  return Object.fromEntries(entries.map(({ key, value }) => [key, new TextDecoder().decode(value)]));
}

describeKeyValueStore("the journal", async () => {
  const clock = new SimClock();
  const store = await open(new CrashFileSystem(), { clock });
  return {
    store,
    expireLease: () => clock.advance(6000),
    compact: async (revision) => store.compact(revision),
    close: () => store.close(),
  };
});

describe("reopening", () => {
  it("finds keys, values and revisions as they were, and goes on from there", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    const first = await put(store, "a", "1");
    const second = await put(store, "a", "2");
    await put(store, "gone", "x");
    const last = (await store.txn({ compare: [], then: [{ type: "delete", key: "gone" }] }, { signal })).revision;
    await store.close();
    const again = await open(files);
    const { entry, revision } = await again.get("a", { signal });
    expect(entry).toMatchObject({ createRevision: first, modRevision: second });
    expect(revision).toBe(last);
    expect(await contentOf(again)).toEqual({ a: "2" });
    expect(await put(again, "b", "3")).toBe(last + 1);
  });

  it("deletes what was under a lease, in one revision", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    const lease = await store.grantLease(60_000, { signal });
    await put(store, "leased", "1", lease);
    await put(store, "freed", "1", lease);
    await put(store, "freed", "2");
    const last = await put(store, "kept", "3");
    await store.close();
    for (let opening = 0; opening < 2; opening++) {
      const again = await open(files);
      expect(await contentOf(again)).toEqual({ freed: "2", kept: "3" });
      expect((await again.get("kept", { signal })).revision).toBe(last + 1);
      await again.close();
    }
  });

  it("refuses a watch from before, which it does not know any more", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    const revision = await put(store, "a", "1");
    await store.close();
    const again = await open(files);
    await expect(again.watch("", { signal, fromRevision: revision }).next()).rejects.toMatchObject({
      kind: "compacted",
    });
    const watch = again.watch("", { signal, fromRevision: revision + 1 });
    await put(again, "a", "2");
    expect((await watch.next()).value?.revision).toBe(revision + 1);
  });

  it("refuses a folder that is open, until it is closed", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    await expect(open(files)).rejects.toBeInstanceOf(FolderInUseError);
    await store.close();
    await (await open(files)).close();
  });

  it("rewrites the journal when it has outgrown the state, and loses nothing by it", async () => {
    const files = new CrashFileSystem();
    const store = await open(files, { rewriteBytesMin: 2000 });
    let largest = 0;
    for (let index = 0; index < 400; index++) {
      await put(store, `key/${index % 7}`, `value ${index}`);
      largest = Math.max(largest, await files.size(path));
    }
    expect(largest).toBeLessThan(2200);
    expect(files.log.filter((line) => line.startsWith("rename")).length).toBeGreaterThan(10);
    const before = await contentOf(store);
    await store.close();
    expect(await contentOf(await open(files))).toEqual(before);
  });

  it("keeps a state of more than one frame", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    for (let index = 0; index < 12; index++) await put(store, `big/${index}`, "x".repeat(200_000));
    await store.close();
    const again = await open(files);
    await again.close();
    expect(Object.keys(await contentOf(await open(files)))).toHaveLength(12);
  });
});

describe("durability", () => {
  it("syncs before it answers, and shares a sync among changes of the same time", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    files.log.length = 0;
    await put(store, "a", "1");
    expect(files.log).toEqual(
      [`append ${path}`, `append ${path}`, `sync ${path}`].map((line) => line.replace(path, `${path}.next`)),
    );
    files.log.length = 0;
    await Promise.all(Array.from({ length: 50 }, (_, index) => put(store, `k/${index}`, "1")));
    expect(files.log.filter((line) => line.startsWith("sync"))).toHaveLength(1);
  });

  it("shows neither a read nor a watch what is not durable yet", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    const watch = store.watch("", { signal, fromRevision: 2 });
    const seen: string[] = [];
    const note = (what: string) => () => void seen.push(what);
    files.onBoundary = (operation) => {
      if (operation === "sync") seen.push("sync");
    };
    await Promise.all([
      put(store, "a", "1").then(note("write")),
      store.get("a", { signal }).then(note("read")),
      store.range("", { signal }).then(note("range")),
      watch.next().then(note("watch")),
      store.txn({ compare: [], then: [{ type: "get", key: "a" }] }, { signal }).then(note("txn")),
    ]);
    expect(seen[0]).toBe("sync");
    expect(seen.toSorted()).toEqual(["range", "read", "sync", "txn", "watch", "write"]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "recovers everything answered from a crash at any boundary (seed %i)",
    async (seed) => {
      const random = new SimRandom(seed);
      const files = new CrashFileSystem();
      const answered = new Map<string, number>();
      const issued = new Map<string, number>();
      const checks: (() => Promise<void>)[] = [];
      files.onBoundary = () => {
        const [atLeast, atMost] = [new Map(answered), new Map(issued)];
        for (const choice of ["least", "most", random, random] as const) {
          const image = files.crashed(choice);
          checks.push(() => expectRecovered(image, atLeast, atMost));
        }
      };
      const store = await open(files, { rewriteBytesMin: 1500 });
      const writer = async (name: string) => {
        for (let count = 1; count <= 25; count++) {
          issued.set(name, count);
          await put(store, name, `${count}`.padEnd(1 + random.below(60), " "));
          answered.set(name, count);
        }
      };
      await Promise.all(["a", "b", "c"].map(writer));
      await store.close();
      expect(checks.length).toBeGreaterThan(300);
      for (const check of checks) await check();
    },
  );

  it("recovers from a crash during the first opening of all", async () => {
    const random = new SimRandom(3);
    const files = new CrashFileSystem();
    const images: CrashFileSystem[] = [];
    files.onBoundary = () => images.push(files.crashed("least"), files.crashed("most"), files.crashed(random));
    await put(await open(files), "a", "1");
    expect(images.length).toBeGreaterThan(20);
    for (const image of images) await (await open(image)).close();
  });

  it("makes a new folder durable with every folder above it", async () => {
    const files = new CrashFileSystem();
    await put(await open(files), "a", "1");
    expect(await contentOf(await open(files.crashed("least")))).toEqual({ a: "1" });
  });

  it("does not take for durable what an earlier process left in the page cache", async () => {
    const files = new CrashFileSystem();
    const first = await open(files);
    await put(first, "a", "1");
    files.failure = (operation) => (operation === "sync" ? "EIO" : undefined);
    await expect(put(first, "b", "1")).rejects.toMatchObject({ kind: "unknown" });
    const second = files.afterKill();
    const content = await contentOf(await open(second));
    expect(content).toEqual({ a: "1", b: "1" });
    expect(await contentOf(await open(second.crashed("least")))).toEqual(content);
  });
});

/** Opens what a crash left. Each writer's key has a value that was issued, and none older than what was answered. */
async function expectRecovered(
  image: CrashFileSystem,
  atLeast: ReadonlyMap<string, number>,
  atMost: ReadonlyMap<string, number>,
): Promise<void> {
  const store = await open(image);
  const content = await contentOf(store);
  for (const [name, most] of atMost) {
    const found = Number(content[name] ?? 0);
    expect(found).toBeGreaterThanOrEqual(atLeast.get(name) ?? 0);
    expect(found).toBeLessThanOrEqual(most);
  }
  await put(store, "after", "1");
  await store.close();
}

describe("damage", () => {
  const written = async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    const ends: number[] = [];
    for (let index = 0; index < 4; index++) {
      await put(store, `k${index}`, "value");
      ends.push(await files.size(path));
    }
    await store.close();
    return { files, ends };
  };

  it("takes a bad last frame for a torn tail, wherever it is cut", async () => {
    const { files, ends } = await written();
    const [start = 0, end = 0] = ends.slice(-2);
    for (let size = start; size < end; size++) {
      const image = files.crashed("most");
      image.overwrite(path, (bytes) => bytes.slice(0, size));
      const store = await open(image);
      expect(Object.keys(await contentOf(store))).toEqual(["k0", "k1", "k2"]);
    }
  });

  it("refuses a bad byte that valid frames follow, naming the file and the place", async () => {
    const { files, ends } = await written();
    const [first = 0, second = 0] = ends;
    for (let position = first; position < second; position++) {
      const image = files.crashed("most");
      image.overwrite(path, (bytes) => bytes.map((byte, index) => (index === position ? byte ^ 0x40 : byte)));
      await expect(open(image)).rejects.toThrow(`${path} is damaged at byte ${first}`);
    }
  });

  it("refuses a damaged beginning and another file's", async () => {
    const { files, ends } = await written();
    for (const position of [0, 9, 15, 20, (ends[0] ?? 0) - 60]) {
      const image = files.crashed("most");
      image.overwrite(path, (bytes) => bytes.map((byte, index) => (index === position ? byte ^ 1 : byte)));
      await expect(open(image)).rejects.toBeInstanceOf(JournalError);
    }
    files.overwrite(path, () => new Uint8Array());
    await expect(open(files)).rejects.toThrow(path);
  });

  it("leaves a journal that it refuses untouched and unlocked", async () => {
    const { files } = await written();
    files.overwrite(path, (bytes) => bytes.map((byte, index) => (index === 20 ? byte ^ 1 : byte)));
    const before = await files.read(path, 0, 1e6);
    await expect(open(files)).rejects.toBeInstanceOf(JournalError);
    await expect(open(files)).rejects.toBeInstanceOf(JournalError);
    expect(await files.read(path, 0, 1e6)).toEqual(before);
  });
});

describe("failing disks", () => {
  it("closes for good when a sync fails, tells its owner once, and does not sync again", async () => {
    const files = new CrashFileSystem();
    const reasons: Error[] = [];
    const store = await open(files, { onClosed: (reason) => reasons.push(reason) });
    await put(store, "a", "1");
    const watch = store.watch("", { signal, fromRevision: 3 }).next();
    let syncCount = 0;
    files.failure = (operation) => (operation === "sync" && ++syncCount > 0 ? "EIO" : undefined);
    const [first, second] = [put(store, "b", "1"), put(store, "c", "1")];
    await expect(first).rejects.toMatchObject({ kind: "unknown" });
    await expect(second).rejects.toMatchObject({ kind: "unknown" });
    await expect(watch).rejects.toMatchObject({ kind: "unavailable" });
    files.failure = () => undefined;
    await expect(put(store, "d", "1")).rejects.toMatchObject({ kind: "unavailable" });
    await expect(store.get("a", { signal })).rejects.toMatchObject({ kind: "unavailable" });
    expect(reasons).toHaveLength(1);
    expect(syncCount).toBe(1);
    await store.close();
    expect(await contentOf(await open(files.crashed("most")))).toEqual({ a: "1" });
  });

  it("refuses writes while the disk is full, keeps what was answered, and goes on when there is room", async () => {
    const files = new CrashFileSystem();
    const reasons: Error[] = [];
    const store = await open(files, { onClosed: (reason) => reasons.push(reason) });
    await put(store, "a", "1");
    files.freeBytes = 10;
    await expect(put(store, "b", "1")).rejects.toMatchObject({ kind: "unknown" });
    await expect(put(store, "c", "1")).rejects.toMatchObject({ kind: "unavailable" });
    expect(await contentOf(await open(files.crashed("least")))).toEqual({ a: "1" });
    files.freeBytes = 1_000_000;
    await put(store, "d", "1");
    expect(await contentOf(store)).toEqual({ a: "1", b: "1", d: "1" });
    expect(await contentOf(await open(files.crashed("least")))).toEqual({ a: "1", b: "1", d: "1" });
    expect(reasons).toEqual([]);
  });

  it("fails to open on a full disk and leaves what was there", async () => {
    const files = new CrashFileSystem();
    const store = await open(files);
    await put(store, "a", "1");
    await store.close();
    files.freeBytes = 5;
    await expect(open(files)).rejects.toThrow("ENOSPC");
    files.freeBytes = 1_000_000;
    expect(await contentOf(await open(files))).toEqual({ a: "1" });
  });
});
