// Groups on a real socket: names, sizes and times at their limits and one past them, with the code Kafka has for each.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { JoinGroupRequest } from "../../generated/kafka/join-group-request.ts";
import { createHeartbeatRequest } from "../../generated/testing/heartbeat-request.ts";
import { createJoinGroupRequest, createJoinGroupRequestProtocol } from "../../generated/testing/join-group-request.ts";
import { createLeaveGroupRequest, createMemberIdentity } from "../../generated/testing/leave-group-request.ts";
import {
  createOffsetCommitRequest,
  createOffsetCommitRequestPartition,
  createOffsetCommitRequestTopic,
} from "../../generated/testing/offset-commit-request.ts";
import { createOffsetFetchRequest } from "../../generated/testing/offset-fetch-request.ts";
import {
  createSyncGroupRequest,
  createSyncGroupRequestAssignment,
} from "../../generated/testing/sync-group-request.ts";
import { apis } from "../kafka/broker-world.ts";
import { type SocketClient, SocketWorld } from "./socket-world.ts";

const MIB = 1024 * 1024;
/** What a protocol called "range" counts besides its metadata. */
const RANGE_BYTES = 16 + "range".length;

let world: SocketWorld;
let client: SocketClient;

beforeAll(async () => {
  world = await SocketWorld.start({ group: { initialRebalanceDelayMs: 0 } });
  client = await world.connect();
  expect(await client.createTopic("log")).toBe(0);
});
afterAll(async () => {
  expect(world.endedCount("bug")).toBe(0);
  expect(client.isOpen).toBe(true);
  await world.stop();
});

interface Joining extends Partial<JoinGroupRequest> {
  readonly metadata?: Uint8Array;
}

function joining({ metadata = new Uint8Array(0), ...fields }: Joining): JoinGroupRequest {
  return createJoinGroupRequest({
    groupId: "group",
    sessionTimeoutMs: 600_000,
    rebalanceTimeoutMs: 600_000,
    protocolType: "consumer",
    protocols: [createJoinGroupRequestProtocol({ name: "range", metadata })],
    ...fields,
  });
}

/** The code of a first join: MEMBER_ID_REQUIRED for one that may go on. */
async function joinCode(fields: Joining): Promise<number> {
  return (await client.call(apis.joinGroup, 9, joining(fields))).errorCode;
}

describe("the name of a group", () => {
  it.each([
    ["one character", "g", ErrorCode.MEMBER_ID_REQUIRED],
    ["249 characters", "g".repeat(249), ErrorCode.MEMBER_ID_REQUIRED],
    ["any letters", "Gruppe für alles/jeden: 100 %", ErrorCode.MEMBER_ID_REQUIRED],
    ["250 characters", "g".repeat(250), ErrorCode.INVALID_GROUP_ID],
    ["no character", "", ErrorCode.INVALID_GROUP_ID],
    ["a line feed", "a\nb", ErrorCode.INVALID_GROUP_ID],
    ["an escape", "\u001b[31m", ErrorCode.INVALID_GROUP_ID],
    ["a zero", "a\0", ErrorCode.INVALID_GROUP_ID],
  ])("of %s", async (_name, groupId, code) => {
    expect(await joinCode({ groupId })).toBe(code);
  });

  it("is judged by every API that takes one", async () => {
    const groupId = "g".repeat(250);
    const codes = [
      (await client.call(apis.heartbeat, 4, createHeartbeatRequest({ groupId, memberId: "m" }))).errorCode,
      (await client.call(apis.syncGroup, 5, createSyncGroupRequest({ groupId, memberId: "m" }))).errorCode,
      (await client.call(apis.leaveGroup, 5, createLeaveGroupRequest({ groupId }))).errorCode,
      await commitCode({ groupId }),
      (await client.call(apis.offsetFetch, 7, createOffsetFetchRequest({ groupId, topics: null }))).errorCode,
    ];
    expect(codes).toEqual(codes.map(() => ErrorCode.INVALID_GROUP_ID));
  });
});

