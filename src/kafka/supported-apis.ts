// What this broker serves, derived from the handlers that exist: the ApiVersions answer, the documents and the dispatcher
// read the same list. A handler cannot advertise what no codec can read, nor a version that Kafka calls unstable.
import { apiTable } from "../../generated/kafka/api-table.ts";
import { invariant } from "../invariant.ts";
import type { AnyApiHandler, SupportedApi } from "./api-handler.ts";

/** The rows of the ApiVersions answer for `handlers`, ascending by key. */
export function supportedApisOf(handlers: readonly AnyApiHandler[]): readonly SupportedApi[] {
  const rows = handlers.map((handler): SupportedApi => {
    const { apiKey, minVersion, maxVersion } = handler;
    const entry = apiTable[apiKey];
    invariant(entry, `there are no codecs for API key ${apiKey}`);
    invariant(
      entry.minVersion <= minVersion && minVersion <= maxVersion && maxVersion <= entry.maxVersion,
      `${entry.name} is served at ${minVersion} to ${maxVersion}, codecs have ${entry.minVersion} to ${entry.maxVersion}`,
    );
    return { apiKey, name: entry.name, minVersion, maxVersion };
  });
  rows.sort((left, right) => left.apiKey - right.apiKey);
  for (const [index, row] of rows.entries()) {
    invariant(index === 0 || rows[index - 1]?.apiKey !== row.apiKey, `${row.name} has two handlers`);
  }
  return rows;
}
