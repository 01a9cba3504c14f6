// DescribeConfigs as admin clients see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createDescribeConfigsRequest,
  createDescribeConfigsResource,
} from "../../../generated/testing/describe-configs-request.ts";
import { topicConfigs } from "../../../src/cluster/topic-configs.ts";
import { apis, BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";

const TOPIC = 2;
const BROKER = 4;
let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start({ defaultPartitionCount: 7 });
  client = await world.connect();
  await client.createTopic("log", 1, { "retention.ms": "1000" });
});
afterAll(() => world.stop());

interface Options {
  keys?: readonly string[] | null;
  synonyms?: boolean;
  documentation?: boolean;
}

async function ask(version: number, resourceType: number, resourceName: string, options: Options = {}) {
  const { keys = null, synonyms = false, documentation = false } = options;
  const resource = createDescribeConfigsResource({ resourceType, resourceName, configurationKeys: keys });
  const request = createDescribeConfigsRequest({
    resources: [resource],
    includeSynonyms: version >= 1 && synonyms,
    includeDocumentation: version >= 3 && documentation,
  });
  const [result] = (await client.call(apis.describeConfigs, version, request)).results;
  if (!result) throw new Error("the answer to DescribeConfigs has no result");
  return result;
}

describe("DescribeConfigs", () => {
  it.each(versionsOf(32))("version %i lists every configuration of a topic, defaults included", async (version) => {
    const { errorCode, errorMessage, configs } = await ask(version, TOPIC, "log");
    expect([errorCode, errorMessage]).toEqual([0, null]);
    expect(configs.map(({ name }) => name)).toEqual(topicConfigs.map(({ name }) => name));
    const retention = configs.find(({ name }) => name === "retention.ms");
    expect(retention).toMatchObject({ value: "1000", isSensitive: false });
    const policy = configs.find(({ name }) => name === "cleanup.policy");
    expect(policy?.value).toBe("delete");
    if (version === 0) expect([retention?.isDefault, policy?.isDefault]).toEqual([false, true]);
    if (version >= 1) expect([retention?.configSource, policy?.configSource]).toEqual([1, 5]);
    if (version >= 3) expect([retention?.configType, policy?.configType]).toEqual([5, 7]);
  });

  it.each(versionsOf(32))("version %i gives only the keys asked for, and all for an empty list", async (version) => {
    const some = await ask(version, TOPIC, "log", { keys: ["retention.ms", "no.such.key"] });
    expect(some.configs.map(({ name }) => name)).toEqual(["retention.ms"]);
    const all = await ask(version, TOPIC, "log", { keys: [] });
    expect(all.configs.length).toBe(topicConfigs.length);
  });

  it.each(versionsOf(32, 1))("version %i tells synonyms when asked, the value in force first", async (version) => {
    const { configs } = await ask(version, TOPIC, "log", { synonyms: true, keys: ["retention.ms"] });
    expect(configs[0]?.synonyms).toMatchObject([
      { name: "retention.ms", value: "1000", source: 1 },
      { name: "log.retention.ms", value: "604800000", source: 5 },
    ]);
    const without = await ask(version, TOPIC, "log", { keys: ["retention.ms"] });
    expect(without.configs[0]?.synonyms).toEqual([]);
  });

  it.each(versionsOf(32, 3))("version %i documents each configuration when asked", async (version) => {
    const { configs } = await ask(version, TOPIC, "log", { documentation: true });
    expect(configs.every(({ documentation }) => (documentation ?? "").length > 10)).toBe(true);
    const without = await ask(version, TOPIC, "log");
    expect(without.configs.every(({ documentation }) => documentation === null)).toBe(true);
  });

  it.each(versionsOf(32))("version %i lists this broker's limits and the defaults of its topics", async (version) => {
    const { errorCode, configs } = await ask(version, BROKER, "0");
    expect(errorCode).toBe(0);
    const valueOf = (key: string) => configs.find(({ name }) => name === key)?.value;
    expect(valueOf("broker.id")).toBe("0");
    expect(valueOf("num.partitions")).toBe("7");
    expect(valueOf("message.max.bytes")).toBe("1048588");
    expect(valueOf("log.cleanup.policy")).toBe("delete");
    expect(valueOf("advertised.listeners")).toBe("PLAINTEXT://broker.test:9092");
    expect(configs.every(({ readOnly }) => readOnly)).toBe(true);
    const names = configs.map(({ name }) => name);
    expect(names).toEqual([...new Set(names)].sort());
  });

  it.each(versionsOf(32))(
    "version %i refuses other brokers, other types, unknown and impossible topics",
    async (version) => {
      expect((await ask(version, BROKER, "1")).errorCode).toBe(ErrorCode.INVALID_REQUEST);
      expect((await ask(version, BROKER, "zero")).errorCode).toBe(ErrorCode.INVALID_REQUEST);
      for (const type of [0, 1, 8, 16, 32]) {
        expect((await ask(version, type, "x")).errorCode).toBe(ErrorCode.INVALID_REQUEST);
      }
      expect((await ask(version, TOPIC, "nowhere")).errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
      expect((await ask(version, TOPIC, "a b")).errorCode).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION);
      expect(await ask(version, BROKER, "")).toMatchObject({ errorCode: 0, configs: [] });
    },
  );
});