describe("the names of members", () => {
  it.each([
    ["255 characters", "m".repeat(255), ErrorCode.UNKNOWN_MEMBER_ID],
    ["256 characters", "m".repeat(256), ErrorCode.INVALID_REQUEST],
    ["a tabulator", "a\tb", ErrorCode.INVALID_REQUEST],
  ])("have at most 255 characters: %s", async (_name, memberId, code) => {
    expect(await joinCode({ memberId })).toBe(code);
    const heartbeat = await client.call(apis.heartbeat, 4, createHeartbeatRequest({ groupId: "group", memberId }));
    expect(heartbeat.errorCode).toBe(code);
    expect(await commitCode({ groupId: "occupied", memberId, generationIdOrMemberEpoch: 1 })).toBe(
      code === ErrorCode.INVALID_REQUEST ? code : ErrorCode.ILLEGAL_GENERATION,
    );
  });

  it.each([
    ["249 characters", "i".repeat(249), ErrorCode.NONE],
    ["250 characters", "i".repeat(250), ErrorCode.INVALID_REQUEST],
    ["a control character", "i\u007f", ErrorCode.INVALID_REQUEST],
  ])("of instances have at most 249: %s", async (_name, groupInstanceId, code) => {
    const joined = await client.call(apis.joinGroup, 9, joining({ groupId: `static-${code}`, groupInstanceId }));
    expect(joined.errorCode).toBe(code);
    if (code !== ErrorCode.NONE) return;
    // The id that the broker made of it is one that the broker takes.
    expect(joined.memberId.length).toBeLessThanOrEqual(255);
    const { memberId, generationId } = joined;
    const heartbeat = createHeartbeatRequest({ groupId: `static-${code}`, memberId, generationId, groupInstanceId });
    expect((await client.call(apis.heartbeat, 4, heartbeat)).errorCode).toBe(ErrorCode.NONE);
  });

  it("that leave are judged one request at a time", async () => {
    const members = [createMemberIdentity({ memberId: "m".repeat(256) })];
    const answer = await client.call(apis.leaveGroup, 5, createLeaveGroupRequest({ groupId: "group", members }));
    expect(answer.errorCode).toBe(ErrorCode.INVALID_REQUEST);
  });
});

describe("session timeouts", () => {
  it.each([
    [5_999, ErrorCode.INVALID_SESSION_TIMEOUT],
    [6_000, ErrorCode.MEMBER_ID_REQUIRED],
    [1_800_000, ErrorCode.MEMBER_ID_REQUIRED],
    [1_800_001, ErrorCode.INVALID_SESSION_TIMEOUT],
    [-1, ErrorCode.INVALID_SESSION_TIMEOUT],
    [0x7fff_ffff, ErrorCode.INVALID_SESSION_TIMEOUT],
  ])("are 6 s to 30 min: %i ms", async (sessionTimeoutMs, code) => {
    expect(await joinCode({ sessionTimeoutMs })).toBe(code);
  });
});

/** Joins as the only member, which leads. */
async function lead(groupId: string, metadata = new Uint8Array(0)) {
  const joined = await client.call(apis.joinGroup, 3, joining({ groupId, metadata }));
  expect([joined.errorCode, joined.leader]).toEqual([ErrorCode.NONE, joined.memberId]);
  return { groupId, memberId: joined.memberId, generationId: joined.generationId };
}

type Leader = Awaited<ReturnType<typeof lead>>;

async function assign(leader: Leader, assignments: readonly (readonly [string, number])[]): Promise<number> {
  const request = createSyncGroupRequest({
    ...leader,
    protocolType: "consumer",
    protocolName: "range",
    assignments: assignments.map(([memberId, bytes]) =>
      createSyncGroupRequestAssignment({ memberId, assignment: new Uint8Array(bytes) }),
    ),
  });
  return (await client.call(apis.syncGroup, 5, request)).errorCode;
}

describe("what a member brings along", () => {
  it("is 1 MiB with all its protocols, and one byte more is INVALID_REQUEST", async () => {
    const metadata = new Uint8Array(MIB - RANGE_BYTES);
    expect(await joinCode({ metadata })).toBe(ErrorCode.MEMBER_ID_REQUIRED);
    expect(await joinCode({ metadata: new Uint8Array(metadata.length + 1) })).toBe(ErrorCode.INVALID_REQUEST);
  });

  it("is 64 protocols, and one more is INVALID_REQUEST", async () => {
    const protocols = (count: number) =>
      Array.from({ length: count }, (_, index) => createJoinGroupRequestProtocol({ name: `p${index}` }));
    expect(await joinCode({ protocols: protocols(64) })).toBe(ErrorCode.MEMBER_ID_REQUIRED);
    expect(await joinCode({ protocols: protocols(65) })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await joinCode({ protocols: [] })).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
  });

  it("is an assignment of 1 MiB, and one byte more is INVALID_REQUEST", async () => {
    const leader = await lead("assigned", new Uint8Array(MIB - RANGE_BYTES));
    expect(await assign(leader, [[leader.memberId, MIB + 1]])).toBe(ErrorCode.INVALID_REQUEST);
    expect(await assign(leader, [[leader.memberId, MIB]])).toBe(ErrorCode.NONE);
  });
});

