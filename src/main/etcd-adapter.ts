// Opens the metadata store on etcd from its settings, and waits a while for one that is not up yet. Loaded only where
// etcd is set.
import type { BrokerComponents } from "../broker/broker.ts";
import { ClusterKeys } from "../cluster/keys.ts";
import { sleep } from "../host/clock.ts";
import { EtcdKeyValueStore } from "../kv/etcd.ts";
import { KvError } from "../kv/key-value-store.ts";
import { type EtcdSettings, etcdCredentials } from "./etcd-settings.ts";

/** An etcd that does not answer for this long ends the start: long enough for a restart of its own. */
const PATIENCE_MS = 30_000;
const RETRY_PAUSE_MS = 500;

/** Opens the store. @throws KvError with one line for the operator when etcd cannot be used */
export async function openEtcd(
  settings: EtcdSettings,
  { clock, random, log }: Pick<BrokerComponents, "clock" | "random" | "log">,
  { clusterName, signal }: { readonly clusterName: string; readonly signal: AbortSignal },
): Promise<EtcdKeyValueStore> {
  const loadCredentials = etcdCredentials(settings);
  const { endpoints } = settings;
  const store = new EtcdKeyValueStore({ endpoints, clock, random, log, ...(loadCredentials && { loadCredentials }) });
  const startedMs = clock.monotonicMs();
  for (;;) {
    try {
      await store.probe(new ClusterKeys(clusterName).prefix, { signal });
      return store;
    } catch (error) {
      const mayPass = error instanceof KvError && (error.kind === "unavailable" || error.kind === "unknown");
      if (signal.aborted || !mayPass || clock.monotonicMs() - startedMs > PATIENCE_MS) {
        store.close();
        signal.throwIfAborted();
        throw error;
      }
      log.warn("etcd does not answer, trying again", { error });
      await sleep(clock, RETRY_PAUSE_MS, signal);
    }
  }
}
