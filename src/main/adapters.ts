// Real parts for a broker: this machine's clock, chance and network, and the stores that the settings choose: in memory,
// in one folder, in a bucket with metadata in a folder, or in a bucket with metadata in etcd.
import { join, resolve } from "node:path";
import type { BrokerComponents } from "../broker/broker.ts";
import { anySignal } from "../host/abort.ts";
import type { Log } from "../host/log.ts";
import type { Metrics } from "../host/metrics.ts";
import { NodeFileSystem } from "../host/node-file-system.ts";
import { SystemClock } from "../host/system-clock.ts";
import { SystemRandom } from "../host/system-random.ts";
import { TcpTransport } from "../host/tcp-transport.ts";
import { JournalKeyValueStore } from "../kv/journal.ts";
import { MemoryKeyValueStore } from "../kv/memory.ts";
import { FolderObjectStore } from "../object-store/folder.ts";
import { HedgedPuts } from "../object-store/hedged-puts.ts";
import { MemoryObjectStore } from "../object-store/memory.ts";
import { METADATA_FOLDER } from "./present-stores.ts";
import type { StoreSettings } from "./store-settings.ts";

/** The parts, and how they are given back. */
export interface Adapters {
  readonly components: BrokerComponents;
  /** Rejects when a store closed by itself: nothing can be committed any more. Never resolves. */
  readonly failed: Promise<never>;
  /** Closes the stores; after the broker has stopped. */
  close(): Promise<void>;
}

/** What the stores are opened for. */
export interface AdapterSettings extends StoreSettings {
  readonly clusterName: string;
  readonly brokerId: number;
}

/** What the caller made already. */
export interface AdapterParts {
  readonly log: Log;
  readonly metrics: Metrics;
  /** Ends an opening that waits for a store. */
  readonly signal: AbortSignal;
}

/** Every part but the stores. */
type HostParts = Omit<BrokerComponents, "kv" | "store" | "control">;

/** A store that is open. */
interface Open<T> {
  readonly store: T;
  readonly close: () => Promise<void> | void;
}

/** Told why a store closed by itself. */
type OnClosed = (reason: Error) => void;

/** What an opening is told by, and whom it tells. */
interface Opening {
  readonly signal: AbortSignal;
  readonly onClosed: OnClosed;
}

/** Opens the parts. Fails when a folder cannot be used, or a store cannot be reached or does not do what it has to. */
export async function openAdapters(settings: AdapterSettings, parts: AdapterParts): Promise<Adapters> {
  const { log, metrics, signal } = parts;
  const host: HostParts = {
    clock: new SystemClock(),
    random: new SystemRandom(),
    transport: new TcpTransport(),
    log,
    metrics,
  };
  let onClosed: OnClosed = () => {};
  const failed = new Promise<never>((_, reject) => {
    onClosed = reject;
  });
  // It may close while nobody waits for it: during the start, and after the stop.
  failed.catch(() => {});
  const { kv, objects } = await openStores(settings, host, { signal, onClosed });
  const close = async () => {
    await kv.close();
    await objects.close();
  };
  return { components: { ...host, kv: kv.store, store: objects.store }, failed, close };
}

/** Both stores, or none: who fails ends the wait for the other one. */
async function openStores(
  settings: AdapterSettings,
  host: HostParts,
  { signal, onClosed }: Opening,
): Promise<{ readonly kv: Open<BrokerComponents["kv"]>; readonly objects: Open<BrokerComponents["store"]> }> {
  const failure = new AbortController();
  const opening = { signal: anySignal(signal, failure.signal), onClosed };
  const kv = openMetadata(settings, host, opening);
  // In a folder the metadata comes first: its lock is the one that says whether the folder is in use. Servers are asked
  // at the same time, and the code for the one is loaded while the other answers.
  const objects =
    settings.etcd === undefined
      ? kv.then(() => openObjects(settings, host, opening))
      : openObjects(settings, host, opening);
  try {
    const [openKv, openStore] = await Promise.all([kv, objects]);
    return { kv: openKv, objects: openStore };
  } catch (error) {
    failure.abort(error);
    const opened = await Promise.allSettled([kv, objects]);
    for (const each of opened) if (each.status === "fulfilled") await each.value.close();
    throw error;
  }
}

async function openMetadata(
  { etcd, dataDir, clusterName }: AdapterSettings,
  host: HostParts,
  { signal, onClosed }: Opening,
): Promise<Open<BrokerComponents["kv"]>> {
  const { clock } = host;
  if (etcd !== undefined) {
    const { openEtcd } = await import("./etcd-adapter.ts");
    const store = await openEtcd(etcd, host, { clusterName, signal });
    return { store, close: () => store.close() };
  }
  if (dataDir !== undefined) {
    const folder = join(resolve(dataDir), METADATA_FOLDER);
    const store = await JournalKeyValueStore.open({ folder, files: new NodeFileSystem(), clock, onClosed });
    return { store, close: () => store.close() };
  }
  const store = new MemoryKeyValueStore({ clock });
  return { store, close: () => store.close() };
}

async function openObjects(
  { s3, dataDir, clusterName, brokerId }: AdapterSettings,
  host: HostParts,
  { signal, onClosed }: Opening,
): Promise<Open<BrokerComponents["store"]>> {
  if (s3 !== undefined) {
    const { openProbedS3 } = await import("./s3-adapter.ts");
    const store = await openProbedS3(s3, host, { prefix: s3.namespace ?? clusterName, brokerId, signal });
    return { store: new HedgedPuts(store, host), close: () => store.close() };
  }
  if (dataDir !== undefined) {
    const folder = join(resolve(dataDir), "objects");
    const store = await FolderObjectStore.open({ folder, files: new NodeFileSystem(), onClosed });
    return { store, close: () => store.close() };
  }
  return { store: new MemoryObjectStore(), close: () => {} };
}
