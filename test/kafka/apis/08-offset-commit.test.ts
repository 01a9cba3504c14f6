// OffsetCommit as consumers and tools see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createOffsetCommitRequest,
  createOffsetCommitRequestPartition,
  createOffsetCommitRequestTopic,
} from "../../../generated/testing/offset-commit-request.ts";
import {
  createOffsetFetchRequest,
  createOffsetFetchRequestTopic,
} from "../../../generated/testing/offset-fetch-request.ts";
import { ZERO_TOPIC_ID } from "../../../src/topic-partition.ts";
import { apis, BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";
import { complete, GroupMember, stableMember } from "../group-member.ts";

let world: BrokerWorld;
let client: TestClient;
let topicId: string;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
  topicId = await client.createTopic("t", 2);
});
afterAll(() => world.stop());

interface Asked {
  readonly name?: string;
  readonly topicId?: string;
  readonly partition?: number;
  readonly offset?: number;
  readonly metadata?: string | null;
  readonly leaderEpoch?: number;
}

/** Commits without a membership; the codes in order. */
async function commit(version: number, groupId: string, asked: readonly Asked[]) {
  const topics = asked.map((each) =>
    createOffsetCommitRequestTopic({
      ...(version >= 10 ? { topicId: each.topicId ?? topicId } : { name: each.name ?? "t" }),
      partitions: [
        createOffsetCommitRequestPartition({
          partitionIndex: each.partition ?? 0,
          committedOffset: each.offset ?? 1,
          committedMetadata: each.metadata === undefined ? "" : each.metadata,
          ...(version >= 6 ? { committedLeaderEpoch: each.leaderEpoch ?? -1 } : {}),
        }),
      ],
    }),
  );
  const answer = await client.call(apis.offsetCommit, version, createOffsetCommitRequest({ groupId, topics }));
  return answer.topics.map(({ partitions }) => partitions[0]?.errorCode);
}

async function read(groupId: string, partition = 0) {
  const topics = [createOffsetFetchRequestTopic({ name: "t", partitionIndexes: [partition] })];
  const answer = await client.call(apis.offsetFetch, 5, createOffsetFetchRequest({ groupId, topics }));
  return answer.topics[0]?.partitions[0];
}

describe("OffsetCommit", () => {
  it.each(versionsOf(8))("version %i keeps offset, text and leader epoch as they were sent", async (version) => {
    const groupId = `kept-${version}`;
    expect(await commit(version, groupId, [{ offset: 42, metadata: "größe", leaderEpoch: 3 }])).toEqual([0]);
    const committedLeaderEpoch = version >= 6 ? 3 : -1;
    expect(await read(groupId)).toMatchObject({ committedOffset: 42, metadata: "größe", committedLeaderEpoch });
  });

  it.each(versionsOf(8))(
    "version %i refuses topics and partitions that do not exist, and keeps the rest",
    async (version) => {
      const groupId = `unknown-${version}`;
      const unknown = version >= 10 ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
      const codes = await commit(version, groupId, [
        { name: "nowhere", topicId: "AAAAAAAAAAAAAAAAAAAAAQ" },
        { partition: 2 },
        { partition: 1, offset: 9 },
      ]);
      expect(codes).toEqual([unknown, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 0]);
      expect((await read(groupId, 1))?.committedOffset).toBe(9);
    },
  );

  it.each(versionsOf(8))("version %i refuses text over 4,096 bytes", async (version) => {
    const codes = await commit(version, `text-${version}`, [
      { metadata: "x".repeat(4_096) },
      { partition: 1, metadata: "x".repeat(4_097) },
    ]);
    expect(codes).toEqual([0, ErrorCode.OFFSET_METADATA_TOO_LARGE]);
  });

  it("takes null text for none", async () => {
    expect(await commit(9, "null-text", [{ metadata: null }])).toEqual([0]);
    expect((await read("null-text"))?.metadata).toBe("");
  });

  it.each(versionsOf(8, 1))("version %i refuses a generation of a group nobody knows", async (version) => {
    const request = createOffsetCommitRequest({
      groupId: `nobody-${version}`,
      generationIdOrMemberEpoch: 3,
      memberId: "m",
      topics: [
        createOffsetCommitRequestTopic({
          name: version >= 10 ? "" : "t",
          topicId: version >= 10 ? topicId : ZERO_TOPIC_ID,
          partitions: [createOffsetCommitRequestPartition({ partitionIndex: 0, committedOffset: 1 })],
        }),
      ],
    });
    const answer = await client.call(apis.offsetCommit, version, request);
    const code = version >= 9 ? ErrorCode.GROUP_ID_NOT_FOUND : ErrorCode.ILLEGAL_GENERATION;
    expect(answer.topics[0]?.partitions[0]?.errorCode).toBe(code);
  });

  it("takes commits of members in their generation, and of nobody else while there are members", async () => {
    const member = await stableMember(client, "members");
    expect(await complete(client, member.commit("t", 5))).toBe(0);
    expect(await commit(9, "members", [{}])).toEqual([ErrorCode.UNKNOWN_MEMBER_ID]);
    member.generation--;
    expect(await complete(client, member.commit("t", 6))).toBe(ErrorCode.ILLEGAL_GENERATION);
    member.memberId = "stranger";
    expect(await complete(client, member.commit("t", 6))).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  });

  it("refuses a member that has not got its assignment yet", async () => {
    const member = new GroupMember(client, "unassigned");
    await complete(client, member.join());
    expect(await complete(client, member.commit("t", 5))).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  });

  it("refuses a group id that is none, everywhere in the answer", async () => {
    const codes = await commit(9, "x".repeat(250), [{}, { partition: 1 }]);
    expect(codes).toEqual([ErrorCode.INVALID_GROUP_ID, ErrorCode.INVALID_GROUP_ID]);
  });

  it("keeps offsets for as long as versions 2 to 4 ask, and otherwise for a week", async () => {
    const partitions = [createOffsetCommitRequestPartition({ partitionIndex: 0, committedOffset: 1 })];
    const topics = [createOffsetCommitRequestTopic({ name: "t", partitions })];
    const request = createOffsetCommitRequest({ groupId: "short", retentionTimeMs: 60_000, topics });
    await client.call(apis.offsetCommit, 3, request);
    await commit(3, "long", [{}]);
    await world.clock.run({ untilMs: world.clock.monotonicMs() + 59_000 });
    expect((await read("short"))?.committedOffset).toBe(1);
    await world.clock.run({ untilMs: world.clock.monotonicMs() + 2_000 });
    expect((await read("short"))?.committedOffset).toBe(-1);
    expect((await read("long"))?.committedOffset).toBe(1);
  });
});
