// Real parts for a broker: this machine's clock, chance and network, and the embedded stores in memory or in one folder.
import { join, resolve } from "node:path";
import type { BrokerComponents } from "../broker/broker.ts";
import type { Log } from "../host/log.ts";
import type { Metrics } from "../host/metrics.ts";
import { NodeFileSystem } from "../host/node-file-system.ts";
import { SystemClock } from "../host/system-clock.ts";
import { SystemRandom } from "../host/system-random.ts";
import { TcpTransport } from "../host/tcp-transport.ts";
import { JournalKeyValueStore } from "../kv/journal.ts";
import { MemoryKeyValueStore } from "../kv/memory.ts";
import { FolderObjectStore } from "../object-store/folder.ts";
import { MemoryObjectStore } from "../object-store/memory.ts";

/** The parts, and how they are given back. */
export interface Adapters {
  readonly components: BrokerComponents;
  /** Rejects when the metadata store closed by itself: nothing can be committed any more. Never resolves. */
  readonly failed: Promise<never>;
  /** Closes the stores; after the broker has stopped. */
  close(): Promise<void>;
}

/** What the caller made already. */
export interface AdapterOptions {
  /** Folder of both stores, made if absent; in memory without it. */
  readonly dataDir: string | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Opens the parts. Fails when the folder cannot be used, or another process uses it. */
export async function openAdapters({ dataDir, log, metrics }: AdapterOptions): Promise<Adapters> {
  const clock = new SystemClock();
  const shared = { clock, random: new SystemRandom(), transport: new TcpTransport(), log, metrics };
  if (dataDir !== undefined) return await openFolder(dataDir, shared);
  const kv = new MemoryKeyValueStore({ clock });
  return {
    components: { ...shared, kv, store: new MemoryObjectStore() },
    failed: new Promise<never>(() => {}),
    close: () => {
      kv.close();
      return Promise.resolve();
    },
  };
}

/** Both stores below `dataDir`, the journal first: its lock is the one that says whether the folder is in use. */
async function openFolder(dataDir: string, shared: Omit<BrokerComponents, "kv" | "store">): Promise<Adapters> {
  const files = new NodeFileSystem();
  const folder = resolve(dataDir);
  let onClosed: (reason: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    onClosed = reject;
  });
  // It may close while nobody waits for it: during the start, and after the stop.
  failed.catch(() => {});
  const kv = await JournalKeyValueStore.open({
    folder: join(folder, "metadata"),
    files,
    clock: shared.clock,
    onClosed,
  });
  try {
    const store = await FolderObjectStore.open({ folder: join(folder, "objects"), files, onClosed });
    const close = async () => {
      await kv.close();
      await store.close();
    };
    return { components: { ...shared, kv, store }, failed, close };
  } catch (error) {
    await kv.close();
    throw error;
  }
}
