// Configurations as admin clients are shown them.
import { describe, expect, it } from "vitest";
import { brokerConfigRows, topicConfigRows } from "../../src/kafka/config-entries.ts";
import { defaultKafkaSettings } from "../../src/kafka/kafka-settings.ts";
import { topic } from "./image-fixture.ts";

describe("config entries", () => {
  it("tell an override from a default, and what stands behind it", () => {
    const rows = new Map(topicConfigRows(topic).map((row) => [row.name, row]));
    expect(rows.get("retention.ms")).toMatchObject({ value: "1000", source: 1 });
    expect(rows.get("retention.ms")?.synonyms.map(({ source }) => source)).toEqual([1, 5]);
    expect(rows.get("max.message.bytes")).toMatchObject({ value: "1048588", source: 5 });
    expect(rows.get("max.message.bytes")?.synonyms[0]?.name).toBe("message.max.bytes");
  });

  it("tell a setting of the operator from a default", () => {
    const settings = { ...defaultKafkaSettings, connectionsMax: 5 };
    const rows = new Map(
      brokerConfigRows({ brokerId: 3, advertised: undefined, settings }).map((row) => [row.name, row]),
    );
    expect(rows.get("max.connections")).toMatchObject({ value: "5", source: 4, isReadOnly: true });
    expect(rows.get("fetch.max.bytes")).toMatchObject({ value: "57671680", source: 5 });
    expect(rows.get("broker.id")).toMatchObject({ value: "3", source: 4 });
    expect(rows.has("advertised.listeners")).toBe(false);
  });
});
