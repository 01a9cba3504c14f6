// The stores of a command that looks at a cluster there is: they have to be named, and a folder has to hold one. Makes
// nothing: a mistyped folder must not become an empty store.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { JOURNAL_NAME } from "../kv/journal.ts";
import { SettingsError } from "./settings-error.ts";
import type { StoreSettings } from "./store-settings.ts";

/** Folder of the metadata below a data folder. */
export const METADATA_FOLDER = "metadata";

/**
 * Refuses stores in memory, and a folder without metadata.
 * @param verb of the command, for the message
 * @throws SettingsError
 */
export function requirePresentStores({ s3, etcd, dataDir }: StoreSettings, verb: string): void {
  if (s3 === undefined && etcd === undefined && dataDir === undefined) {
    throw new SettingsError(
      `no stores are set: give \`${verb}\` the KAFSCALE_* variables or --data-dir of the brokers`,
    );
  }
  if (dataDir === undefined || existsSync(join(resolve(dataDir), METADATA_FOLDER, JOURNAL_NAME))) return;
  throw new SettingsError(
    `no broker has ever kept its metadata in ${dataDir}: name the folder of the brokers' --data-dir`,
  );
}
