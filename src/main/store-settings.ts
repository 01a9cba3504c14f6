// Where objects and metadata are kept: in memory, in a folder, in a bucket with metadata in a folder or in etcd. Refuses
// every mixture that would lose or orphan data, by the names of the variables.
import { type EtcdSettings, etcdVariables, readEtcdSettings } from "./etcd-settings.ts";
import { readS3Settings, type S3StoreSettings, s3Variables } from "./s3-settings.ts";
import { SettingsError } from "./settings-error.ts";

/** Where everything is kept. Without any of the three, both stores are in memory. */
export interface StoreSettings {
  /** Folder of the metadata, and of the objects where there is no bucket. Never together with etcd. */
  readonly dataDir: string | undefined;
  /** The bucket of the objects. */
  readonly s3: S3StoreSettings | undefined;
  /** Where the metadata is; only with a bucket. */
  readonly etcd: EtcdSettings | undefined;
}

/** What the choice is made from. */
export interface StoreChoice {
  readonly isMemoryAsked: boolean;
  /** The folder, and the flag or variable that named it. */
  readonly folder: { readonly path: string; readonly source: string } | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Every variable that {@link chooseStores} reads. */
export const storeVariables: readonly string[] = [...s3Variables, ...etcdVariables];

/**
 * The stores of a broker.
 * @throws SettingsError naming the variable that is missing or too much
 */
export function chooseStores({ isMemoryAsked, folder, environment }: StoreChoice): StoreSettings {
  const dataDir = folder?.path;
  const etcd = readEtcdSettings(environment);
  if (isMemoryAsked) {
    if (folder !== undefined) {
      throw new SettingsError(
        `${folder.source} and KAFSCALE_USE_MEMORY_S3 are both set: metadata in the folder would name objects that end ` +
          "with the process. Unset one of them",
      );
    }
    if (etcd !== undefined) {
      throw new SettingsError(
        "KAFSCALE_ETCD_ENDPOINTS and KAFSCALE_USE_MEMORY_S3 are both set: metadata in etcd would name objects that end " +
          "with the process. Unset one of them",
      );
    }
    return { dataDir: undefined, s3: undefined, etcd: undefined };
  }
  const s3 = readS3Settings(environment);
  if (s3 === undefined && etcd !== undefined) {
    throw new SettingsError(
      "KAFSCALE_ETCD_ENDPOINTS is set and KAFSCALE_S3_BUCKET is not: etcd holds metadata alone. Name the bucket, or unset it",
    );
  }
  if (s3 !== undefined && etcd !== undefined && folder !== undefined) {
    throw new SettingsError(
      `${folder.source} and KAFSCALE_ETCD_ENDPOINTS are both set: metadata is in one of them. Unset the other`,
    );
  }
  if (s3 !== undefined && etcd === undefined && folder === undefined) {
    throw new SettingsError(
      "KAFSCALE_S3_BUCKET is set and neither KAFSCALE_ETCD_ENDPOINTS nor --data-dir: metadata in memory would orphan the " +
        "objects at the next start. Set one of them",
    );
  }
  return { dataDir, s3, etcd };
}
