// A member of a consumer group as a program would be one: it remembers its id and generation and speaks any version.
import { encodeDescribeGroupsRequest } from "../../generated/testing/describe-groups-request.ts";
import { decodeDescribeGroupsResponse } from "../../generated/testing/describe-groups-response.ts";
import { encodeFindCoordinatorRequest } from "../../generated/testing/find-coordinator-request.ts";
import { decodeFindCoordinatorResponse } from "../../generated/testing/find-coordinator-response.ts";
import { createHeartbeatRequest } from "../../generated/testing/heartbeat-request.ts";
import { createJoinGroupRequest, createJoinGroupRequestProtocol } from "../../generated/testing/join-group-request.ts";
import { createLeaveGroupRequest, createMemberIdentity } from "../../generated/testing/leave-group-request.ts";
import { encodeListGroupsRequest } from "../../generated/testing/list-groups-request.ts";
import { decodeListGroupsResponse } from "../../generated/testing/list-groups-response.ts";
import {
  createOffsetCommitRequest,
  createOffsetCommitRequestPartition,
  createOffsetCommitRequestTopic,
} from "../../generated/testing/offset-commit-request.ts";
import {
  createSyncGroupRequest,
  createSyncGroupRequestAssignment,
} from "../../generated/testing/sync-group-request.ts";
import { apis, type TestClient } from "./broker-world.ts";

/** The mirror codecs of the group APIs that only these tests speak. */
export const groupApis = {
  findCoordinator: { apiKey: 10, encode: encodeFindCoordinatorRequest, decode: decodeFindCoordinatorResponse },
  describeGroups: { apiKey: 15, encode: encodeDescribeGroupsRequest, decode: decodeDescribeGroupsResponse },
  listGroups: { apiKey: 16, encode: encodeListGroupsRequest, decode: decodeListGroupsResponse },
} as const;

const MEMBER_ID_REQUIRED = 79;

/** What a join says beside the defaults. */
export interface JoinFields {
  readonly version?: number;
  readonly sessionTimeoutMs?: number;
  readonly rebalanceTimeoutMs?: number;
  readonly protocolType?: string;
  readonly protocols?: Readonly<Record<string, Uint8Array>>;
}

/** One member. Fields that a version does not have are left out of its requests. */
export class GroupMember {
  readonly #client: TestClient;
  readonly groupId: string;
  readonly instanceId: string | null;
  memberId = "";
  generation = -1;

  constructor(client: TestClient, groupId: string, instanceId: string | null = null) {
    this.#client = client;
    this.groupId = groupId;
    this.instanceId = instanceId;
  }

  /** Sends a join and gives its answer, remembering the id; not repeated after MEMBER_ID_REQUIRED. */
  async joinOnce(fields: JoinFields = {}) {
    const { version = 9, sessionTimeoutMs = 10_000, rebalanceTimeoutMs = 60_000, protocolType = "consumer" } = fields;
    const protocols = fields.protocols ?? { range: Uint8Array.of(1) };
    const request = createJoinGroupRequest({
      groupId: this.groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs: version >= 1 ? rebalanceTimeoutMs : -1,
      memberId: this.memberId,
      groupInstanceId: version >= 5 ? this.instanceId : null,
      protocolType,
      protocols: Object.entries(protocols).map(([name, metadata]) =>
        createJoinGroupRequestProtocol({ name, metadata }),
      ),
    });
    const answer = await this.#client.send(apis.joinGroup, version, request);
    if (answer.errorCode === 0 || answer.errorCode === MEMBER_ID_REQUIRED) this.memberId = answer.memberId;
    if (answer.errorCode === 0) this.generation = answer.generationId;
    return answer;
  }

  /** Joins as a program does: again with the id that it was given. */
  async join(fields: JoinFields = {}) {
    const first = await this.joinOnce(fields);
    return first.errorCode === MEMBER_ID_REQUIRED ? this.joinOnce(fields) : first;
  }

  /** Sends a sync; assignments by member id, from the leader. */
  sync(assignments: Readonly<Record<string, Uint8Array>> = {}, version = 5, protocolName: string | null = null) {
    const request = createSyncGroupRequest({
      groupId: this.groupId,
      generationId: this.generation,
      memberId: this.memberId,
      groupInstanceId: version >= 3 ? this.instanceId : null,
      protocolName: version >= 5 ? protocolName : null,
      assignments: Object.entries(assignments).map(([memberId, assignment]) =>
        createSyncGroupRequestAssignment({ memberId, assignment }),
      ),
    });
    return this.#client.send(apis.syncGroup, version, request);
  }

  /** Sends a heartbeat and gives its code. */
  async heartbeat(version = 4): Promise<number> {
    const request = createHeartbeatRequest({
      groupId: this.groupId,
      generationId: this.generation,
      memberId: this.memberId,
      groupInstanceId: version >= 3 ? this.instanceId : null,
    });
    return (await this.#client.send(apis.heartbeat, version, request)).errorCode;
  }

  /** Leaves and gives the answer. */
  leave(version = 5) {
    const { groupId, memberId } = this;
    const members = [createMemberIdentity({ memberId, groupInstanceId: this.instanceId })];
    const request = createLeaveGroupRequest(version >= 3 ? { groupId, members } : { groupId, memberId });
    return this.#client.send(apis.leaveGroup, version, request);
  }

  /** Commits an offset of partition 0 as this member and gives its code. */
  async commit(topic: string, offset: number, version = 9): Promise<number | undefined> {
    const partitions = [createOffsetCommitRequestPartition({ partitionIndex: 0, committedOffset: offset })];
    const request = createOffsetCommitRequest({
      groupId: this.groupId,
      memberId: this.memberId,
      generationIdOrMemberEpoch: this.generation,
      groupInstanceId: version >= 7 ? this.instanceId : null,
      topics: [createOffsetCommitRequestTopic({ name: topic, partitions })],
    });
    const answer = await this.#client.send(apis.offsetCommit, version, request);
    return answer.topics[0]?.partitions[0]?.errorCode;
  }
}

/** Lets virtual time pass until `promise` has settled. */
export function complete<T>(client: TestClient, promise: Promise<T>): Promise<T> {
  return client.world.clock.complete(promise);
}

/** A member that leads a stable group alone. */
export async function stableMember(client: TestClient, groupId: string, fields: JoinFields = {}): Promise<GroupMember> {
  const member = new GroupMember(client, groupId);
  const joined = await complete(client, member.join(fields));
  if (joined.errorCode !== 0) throw new Error(`join: error ${joined.errorCode}`);
  const synced = await complete(client, member.sync({ [member.memberId]: Uint8Array.of(7) }));
  if (synced.errorCode !== 0) throw new Error(`sync: error ${synced.errorCode}`);
  return member;
}
