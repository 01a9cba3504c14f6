// Metadata as clients see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { createMetadataRequest, createMetadataRequestTopic } from "../../../generated/testing/metadata-request.ts";
import { apis, BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";

let world: BrokerWorld;
let client: TestClient;
let topicId: string;

beforeAll(async () => {
  world = await BrokerWorld.start({ defaultPartitionCount: 4, metadataTopicsMax: 30 });
  client = await world.connect();
  topicId = await client.createTopic("orders", 3);
});
afterAll(() => world.stop());

interface Options {
  creates?: boolean;
  withOperations?: boolean;
}

async function ask(version: number, topics: readonly (string | { id: string })[] | null, options: Options = {}) {
  const request = createMetadataRequest({
    topics:
      topics?.map((topic) =>
        createMetadataRequestTopic(typeof topic === "string" ? { name: topic } : { name: null, topicId: topic.id }),
      ) ?? null,
    allowAutoTopicCreation: version < 4 || (options.creates ?? false),
    includeTopicAuthorizedOperations: version >= 8 && (options.withOperations ?? false),
    includeClusterAuthorizedOperations: version >= 8 && version <= 10 && (options.withOperations ?? false),
  });
  return client.call(apis.metadata, version, request);
}

describe("Metadata", () => {
  it.each(versionsOf(3))("version %i names the brokers, the controller and the leaders of a topic", async (version) => {
    const answer = await ask(version, ["orders"]);
    expect(answer.brokers).toMatchObject([{ nodeId: 0, host: "broker.test", port: 9092, rack: null }]);
    if (version >= 1) expect(answer.controllerId).toBe(0);
    if (version >= 2) expect(answer.clusterId).toMatch(/^[A-Za-z0-9_-]{22}$/);
    const [topic] = answer.topics;
    expect(topic).toMatchObject({ errorCode: 0, name: "orders", isInternal: false });
    if (version >= 10) expect(topic?.topicId).toBe(topicId);
    expect(topic?.partitions.map(({ partitionIndex }) => partitionIndex)).toEqual([0, 1, 2]);
    for (const partition of topic?.partitions ?? []) {
      expect(partition).toMatchObject({ errorCode: 0, leaderId: 0, replicaNodes: [0], isrNodes: [0] });
      if (version >= 7) expect(partition.leaderEpoch).toBe(1);
    }
  });

  it.each(versionsOf(3))("version %i gives all topics, and none from 1 on for an empty list", async (version) => {
    const names = async (topics: readonly string[] | null) =>
      (await ask(version, topics)).topics.map(({ name }) => name);
    expect(await names(version === 0 ? [] : null)).toContain("orders");
    if (version > 0) expect(await names([])).toEqual([]);
  });

  it.each(versionsOf(3, 4))("version %i creates nothing unless the request allows it", async (version) => {
    const answer = await ask(version, [`absent-${version}`]);
    expect(answer.topics[0]?.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    expect((await ask(version, null)).topics.map(({ name }) => name)).not.toContain(`absent-${version}`);
  });

  it.each(versionsOf(3))("version %i creates an absent topic and answers it at once", async (version) => {
    const [topic] = (await ask(version, [`created-${version}`], { creates: true })).topics;
    expect(topic).toMatchObject({ errorCode: 0, name: `created-${version}` });
    expect(topic?.partitions.length).toBe(4);
    expect(topic?.partitions.every(({ leaderId }) => leaderId === 0)).toBe(true);
  });

  it("creates a topic once when many ask for it at the same time", async () => {
    const message = createMetadataRequest({ topics: [createMetadataRequestTopic({ name: "rush" })] });
    const answers = await world.clock.complete(
      Promise.all(Array.from({ length: 5 }, () => client.send(apis.metadata, 12, message))),
    );
    const codes = answers.map(({ topics }) => topics[0]?.errorCode);
    expect(codes.every((code) => code === 0 || code === ErrorCode.LEADER_NOT_AVAILABLE)).toBe(true);
    expect((await ask(12, ["rush"])).topics[0]?.errorCode).toBe(0);
  });

  it("creates no topic when the setting forbids it", async () => {
    const strict = await BrokerWorld.start({ isAutoCreateEnabled: false });
    const own = await strict.connect();
    const message = createMetadataRequest({ topics: [createMetadataRequestTopic({ name: "absent" })] });
    const answer = await own.call(apis.metadata, 9, message);
    expect(answer.topics[0]?.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    await strict.stop();
  });

  it.each(versionsOf(3))("version %i refuses a name that Kafka does not allow", async (version) => {
    const answer = await ask(version, ["no spaces", "..", ""], { creates: true });
    const codes = answer.topics.map(({ errorCode }) => errorCode);
    expect(codes).toEqual([17, 17, 17]);
  });

  it.each(versionsOf(3, 12))(
    "version %i finds a topic by id and answers an unknown id with 100 and no name",
    async (version) => {
      const answer = await ask(version, [{ id: topicId }, { id: "AAAAAAAAAAAAAAAAAAAAAQ" }]);
      expect(answer.topics[0]).toMatchObject({ errorCode: 0, name: "orders", topicId });
      const unknown = { errorCode: ErrorCode.UNKNOWN_TOPIC_ID, name: null, topicId: "AAAAAAAAAAAAAAAAAAAAAQ" };
      expect(answer.topics[1]).toMatchObject(unknown);
    },
  );

  it.each([10, 11])("version %i refuses ids and null names as a whole", async (version) => {
    const answer = await ask(version, ["orders", { id: topicId }]);
    expect(answer.topics.map(({ errorCode }) => errorCode)).toEqual([42, 42]);
  });

  it.each(versionsOf(3))(
    "version %i refuses more topics than the limit, and takes exactly that many",
    async (version) => {
      const names = (count: number) => Array.from({ length: count }, () => "orders");
      expect((await ask(version, names(30))).topics.length).toBe(30);
      const answer = await ask(version, names(31));
      expect(answer.topics[0]?.errorCode).toBe(ErrorCode.INVALID_REQUEST);
      if (version >= 13) expect(answer.errorCode).toBe(ErrorCode.INVALID_REQUEST);
    },
  );

  it.each(versionsOf(3, 8))("version %i gives the allowed operations only when asked", async (version) => {
    const without = await ask(version, ["orders"]);
    expect(without.topics[0]?.topicAuthorizedOperations).toBe(-2_147_483_648);
    const asked = await ask(version, ["orders"], { withOperations: true });
    expect(asked.topics[0]?.topicAuthorizedOperations).toBeGreaterThan(0);
    if (version <= 10) expect(asked.clusterAuthorizedOperations).toBeGreaterThan(0);
    if (version <= 10) expect(without.clusterAuthorizedOperations).toBe(-2_147_483_648);
  });
});