describe("what a group holds", () => {
  it("is 8 MiB of protocols and 8 MiB of assignments, which are stored", async () => {
    const large = await SocketWorld.start({ group: { initialRebalanceDelayMs: 0, memberBytesMax: 9 * MIB } });
    const [own, previous] = [await large.connect(), client];
    client = own;
    const leader = await lead("large", new Uint8Array(8 * MIB - RANGE_BYTES));
    expect(await assign(leader, [[leader.memberId, 8 * MIB + 1]])).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    expect(await assign(leader, [[leader.memberId, 8 * MIB]])).toBe(ErrorCode.NONE);
    const another = { groupId: "large", metadata: new Uint8Array(0) };
    expect(await joinCode(another)).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    expect(await joinCode({ ...another, groupId: "other", metadata: new Uint8Array(8 * MIB - RANGE_BYTES) })).toBe(
      ErrorCode.MEMBER_ID_REQUIRED,
    );
    expect(await joinCode({ ...another, groupId: "other", metadata: new Uint8Array(8 * MIB) })).toBe(
      ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
    );
    client = previous;
    await large.stop();
  });

  it("is as many members as allowed, and one more is GROUP_MAX_SIZE_REACHED", async () => {
    const small = await SocketWorld.start({ group: { initialRebalanceDelayMs: 0, groupMembersMax: 3 } });
    const connections = await Promise.all([1, 2, 3, 4].map(() => small.connect()));
    const joined: { connection: SocketClient; memberId: string; generationId: number }[] = [];
    for (const connection of connections.slice(0, 3)) {
      const entering = connection.call(apis.joinGroup, 3, joining({ groupId: "full" }));
      // Everybody who is in joins again as soon as the broker asks for it.
      const others = joined.map(async (member) => {
        const { memberId, generationId } = member;
        const heartbeat = createHeartbeatRequest({ groupId: "full", memberId, generationId });
        while ((await member.connection.call(apis.heartbeat, 3, heartbeat)).errorCode === ErrorCode.NONE);
        const again = await member.connection.call(apis.joinGroup, 3, joining({ groupId: "full", memberId }));
        expect(again.errorCode).toBe(ErrorCode.NONE);
        return { ...member, generationId: again.generationId };
      });
      const { errorCode, memberId, generationId } = await entering;
      expect(errorCode).toBe(ErrorCode.NONE);
      joined.splice(0, joined.length, ...(await Promise.all(others)), { connection, memberId, generationId });
    }
    const late = connections[3] as SocketClient;
    for (const version of [3, 9]) {
      const refused = await late.call(apis.joinGroup, version, joining({ groupId: "full" }));
      expect(refused.errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED);
    }
    await small.stop();
  });

  it("is no group once there are as many as allowed: COORDINATOR_NOT_AVAILABLE", async () => {
    const small = await SocketWorld.start({ group: { initialRebalanceDelayMs: 0, groupsMax: 2 } });
    const [own, previous] = [await small.connect(), client];
    client = own;
    await own.createTopic("log");
    expect(await joinCode({ groupId: "one" })).toBe(ErrorCode.MEMBER_ID_REQUIRED);
    expect(await commitCode({ groupId: "two" })).toBe(ErrorCode.NONE);
    expect(await joinCode({ groupId: "three" })).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    expect(await commitCode({ groupId: "three" })).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    expect(await commitCode({ groupId: "two" })).toBe(ErrorCode.NONE);
    client = previous;
    await small.stop();
  });
});

/** The code of a commit for one partition. */
async function commitCode(
  fields: { groupId?: string; memberId?: string; generationIdOrMemberEpoch?: number } = {},
  committedMetadata = "",
): Promise<number | undefined> {
  const partitions = [createOffsetCommitRequestPartition({ partitionIndex: 0, committedOffset: 1, committedMetadata })];
  const topics = [createOffsetCommitRequestTopic({ name: "log", partitions })];
  const request = createOffsetCommitRequest({ groupId: "simple", generationIdOrMemberEpoch: -1, topics, ...fields });
  const answer = await client.call(apis.offsetCommit, 8, request);
  return answer.topics[0]?.partitions[0]?.errorCode;
}

describe("the text of a committed offset", () => {
  it.each([
    ["4,096 bytes", "x".repeat(4_096), ErrorCode.NONE],
    ["4,097 bytes", "x".repeat(4_097), ErrorCode.OFFSET_METADATA_TOO_LARGE],
    ["4,096 bytes of 2,048 characters", "ä".repeat(2_048), ErrorCode.NONE],
    ["4,098 bytes of 2,049 characters", "ä".repeat(2_049), ErrorCode.OFFSET_METADATA_TOO_LARGE],
  ])("has at most 4,096 bytes: %s", async (_name, text, code) => {
    expect(await commitCode({}, text)).toBe(code);
  });
});
