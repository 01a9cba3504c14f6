// A listing reads what it needs and no more.
import { expect, it } from "vitest";
import { FolderObjectStore } from "../../src/object-store/folder.ts";
import { FolderListing } from "../../src/object-store/folder-listing.ts";
import { CrashFileSystem } from "../host/crash-file-system.ts";

const { signal } = new AbortController();

/** Counts the folders that are read. */
class CountingFileSystem extends CrashFileSystem {
  readCount = 0;
  override readFolder(path: string) {
    this.readCount++;
    return super.readFolder(path);
  }
}

async function filled() {
  const files = new CountingFileSystem();
  const store = await FolderObjectStore.open({ folder: "/data", files });
  for (let session = 0; session < 20; session++) {
    for (let flush = 0; flush < 3; flush++) await store.put(`wal/${session}/${flush}`, [], { signal, ifAbsent: true });
  }
  files.readCount = 0;
  return { files, listing: new FolderListing({ files, folder: "/data", style: "plain" }) };
}

it("reads only the folders on the way to its prefix", async () => {
  const { files, listing } = await filled();
  const { objects } = await listing.page({ prefix: "wal/7/", startAfter: "", limit: 100 });
  expect(objects.map(({ key }) => key)).toEqual(["wal/7/0", "wal/7/1", "wal/7/2"]);
  expect(files.readCount).toBe(3);
});

it("stops reading when the page is full, and skips folders before its start", async () => {
  const { files, listing } = await filled();
  expect((await listing.page({ prefix: "wal/", startAfter: "", limit: 3 })).isTruncated).toBe(true);
  expect(files.readCount).toBe(4);
  files.readCount = 0;
  const last = await listing.page({ prefix: "", startAfter: "wal/9/1", limit: 10 });
  expect(last).toEqual({ objects: [{ key: "wal/9/2", bytes: 0 }], isTruncated: false });
  expect(files.readCount).toBe(3);
});

it("passes over what is none of an object's and what is deleted while it reads", async () => {
  const { files, listing } = await filled();
  await (await files.create("/data/lost+found")).close();
  await files.makeFolder("/data/stranger");
  files.failure = (operation, path) => {
    if (operation === "read" && path === "/data/wal+/0+") files.failure = () => undefined;
    return undefined;
  };
  await files.remove("/data/wal+/0+/1");
  const { objects } = await listing.page({ prefix: "wal/0/", startAfter: "", limit: 10 });
  expect(objects.map(({ key }) => key)).toEqual(["wal/0/0", "wal/0/2"]);
  expect((await listing.page({ prefix: "l", startAfter: "", limit: 10 })).objects).toEqual([]);
});
