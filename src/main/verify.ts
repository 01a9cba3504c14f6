// `kafscale verify`: compares what stands in the bucket with what is referred to, and tells a person or a program. Looks
// only, unless told to repair; memory stores have nothing to look at and are refused.
import { type VerificationReport, verificationParts, verifyCluster } from "../broker/cluster-verification.ts";
import type { Finding } from "../broker/findings.ts";
import { ClusterKeys } from "../cluster/keys.ts";
import { longLivedController } from "../host/abort.ts";
import { createPinoLog } from "../host/pino-log.ts";
import { PrometheusMetrics } from "../host/prometheus-metrics.ts";
import { embeddedLogSettings } from "../log/log-settings.ts";
import { ObjectKeys } from "../objects/object-keys.ts";
import { openAdapters } from "./adapters.ts";
import { requirePresentStores } from "./present-stores.ts";
import type { ServeSettings } from "./settings-from-env.ts";

/** Exit code of a look that found something. */
const EXIT_FOUND = 3;
/** Exit code where nothing is wrong as far as the stores told, and they did not tell everything. */
const EXIT_UNKNOWN = 1;

/** What a person asks for. */
export interface VerifyChoice {
  readonly isDeep: boolean;
  readonly isRepairing: boolean;
  /** Whether the report is one JSON object instead of lines. */
  readonly isJson: boolean;
}

/**
 * Verifies the cluster of the settings and prints what is found; progress goes to stderr.
 * @returns the exit code: 0 where nothing is left to be told, 3 with findings, 1 where something could not be found out
 * @throws when the stores cannot be reached or are not one cluster; the message is for a person
 */
export async function verify(settings: ServeSettings, { isJson, ...asked }: VerifyChoice): Promise<number> {
  requirePresentStores(settings, "verify");
  const { s3, clusterName } = settings;
  // It goes beside the report, which a program may read.
  const log = createPinoLog({ level: settings.logLevel, destination: process.stderr });
  const { signal } = longLivedController();
  const metrics = new PrometheusMetrics();
  const adapters = await openAdapters(settings, { log, metrics, signal });
  try {
    const { kv, clock, random, store } = adapters.components;
    const cluster = { kv, clock, random, log, keys: new ClusterKeys(clusterName) };
    const guarded = { cluster, store, objectKeys: new ObjectKeys(s3?.namespace ?? clusterName), signal };
    const report = await verifyCluster(verificationParts(guarded, metrics), {
      ...asked,
      graceMs: embeddedLogSettings.removal.graceMs,
      onProgress: (text) => void process.stderr.write(`kafscale: ${text}\n`),
      onRemoved: (key) => void (isJson || process.stdout.write(`removed  ${key}\n`)),
    });
    process.stdout.write(isJson ? `${JSON.stringify(report)}\n` : reportText(report));
    return exitCodeOf(report.findings);
  } finally {
    await adapters.close();
  }
}

/** 0 for none, 1 where all that was found is that something is unknown, else 3. */
export function exitCodeOf(findings: readonly Finding[]): number {
  if (findings.length === 0) return 0;
  return findings.every(({ kind }) => kind === "unknown") ? EXIT_UNKNOWN : EXIT_FOUND;
}

/** What was found, and what to do, for a person. */
export function reportText(report: VerificationReport): string {
  const { clusterId, revision, sessions, shards, listed, counts, findings, removed, refusal } = report;
  const lines = [
    `cluster ${clusterId} at revision ${revision}: ${sessions} sessions, ${shards} shards`,
    `  listed     ${listed.objects} objects (${listed.bytes} bytes)`,
    `  known      ${counts.known}, referred to or dropped`,
    `  kept       ${counts.kept}, of sessions that live, are named, or are still to be swept by brokers`,
    `  undecided  ${counts.undecided}, which the owner of their partition may yet list or drop`,
    ...findings.map(({ kind, key, text, bytes }) => {
      const size = bytes === undefined ? "" : `${bytes} bytes; `;
      return `${kind.padEnd(10)} ${key}: ${size}${text}`;
    }),
  ];
  if (removed.length > 0) lines.push(`${removed.length} objects removed.`);
  if (refusal !== undefined) lines.push(`Nothing was removed: ${refusal}.`);
  return [...lines, ...adviceFor(findings), ""].join("\n");
}

function adviceFor(findings: readonly Finding[]): string[] {
  if (findings.length === 0) return ["Nothing is wrong."];
  const advice: string[] = [];
  const has = (...kinds: readonly Finding["kind"][]) => findings.some(({ kind }) => kinds.includes(kind));
  if (has("missing", "damaged", "unreadable")) {
    advice.push(
      "Records are lost unless the objects come back: from versions that the bucket kept, or from a copy of it.",
    );
  }
  const removable = findings.filter(({ isRemovable }) => isRemovable).length;
  if (removable > 0)
    advice.push(`\`kafscale verify --repair\` removes ${removable} strays, which are provably nobody's.`);
  if (findings.some(({ kind, isRemovable }) => kind === "stray" && !isRemovable)) {
    advice.push(
      "Strays with a plain name stay: only the owner of a partition could prove that it writes none of them again.",
    );
  }
  if (has("foreign")) advice.push("Foreign objects stay: who put them there knows what they are.");
  if (has("unknown"))
    advice.push("What is unknown may be well: look again once the store answers and the cluster is quieter.");
  return advice;
}
