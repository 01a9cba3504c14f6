// Which bucket, and how to sign for it: the KAFSCALE_S3_* variables. Refuses half-set combinations, and what this build
// does not serve, by the name of the variable. Files that are named here are read when the store asks, and again later.
import { objectStoreColdReads } from "../log/cold-reads.ts";
import type { S3Settings } from "../object-store/s3.ts";
import { SettingsError } from "./settings-error.ts";

/** Environment variables by name. */
type Environment = Readonly<Record<string, string | undefined>>;

/** Where the keys come from; `chain` is AWS's own search: its variables, files, web identity and instance roles. */
export type S3KeySettings =
  | {
      readonly from: "variables";
      readonly accessKey: string;
      readonly secretKey: string;
      readonly sessionToken: string | undefined;
    }
  | { readonly from: "folder"; readonly folder: string }
  | { readonly from: "chain" };

/** Everything that a store in a bucket is opened with. */
export interface S3StoreSettings {
  readonly store: S3Settings;
  readonly keys: S3KeySettings;
  /** File with authorities that are trusted beside the usual ones, PEM. */
  readonly caFile: string | undefined;
  /** What the keys of all objects begin with, without slashes at either end; the cluster's name without it. */
  readonly namespace: string | undefined;
  /** First puts of write-ahead objects that a broker may spend in a second; 0 for no limit. Sets price against delay. */
  readonly putsPerSecond: number;
  /** MiB a second that consumers who read from the bucket are given while others produce; 0 for no limit. */
  readonly catchUpMibPerSecond: number;
}

const names = {
  bucket: "KAFSCALE_S3_BUCKET",
  region: "KAFSCALE_S3_REGION",
  endpoint: "KAFSCALE_S3_ENDPOINT",
  pathStyle: "KAFSCALE_S3_PATH_STYLE",
  kmsArn: "KAFSCALE_S3_KMS_ARN",
  accessKey: "KAFSCALE_S3_ACCESS_KEY",
  secretKey: "KAFSCALE_S3_SECRET_KEY",
  sessionToken: "KAFSCALE_S3_SESSION_TOKEN",
  credentialsDir: "KAFSCALE_S3_CREDENTIALS_DIR",
  caFile: "KAFSCALE_S3_CA_FILE",
  payloadSigning: "KAFSCALE_S3_PAYLOAD_SIGNING",
  namespace: "KAFSCALE_S3_NAMESPACE",
  concurrency: "KAFSCALE_S3_CONCURRENCY",
  putsPerSecond: "KAFSCALE_S3_PUTS_PER_SECOND",
  catchUpMibPerSecond: "KAFSCALE_CATCH_UP_MIB_PER_SECOND",
} as const;

/** Settings of the Go project for reading from a copy of the bucket. */
const replicaNames = ["KAFSCALE_S3_READ_BUCKET", "KAFSCALE_S3_READ_REGION", "KAFSCALE_S3_READ_ENDPOINT"] as const;

/** Every variable that {@link readS3Settings} reads. */
export const s3Variables: readonly string[] = [...Object.values(names), ...replicaNames];

/** Time for one attempt of one call, its body included. */
const ATTEMPT_TIMEOUT_MS = 10_000;
const CONCURRENCY_DEFAULT = 64;
/** About 50 dollars a month for each busy broker at S3's price of a put. */
const PUTS_PER_SECOND_DEFAULT = 4;
/** The default of the log. */
const CATCH_UP_MIB_DEFAULT = objectStoreColdReads.bytesPerSecondBesideProducers / (1024 * 1024);

const bucketShape = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const namespaceShape = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

type Given = (name: string) => string | undefined;

/**
 * The settings of the bucket, or undefined when none of its variables is set.
 * @throws SettingsError naming the variable
 */
