// OffsetFetch as consumers and tools see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { createDeleteTopicsRequest } from "../../../generated/testing/delete-topics-request.ts";
import {
  createOffsetFetchRequest,
  createOffsetFetchRequestGroup,
  createOffsetFetchRequestTopic,
  createOffsetFetchRequestTopics,
} from "../../../generated/testing/offset-fetch-request.ts";
import { apis, BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";
import { complete, GroupMember } from "../group-member.ts";

let world: BrokerWorld;
let client: TestClient;
const topicIds = new Map<string, string>();

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
  for (const name of ["t", "u"]) topicIds.set(name, await client.createTopic(name, 2));
});
afterAll(() => world.stop());

interface Asked {
  readonly name: string;
  readonly topicId?: string;
  readonly partitions: readonly number[];
}

/** Reads one group in the shape of the version; `name/partition=offset` in order, and the group's code. */
async function read(version: number, groupId: string, asked: readonly Asked[] | null) {
  if (version < 8) {
    const topics = asked?.map(({ name, partitions }) =>
      createOffsetFetchRequestTopic({ name, partitionIndexes: partitions }),
    );
    const request = createOffsetFetchRequest({ groupId, topics: topics ?? null });
    const answer = await client.call(apis.offsetFetch, version, request);
    return { errorCode: answer.errorCode, offsets: linesOf(answer.topics) };
  }
  const topics = asked?.map(({ name, topicId, partitions }) =>
    createOffsetFetchRequestTopics({
      ...(version >= 10 ? { topicId: topicId ?? topicIds.get(name) ?? "" } : { name }),
      partitionIndexes: partitions,
    }),
  );
  const request = createOffsetFetchRequest({
    groups: [createOffsetFetchRequestGroup({ groupId, topics: topics ?? null })],
  });
  const [group] = (await client.call(apis.offsetFetch, version, request)).groups;
  const named = group?.topics.map((topic) => (version >= 10 ? { ...topic, name: nameOf(topic.topicId) } : topic));
  return { errorCode: group?.errorCode, offsets: linesOf(named ?? []) };
}

function nameOf(topicId: string): string {
  for (const [name, id] of topicIds) if (id === topicId) return name;
  return "unknown";
}

function linesOf(
  topics: readonly {
    name: string;
    partitions: readonly { partitionIndex: number; committedOffset: number; errorCode: number }[];
  }[],
): string[] {
  return topics.flatMap(({ name, partitions }) =>
    partitions.map((p) => `${name}/${p.partitionIndex}=${p.committedOffset}${p.errorCode ? `!${p.errorCode}` : ""}`),
  );
}

const commit = (groupId: string, topic: string, offset: number) =>
  complete(client, new GroupMember(client, groupId).commit(topic, offset));

describe("OffsetFetch", () => {
  it.each(versionsOf(9))(
    "version %i reads what is committed, and -1 without an error where nothing is",
    async (version) => {
      const groupId = `read-${version}`;
      await commit(groupId, "t", 17);
      const asked = [
        { name: "t", partitions: [1, 0] },
        { name: "u", partitions: [0] },
      ];
      expect(await read(version, groupId, asked)).toEqual({ errorCode: 0, offsets: ["t/1=-1", "t/0=17", "u/0=-1"] });
      expect(await read(version, "nobody", asked)).toEqual({ errorCode: 0, offsets: ["t/1=-1", "t/0=-1", "u/0=-1"] });
    },
  );

  it.each(versionsOf(9, 2))("version %i reads everything a group has for null topics", async (version) => {
    const groupId = `all-${version}`;
    await commit(groupId, "t", 1);
    await commit(groupId, "u", 2);
    expect(await read(version, groupId, null)).toEqual({ errorCode: 0, offsets: ["t/0=1", "u/0=2"] });
    expect(await read(version, "nobody", null)).toEqual({ errorCode: 0, offsets: [] });
  });

  it.each(versionsOf(9, 8))("version %i reads several groups, each with its own error", async (version) => {
    await commit(`one-${version}`, "t", 1);
    const groups = [`one-${version}`, "x".repeat(250), "nobody"].map((groupId) =>
      createOffsetFetchRequestGroup({ groupId, topics: null }),
    );
    const answer = await client.call(apis.offsetFetch, version, createOffsetFetchRequest({ groups }));
    expect(answer.groups.map(({ errorCode, topics }) => [errorCode, topics.length])).toEqual([
      [0, 1],
      [ErrorCode.INVALID_GROUP_ID, 0],
      [0, 0],
    ]);
  });

  it.each(versionsOf(9).filter((version) => version < 8))(
    "version %i refuses with the place it has for an error",
    async (version) => {
      const { errorCode, offsets } = await read(version, "x".repeat(250), [{ name: "t", partitions: [0] }]);
      if (version >= 2) expect([errorCode, offsets]).toEqual([ErrorCode.INVALID_GROUP_ID, []]);
      else expect(offsets).toEqual([`t/0=-1!${ErrorCode.INVALID_GROUP_ID}`]);
    },
  );

  it("refuses a topic id nobody has from version 10 on", async () => {
    const asked = [{ name: "", topicId: "AAAAAAAAAAAAAAAAAAAAAQ", partitions: [0] }];
    expect(await read(10, "anybody", asked)).toEqual({
      errorCode: 0,
      offsets: [`unknown/0=-1!${ErrorCode.UNKNOWN_TOPIC_ID}`],
    });
  });

  it.each([5, 9])("version %i gives a new topic of an old name no offset of the old one", async (version) => {
    const name = `again-${version}`;
    topicIds.set(name, await client.createTopic(name));
    await commit("again", name, 5);
    expect((await read(version, "again", [{ name, partitions: [0] }])).offsets).toEqual([`${name}/0=5`]);
    const deletion = createDeleteTopicsRequest({ topicNames: [name], timeoutMs: 10_000 });
    await client.call(apis.deleteTopics, 5, deletion);
    expect((await read(version, "again", [{ name, partitions: [0] }])).offsets).toEqual([`${name}/0=-1`]);
    topicIds.set(name, await client.createTopic(name));
    expect((await read(version, "again", [{ name, partitions: [0] }])).offsets).toEqual([`${name}/0=-1`]);
    expect((await read(version, "again", null)).offsets).not.toContain(`${name}/0=5`);
  });
});
