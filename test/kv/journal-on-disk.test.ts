// The journal under the contract on a real disk, and refused while it is open.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { FolderInUseError } from "../../src/host/file-system.ts";
import { NodeFileSystem } from "../../src/host/node-file-system.ts";
import { JournalKeyValueStore } from "../../src/kv/journal.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { describeKeyValueStore } from "./key-value-store-contract.ts";

const { signal } = new AbortController();

function open(folder: string, clock = new SimClock()): Promise<JournalKeyValueStore> {
  return JournalKeyValueStore.open({ folder, files: new NodeFileSystem(), clock, onClosed: () => {} });
}

describeKeyValueStore("the journal on a disk", async () => {
  const root = await mkdtemp(join(tmpdir(), "journal-"));
  const clock = new SimClock();
  const store = await open(join(root, "a", "b"), clock);
  return {
    store,
    expireLease: () => clock.advance(6000),
    compact: async (revision) => store.compact(revision),
    close: async () => {
      await store.close();
      await rm(root, { recursive: true });
    },
  };
});

it("refuses a folder that is open, and leaves nothing behind but the journal and the lock", async () => {
  const root = await mkdtemp(join(tmpdir(), "journal-"));
  onTestFinished(() => rm(root, { recursive: true }));
  const store = await open(root);
  await store.txn({ compare: [], then: [{ type: "put", key: "a", value: new Uint8Array([1]) }] }, { signal });
  await expect(open(root)).rejects.toBeInstanceOf(FolderInUseError);
  await store.close();
  const again = await open(root);
  expect((await again.get("a", { signal })).entry?.value).toEqual(new Uint8Array([1]));
  await again.close();
  expect((await readdir(root)).toSorted()).toEqual(["+lock", "metadata.journal"]);
});
