// `kafscale recover`: what an operator sees and decides after the metadata store was restored from a backup. Looks only,
// unless told to accept; memory stores have nothing to look at and are refused.
import type { ClusterGuardParts } from "../broker/cluster-guard.ts";
import { acceptMetadata, type ClusterRecovery, inspectCluster } from "../broker/cluster-recovery.ts";
import { ClusterKeys } from "../cluster/keys.ts";
import { longLivedController } from "../host/abort.ts";
import { createPinoLog } from "../host/pino-log.ts";
import { PrometheusMetrics } from "../host/prometheus-metrics.ts";
import { ObjectKeys } from "../objects/object-keys.ts";
import { openAdapters } from "./adapters.ts";
import { requirePresentStores } from "./present-stores.ts";
import type { ServeSettings } from "./settings-from-env.ts";

/** Exit code of a look that found a restored backup: something is to be decided. */
const EXIT_UNDECIDED = 3;

/**
 * Compares bucket and metadata store, prints what it finds, and with `isAccepting` takes the metadata store as it is.
 * @returns the exit code: 0 where brokers may start, 3 where a decision is missing
 * @throws when the stores cannot be reached or are not one cluster; the message is for a person
 */
export async function recover(settings: ServeSettings, options: { readonly isAccepting: boolean }): Promise<number> {
  requirePresentStores(settings, "recover");
  const { s3, clusterName } = settings;
  const log = createPinoLog({ level: settings.logLevel, destination: process.stderr });
  const { signal } = longLivedController();
  const adapters = await openAdapters(settings, { log, metrics: new PrometheusMetrics(), signal });
  try {
    const { kv, clock, random, store } = adapters.components;
    const cluster = { kv, clock, random, log, keys: new ClusterKeys(clusterName) };
    const parts = { cluster, store, objectKeys: new ObjectKeys(s3?.namespace ?? clusterName), signal };
    return await decide(parts, options.isAccepting);
  } finally {
    await adapters.close();
  }
}

async function decide(parts: ClusterGuardParts, isAccepting: boolean): Promise<number> {
  const found = await inspectCluster(parts);
  process.stdout.write(recoveryText(found));
  if (!found.isRestored) return 0;
  if (!isAccepting) return EXIT_UNDECIDED;
  const generation = await acceptMetadata(parts, found);
  process.stdout.write(`Accepted: the cluster goes on as generation ${generation}. Start the brokers.\n`);
  return 0;
}

/** What was found, and what to do, for a person. */
export function recoveryText(found: ClusterRecovery): string {
  const { clusterId, object, metadata, isRestored, brokers, uncovered } = found;
  const lines = [
    `cluster ${clusterId}`,
    `  bucket          generation ${object.generation}, has seen revision ${object.revision}`,
    `  metadata store  generation ${metadata.generation}, revision ${metadata.revision}`,
    `  sessions        ${brokers.length === 0 ? "none" : brokers.join(", ")}`,
    `  past the heads  ${uncovered.flushes} flushes (${uncovered.bytes} bytes) of ${uncovered.sessions} sessions`,
  ];
  if (!isRestored) return [...lines, "The two belong together: there is nothing to recover.", ""].join("\n");
  return [
    ...lines,
    "The metadata store was restored from a backup, and brokers refuse to start on it.",
    "Flushes past the heads were acknowledged after the backup was made, or never; going on leaves them out for good,",
    "with whatever topics, groups and moves of that time. Their objects stay in the bucket.",
    "If there is a later backup, restore that one. To go on with this one, with all brokers stopped:",
    "  kafscale recover --accept-head-loss",
    "",
  ].join("\n");
}
