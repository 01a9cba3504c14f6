// JoinGroup, versions 0 to 9. Enters or stays in a group; the answer waits until the rebalance has everybody. A client
// without an id gets one with MEMBER_ID_REQUIRED from version 4 on (79); version 0 has no rebalance timeout and waits as
// long as a session lasts; static members come with version 5, a leader that may skip its assignment with version 9.
// It refuses: session timeouts outside 6 s to 30 min (26), names that are no names (24, 42), nothing in common with the
// group (23), full groups (81), unknown members (25), static members that were replaced (82).
import {
  createJoinGroupResponse,
  createJoinGroupResponseMember,
} from "../../../generated/kafka/join-group-response.ts";
import type { JoinReply } from "../../group/group.ts";
import type { ApiHandler, ResponseOf } from "../api-handler.ts";

const FIRST_VERSION_WITH_KNOWN_MEMBER_ID = 4;
const FIRST_VERSION_WITH_NULL_PROTOCOL = 7;
const FIRST_VERSION_WITH_SKIPPED_ASSIGNMENT = 9;

/** Handler of key 11. */
export const joinGroup: ApiHandler<11> = {
  apiKey: 11,
  minVersion: 0,
  maxVersion: 9,

  async respond(request, context, broker) {
    const { sessionTimeoutMs, rebalanceTimeoutMs } = request;
    const reply = await broker.groups.ask(request.groupId, {
      type: "join",
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      clientId: context.clientId,
      clientHost: `/${context.clientHost}`,
      sessionTimeoutMs,
      rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
      protocolType: request.protocolType,
      protocols: request.protocols,
      needsKnownMemberId: context.apiVersion >= FIRST_VERSION_WITH_KNOWN_MEMBER_ID,
      canSkipAssignment: context.apiVersion >= FIRST_VERSION_WITH_SKIPPED_ASSIGNMENT,
      uuid: broker.groups.newUuid(),
    });
    return answer(reply, context.apiVersion);
  },

  refuse(request, error, context) {
    return createJoinGroupResponse({
      errorCode: error.code,
      memberId: request.memberId,
      protocolName: context.apiVersion >= FIRST_VERSION_WITH_NULL_PROTOCOL ? null : "",
    });
  },
};

function answer(reply: JoinReply, apiVersion: number): ResponseOf<11> {
  return createJoinGroupResponse({
    errorCode: reply.errorCode,
    generationId: reply.generation,
    protocolType: reply.protocolType,
    protocolName: apiVersion >= FIRST_VERSION_WITH_NULL_PROTOCOL ? reply.protocolName : (reply.protocolName ?? ""),
    leader: reply.leaderId,
    skipAssignment: reply.skipAssignment,
    memberId: reply.memberId,
    members: reply.members.map(({ memberId, instanceId, metadata }) =>
      createJoinGroupResponseMember({ memberId, groupInstanceId: instanceId, metadata }),
    ),
  });
}
