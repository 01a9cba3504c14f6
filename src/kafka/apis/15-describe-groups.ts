// DescribeGroups, versions 0 to 6. Tells the state of groups and their members; metadata and assignments of a stable group
// as they were sent. A group nobody knows is "Dead": without an error up to version 5, with GROUP_ID_NOT_FOUND (69) from
// 6 on. Without authorisation everything a group supports is allowed, and said so when asked (version 3).
// It refuses, per group: one that is coordinated elsewhere or being loaded (16, 15, 14).
import {
  createDescribedGroup,
  createDescribedGroupMember,
  createDescribeGroupsResponse,
  type DescribedGroup,
} from "../../../generated/kafka/describe-groups-response.ts";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import type { GroupDescription } from "../../group/group.ts";
import { KafkaError } from "../../kafka-error.ts";
import type { ApiHandler, BrokerServices, RequestContext } from "../api-handler.ts";

const FIRST_VERSION_WITH_NOT_FOUND = 6;
/** Bits of the operations READ, DELETE and DESCRIBE. */
const GROUP_OPERATIONS = (1 << 3) | (1 << 6) | (1 << 8);
const OPERATIONS_NOT_ASKED = -2_147_483_648;

/** Handler of key 15. */
export const describeGroups: ApiHandler<15> = {
  apiKey: 15,
  minVersion: 0,
  maxVersion: 6,

  async respond(request, context, broker) {
    const authorizedOperations = request.includeAuthorizedOperations ? GROUP_OPERATIONS : OPERATIONS_NOT_ASKED;
    const described = await Promise.all(request.groups.map((groupId) => describe(groupId, context, broker)));
    const groups = described.map((group) =>
      group.errorCode === ErrorCode.NONE ? { ...group, authorizedOperations } : group,
    );
    return createDescribeGroupsResponse({ groups });
  },

  refuse(request, error) {
    const groups = request.groups.map((groupId) => createDescribedGroup({ groupId, errorCode: error.code }));
    return createDescribeGroupsResponse({ groups });
  },
};

async function describe(groupId: string, context: RequestContext, broker: BrokerServices): Promise<DescribedGroup> {
  try {
    const { group } = await broker.groups.ask(groupId, { type: "describe" });
    return group ? describedGroup(group) : unknownGroup(groupId, context.apiVersion);
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return createDescribedGroup({ groupId, errorCode: error.code });
  }
}

function unknownGroup(groupId: string, apiVersion: number): DescribedGroup {
  if (apiVersion < FIRST_VERSION_WITH_NOT_FOUND) return createDescribedGroup({ groupId, groupState: "Dead" });
  const errorMessage = `Group ${groupId} not found.`;
  return createDescribedGroup({ groupId, groupState: "Dead", errorCode: ErrorCode.GROUP_ID_NOT_FOUND, errorMessage });
}

function describedGroup({ groupId, phase, protocolType, protocolName, members }: GroupDescription): DescribedGroup {
  return createDescribedGroup({
    groupId,
    groupState: phase,
    protocolType,
    protocolData: protocolName,
    members: members.map((member) =>
      createDescribedGroupMember({
        memberId: member.memberId,
        groupInstanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        memberMetadata: member.metadata,
        memberAssignment: member.assignment,
      }),
    ),
  });
}
