// CreateTopics as admin clients see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createCreatableReplicaAssignment,
  createCreatableTopic,
  createCreatableTopicConfig,
  createCreateTopicsRequest,
} from "../../../generated/testing/create-topics-request.ts";
import { apis, BrokerWorld, batchOf, type TestClient, versionsOf } from "../broker-world.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start({ defaultPartitionCount: 5 });
  client = await world.connect();
  await client.createTopic("exists");
});
afterAll(() => world.stop());

interface Asked {
  name: string;
  partitions?: number;
  replicas?: number;
  configs?: Readonly<Record<string, string | null>>;
  assignments?: readonly (readonly [number, readonly number[]])[];
}

async function create(
  version: number,
  asked: readonly Asked[],
  options: { validateOnly?: boolean; timeoutMs?: number } = {},
) {
  const request = createCreateTopicsRequest({
    timeoutMs: options.timeoutMs ?? 10_000,
    validateOnly: options.validateOnly ?? false,
    topics: asked.map(({ name, partitions = 1, replicas = 1, configs = {}, assignments = [] }) =>
      createCreatableTopic({
        name,
        numPartitions: partitions,
        replicationFactor: replicas,
        configs: Object.entries(configs).map(([key, value]) => createCreatableTopicConfig({ name: key, value })),
        assignments: assignments.map(([partitionIndex, brokerIds]) =>
          createCreatableReplicaAssignment({ partitionIndex, brokerIds: [...brokerIds] }),
        ),
      }),
    ),
  });
  return (await client.call(apis.createTopics, version, request)).topics;
}

async function codeOf(version: number, asked: Asked): Promise<number | undefined> {
  return (await create(version, [asked]))[0]?.errorCode;
}

describe("CreateTopics", () => {
  it.each(versionsOf(19))("version %i creates a topic that Produce can use at once", async (version) => {
    const name = `made-${version}`;
    const [topic] = await create(version, [{ name, partitions: 3, configs: { "retention.ms": "1000" } }]);
    expect(topic).toMatchObject({ name, errorCode: 0, errorMessage: version >= 1 ? null : "" });
    if (version >= 5) expect(topic).toMatchObject({ numPartitions: 3, replicationFactor: 1 });
    if (version >= 5) {
      const retention = topic?.configs?.find((config) => config.name === "retention.ms");
      expect(retention).toMatchObject({ value: "1000", configSource: 1 });
      expect(topic?.configs?.find((config) => config.name === "cleanup.policy")).toMatchObject({ configSource: 5 });
    }
    if (version >= 7) expect(topic?.topicId).toMatch(/^[A-Za-z0-9_-]{22}$/);
    const answer = await client.produce({ topic: name, partition: 2 }, batchOf(["a"]));
    expect(answer.errorCode).toBe(0);
  });

  it.each(versionsOf(19))("version %i refuses what cannot be created, each topic for itself", async (version) => {
    const asked = [
      { name: "exists" },
      { name: "bad name" },
      { name: `zero-${version}`, partitions: 0 },
      { name: `many-${version}`, partitions: 1_001 },
      { name: `factor-${version}`, replicas: 0 },
      { name: `wide-${version}`, replicas: 2 },
      { name: `config-${version}`, configs: { "no.such.config": "1" } },
      { name: `value-${version}`, configs: { "retention.ms": "soon" } },
      { name: `null-${version}`, configs: { "retention.ms": null } },
      { name: `fine-${version}` },
    ];
    const answers = await create(version, asked);
    const codes = Object.fromEntries(answers.map(({ name, errorCode }) => [name, errorCode]));
    expect(codes).toEqual({
      exists: ErrorCode.TOPIC_ALREADY_EXISTS,
      "bad name": ErrorCode.INVALID_TOPIC_EXCEPTION,
      [`zero-${version}`]: ErrorCode.INVALID_PARTITIONS,
      [`many-${version}`]: ErrorCode.INVALID_PARTITIONS,
      [`factor-${version}`]: ErrorCode.INVALID_REPLICATION_FACTOR,
      [`wide-${version}`]: ErrorCode.INVALID_REPLICATION_FACTOR,
      [`config-${version}`]: ErrorCode.INVALID_CONFIG,
      [`value-${version}`]: ErrorCode.INVALID_CONFIG,
      [`null-${version}`]: ErrorCode.INVALID_CONFIG,
      [`fine-${version}`]: ErrorCode.NONE,
    });
    const refused = answers.find(({ name }) => name === "exists");
    if (version >= 1) expect(refused?.errorMessage).toContain("TOPIC_ALREADY_EXISTS");
  });

  it.each(versionsOf(19))("version %i takes -1 for the defaults from 4 on", async (version) => {
    const [topic] = await create(version, [{ name: `default-${version}`, partitions: -1, replicas: -1 }]);
    if (version < 4) expect(topic?.errorCode).toBe(ErrorCode.INVALID_REPLICATION_FACTOR);
    else expect(topic?.errorCode).toBe(0);
    if (version >= 5) expect(topic?.numPartitions).toBe(5);
  });

  it.each(versionsOf(19))("version %i refuses a name that the request holds twice", async (version) => {
    const answers = await create(version, [{ name: `twice-${version}` }, { name: `twice-${version}` }]);
    expect(answers.map(({ errorCode }) => errorCode)).toEqual([ErrorCode.INVALID_REQUEST]);
  });

  it("takes assignments without gaps to brokers that exist, and nothing else", async () => {
    const none = { partitions: -1, replicas: -1 };
    expect(
      await codeOf(7, {
        name: "assigned",
        ...none,
        assignments: [
          [0, [0]],
          [1, [0]],
        ],
      }),
    ).toBe(0);
    const bad = ErrorCode.INVALID_REPLICA_ASSIGNMENT;
    expect(
      await codeOf(7, {
        name: "gap",
        ...none,
        assignments: [
          [0, [0]],
          [2, [0]],
        ],
      }),
    ).toBe(bad);
    expect(
      await codeOf(7, {
        name: "twice",
        ...none,
        assignments: [
          [0, [0]],
          [0, [0]],
        ],
      }),
    ).toBe(bad);
    expect(await codeOf(7, { name: "unknown", ...none, assignments: [[0, [9]]] })).toBe(bad);
    expect(await codeOf(7, { name: "both", partitions: 1, assignments: [[0, [0]]] })).toBe(ErrorCode.INVALID_REQUEST);
  });

  it.each(versionsOf(19, 1))("version %i creates nothing when it is only to validate", async (version) => {
    const name = `checked-${version}`;
    expect((await create(version, [{ name }], { validateOnly: true }))[0]?.errorCode).toBe(0);
    expect((await create(version, [{ name: "exists" }], { validateOnly: true }))[0]?.errorCode).toBe(36);
    expect((await create(version, [{ name }]))[0]?.errorCode).toBe(0);
  });

  it("refuses names that collide and internal ones", async () => {
    expect(await codeOf(7, { name: "a.b" })).toBe(0);
    expect(await codeOf(7, { name: "a_b" })).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION);
    expect(await codeOf(7, { name: "__transaction_state" })).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION);
  });
});
