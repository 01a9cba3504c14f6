// Configurations of topics: defaults are valid, and bounds are where they are said to be.
import { describe, expect, it } from "vitest";
import {
  topicConfigEntry,
  topicConfigNumber,
  topicConfigs,
  topicConfigText,
  validateTopicConfigs,
} from "../../src/cluster/topic-configs.ts";

const check = (name: string, value: string) => () => validateTopicConfigs(new Map([[name, value]]));

describe("topic configurations", () => {
  it("have valid defaults, a text each, and are sorted by name", () => {
    for (const { name, defaultValue, doc } of topicConfigs) {
      if (defaultValue !== "") expect(check(name, defaultValue), name).not.toThrow();
      expect(doc.length, name).toBeGreaterThan(10);
      expect(topicConfigEntry(name)?.name).toBe(name);
    }
    const names = topicConfigs.map(({ name }) => name);
    expect(names).toEqual([...names].sort());
  });

  it.each([
    ["retention.ms", "-1", "-2"],
    ["retention.ms", "9223372036854775807", "9223372036854775808"],
    ["max.message.bytes", "2147483647", "2147483648"],
    ["max.message.bytes", "0", "1e3"],
    ["min.insync.replicas", "1", "0"],
    ["cleanup.policy", "compact,delete", "compact;delete"],
    ["message.timestamp.type", "LogAppendTime", "logappendtime"],
    ["compression.type", "zstd", "none"],
    ["preallocate", "true", "yes"],
    ["min.cleanable.dirty.ratio", "0.5", "1.5"],
    ["segment.bytes", "14", "13"],
  ])("%s may be %s and not %s", (name, good, bad) => {
    expect(check(name, good)).not.toThrow();
    expect(check(name, bad)).toThrow(/INVALID_CONFIG.*is no value for/);
  });

  it("are read with their default where there is no override, within the safe range", () => {
    const configs = new Map([["retention.ms", "5"]]);
    expect(topicConfigNumber(configs, "retention.ms")).toBe(5);
    expect(topicConfigNumber(new Map(), "max.message.bytes")).toBe(1_048_588);
    expect(topicConfigNumber(new Map(), "flush.ms")).toBe(Number.MAX_SAFE_INTEGER);
    expect(topicConfigText(new Map(), "cleanup.policy")).toBe("delete");
    expect(() => topicConfigText(configs, "retention")).toThrow(/INVALID_CONFIG/);
  });
});