export function readS3Settings(environment: Environment): S3StoreSettings | undefined {
  const given = (name: string) => environment[name] || undefined;
  const replica = replicaNames.find((name) => given(name) !== undefined);
  if (replica !== undefined) {
    throw new SettingsError(
      `${replica} is set: records are read from the bucket they were written to, as a copy that lags would hide ` +
        "acknowledged ones. Unset it",
    );
  }
  const bucket = given(names.bucket);
  const stray = s3Variables.find((name) => given(name) !== undefined);
  if (stray === undefined) return undefined;
  if (bucket === undefined) {
    throw new SettingsError(`${stray} is set and ${names.bucket} is not: name the bucket, or unset it`);
  }
  const region = given(names.region);
  if (region === undefined) {
    throw new SettingsError(`${names.bucket} is set and ${names.region} is not: set the region of the bucket`);
  }
  if (!bucketShape.test(bucket)) throw new SettingsError(`${names.bucket} is "${bucket}": that is no name of a bucket`);
  const endpoint = readEndpoint(given);
  return {
    store: {
      bucket,
      region,
      endpoint,
      isPathStyle: readFlag(given, names.pathStyle) ?? endpoint !== undefined,
      // Without TLS anybody on the way could change a body and its checksum together.
      isPayloadSigned: readFlag(given, names.payloadSigning) ?? endpoint?.startsWith("http:") ?? false,
      socketsMax: readNumber(given, { name: names.concurrency, min: 1, otherwise: CONCURRENCY_DEFAULT }),
      kmsKeyArn: readKmsArn(given),
      attemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
    },
    keys: readKeys(given),
    caFile: readCaFile(given, endpoint),
    namespace: readNamespace(given),
    putsPerSecond: readNumber(given, { name: names.putsPerSecond, min: 0, otherwise: PUTS_PER_SECOND_DEFAULT }),
    catchUpMibPerSecond: readNumber(given, {
      name: names.catchUpMibPerSecond,
      min: 0,
      otherwise: CATCH_UP_MIB_DEFAULT,
    }),
  };
}

function readEndpoint(given: Given): string | undefined {
  const text = given(names.endpoint);
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url !== undefined && url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  if (isPlain && (url.protocol === "http:" || url.protocol === "https:")) return url.origin;
  throw new SettingsError(`${names.endpoint} is "${text}": it has to be http://host:port or https://host:port`);
}

function readFlag(given: Given, name: string): boolean | undefined {
  const text = given(name)?.toLowerCase();
  if (text === undefined) return undefined;
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new SettingsError(`${name} is "${text}": it has to be true or false`);
}

interface NumberSetting {
  readonly name: string;
  readonly min: number;
  readonly otherwise: number;
}

function readNumber(given: Given, { name, min, otherwise }: NumberSetting): number {
  const text = given(name);
  if (text === undefined) return otherwise;
  if (/^\d{1,4}$/.test(text) && Number(text) >= min && Number(text) <= 1_000) return Number(text);
  throw new SettingsError(`${name} is "${text}": it has to be a whole number from ${min} to 1000`);
}

function readKmsArn(given: Given): string | undefined {
  const text = given(names.kmsArn);
  if (text === undefined || /^arn:[a-z-]+:kms:[a-z0-9-]+:\d*:(key|alias)\/.+$/.test(text)) return text;
  throw new SettingsError(
    `${names.kmsArn} is "${text}": it has to be like arn:aws:kms:us-east-1:123456789012:key/abcd`,
  );
}

function readNamespace(given: Given): string | undefined {
  const text = given(names.namespace)?.replace(/^\/+|\/+$/g, "");
  if (text === undefined || (text.length <= 512 && namespaceShape.test(text))) return text;
  throw new SettingsError(`${names.namespace} is "${text}": it has to be made of A-Z, a-z, 0-9, ".", "_", "-" and "/"`);
}

function readCaFile(given: Given, endpoint: string | undefined): string | undefined {
  const caFile = given(names.caFile);
  if (caFile !== undefined && endpoint?.startsWith("http:")) {
    throw new SettingsError(
      `${names.caFile} is set and ${names.endpoint} has http://: use https:// there, or unset it`,
    );
  }
  return caFile;
}

function readKeys(given: Given): S3KeySettings {
  const accessKey = given(names.accessKey);
  const secretKey = given(names.secretKey);
  const sessionToken = given(names.sessionToken);
  const folder = given(names.credentialsDir);
  const [set] = [names.accessKey, names.secretKey, names.sessionToken].filter((name) => given(name) !== undefined);
  if (folder !== undefined) {
    if (set === undefined) return { from: "folder", folder };
    throw new SettingsError(`${names.credentialsDir} and ${set} are both set: unset one of them`);
  }
  if (accessKey !== undefined && secretKey !== undefined) {
    return { from: "variables", accessKey, secretKey, sessionToken };
  }
  if (set === undefined) return { from: "chain" };
  const missing = accessKey === undefined ? names.accessKey : names.secretKey;
  throw new SettingsError(`${set} is set and ${missing} is not: set both, or neither`);
}
