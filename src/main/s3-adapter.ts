// Opens the store in a bucket from its settings. Loaded only where a bucket is set: the AWS client costs 20 MiB and a
// tenth of a second.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import type { BrokerComponents } from "../broker/broker.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Metrics } from "../host/metrics.ts";
import { probeCapabilities, type StoreReport } from "../object-store/probe.ts";
import { S3ObjectStore } from "../object-store/s3.ts";
import type { S3CredentialSource, S3Identity } from "../object-store/s3-credentials.ts";
import { ObjectKeys } from "../objects/object-keys.ts";
import type { S3StoreSettings } from "./s3-settings.ts";

/**
 * Opens the store and finds out what the bucket can do.
 * @throws ObjectStoreError with one line for the operator when it cannot be used
 */
export async function openProbedS3(
  settings: S3StoreSettings,
  host: Pick<BrokerComponents, "clock" | "random" | "log" | "metrics">,
  { prefix, brokerId, signal }: { readonly prefix: string; readonly brokerId: number; readonly signal: AbortSignal },
): Promise<S3ObjectStore> {
  const { clock, random, log, metrics } = host;
  const store = await openS3(settings, { clock, log });
  try {
    const keys = new ObjectKeys(prefix);
    const keyOf = (unique: string) => keys.startProbe(brokerId, unique);
    expose(await probeCapabilities({ store, clock, random, log, keyOf, signal }), store, metrics);
    return store;
  } catch (error) {
    store.close();
    throw error;
  }
}

/** What was found, as gauges; what the bucket does not tell is not a number. */
function expose(report: StoreReport, store: S3ObjectStore, metrics: Metrics): void {
  const skew = "The object store's clock minus this machine's at its last answer, to about a second.";
  metrics.gauge("kafscale_s3_clock_skew_seconds", skew, () => (store.clockSkewMs ?? Number.NaN) / 1000);
  const checked = "Whether the object store refuses uploads that do not match their CRC-32C.";
  metrics.gauge("kafscale_s3_uploads_checked", checked, () => (report.areUploadsChecked ? 1 : 0));
  const versions = "Whether the bucket keeps deleted objects as versions; not a number where the keys may not ask.";
  const kept = report.versioning === "not-told" ? Number.NaN : Number(report.versioning !== "off");
  metrics.gauge("kafscale_s3_versions_kept", versions, () => kept);
}

/** Makes the store; asks the bucket nothing yet. Fails when a file that is named cannot be read. */
export function openS3(
  settings: S3StoreSettings,
  parts: { readonly clock: Clock; readonly log: Log },
): Promise<S3ObjectStore> {
  const { store, caFile } = settings;
  // A list of one's own replaces Node's, so it has to hold that too.
  const loadAuthorities = async () => [...rootCertificates, await readFile(String(caFile), "utf8")];
  return S3ObjectStore.open(store, {
    ...parts,
    credentials: credentialSource(settings),
    loadAuthorities: caFile === undefined ? undefined : loadAuthorities,
  });
}

/** Where the keys come from, and whether they may change under a running broker. */
export function credentialSource({ keys, store }: S3StoreSettings): S3CredentialSource {
  if (keys.from === "folder") return { mayChange: true, load: () => readFolder(keys.folder) };
  if (keys.from === "variables") {
    const { accessKey, secretKey, sessionToken } = keys;
    const identity = { accessKeyId: accessKey, secretAccessKey: secretKey, sessionToken };
    return { mayChange: false, load: () => Promise.resolve(identity) };
  }
  const { region } = store;
  const search = async () => {
    // Loaded where it is asked for: the search is a twentieth of a second of a start that needs none.
    const { defaultProvider } = await import("@aws-sdk/credential-provider-node");
    // A new search each time, because the SDK would keep what has no end, and files that it has read.
    return await defaultProvider({ ignoreCache: true, clientConfig: { region } })();
  };
  return { mayChange: true, load: search };
}

/**
 * Keys in a folder with one file each, as Kubernetes mounts a Secret: named as AWS's variables or as ours.
 * Read again while a replacement shows itself: two keys of different age would be refused as wrong.
 */
async function readFolder(folder: string): Promise<S3Identity> {
  let last = await readIdentity(folder);
  for (let attempt = 0; attempt < 3; attempt++) {
    const next = await readIdentity(folder);
    if (JSON.stringify(next) === JSON.stringify(last)) return next;
    last = next;
  }
  return last;
}

async function readIdentity(folder: string): Promise<S3Identity> {
  const accessKeyId = await readKey(folder, ["AWS_ACCESS_KEY_ID", "KAFSCALE_S3_ACCESS_KEY"]);
  const secretAccessKey = await readKey(folder, ["AWS_SECRET_ACCESS_KEY", "KAFSCALE_S3_SECRET_KEY"]);
  const sessionToken = await readKey(folder, ["AWS_SESSION_TOKEN", "KAFSCALE_S3_SESSION_TOKEN"]);
  if (accessKeyId !== undefined && secretAccessKey !== undefined) return { accessKeyId, secretAccessKey, sessionToken };
  const missing = accessKeyId === undefined ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY";
  const error = new Error(`${folder}, which KAFSCALE_S3_CREDENTIALS_DIR names, has no file ${missing}`);
  throw Object.assign(error, { name: "NoCredentialsError" });
}

async function readKey(folder: string, fileNames: readonly string[]): Promise<string | undefined> {
  for (const fileName of fileNames) {
    try {
      const text = (await readFile(join(folder, fileName), "utf8")).trim();
      if (text !== "") return text;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }
  return undefined;
}
