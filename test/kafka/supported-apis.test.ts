// What is advertised follows from the handlers, and a handler that cannot be served is found at the start.
import { describe, expect, it } from "vitest";
import { apiTable } from "../../generated/kafka/api-table.ts";
import type { AnyApiHandler } from "../../src/kafka/api-handler.ts";
import { apiVersions } from "../../src/kafka/apis/18-api-versions.ts";
import { handlers } from "../../src/kafka/handlers.ts";
import { supportedApisOf } from "../../src/kafka/supported-apis.ts";

describe("supported apis", () => {
  it("have one row per handler, ascending, with its versions", () => {
    const rows = supportedApisOf(handlers.toReversed());
    expect(rows.map(({ apiKey }) => apiKey)).toEqual(handlers.map(({ apiKey }) => apiKey).sort((a, b) => a - b));
    for (const { apiKey, name, minVersion, maxVersion } of rows) {
      const handler = handlers.find((each) => each.apiKey === apiKey);
      expect([minVersion, maxVersion]).toEqual([handler?.minVersion, handler?.maxVersion]);
      expect(name).toBe(apiTable[apiKey]?.name);
    }
  });

  it("never hold a version that Kafka calls unstable", () => {
    for (const { apiKey, maxVersion } of supportedApisOf(handlers)) {
      // The table's highest version is the highest stable one; there may be a codec above it.
      expect(maxVersion).toBeLessThanOrEqual(apiTable[apiKey]?.maxVersion ?? -1);
    }
  });

  it.each([
    ["a version without codecs", { maxVersion: 99 }],
    ["versions in the wrong order", { minVersion: 3, maxVersion: 2 }],
    ["a key without codecs", { apiKey: 4 }],
  ])("refuse %s", (_what, fields) => {
    expect(() => supportedApisOf([{ ...apiVersions, ...fields } as unknown as AnyApiHandler])).toThrow(
      /is served at|no codecs/,
    );
  });

  it("refuse two handlers of one key", () => {
    expect(() => supportedApisOf([apiVersions, apiVersions])).toThrow("two handlers");
  });
});
