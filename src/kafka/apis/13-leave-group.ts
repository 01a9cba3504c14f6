// LeaveGroup, versions 0 to 5. Removes members and starts a rebalance: one up to version 2, whose code is the answer's;
// several with a code each from version 3 on, where an instance id without a member id is an administrator's removal.
// It refuses: unknown members (25), static members that were replaced (82). The reason of version 5 is not kept.
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { createLeaveGroupResponse, createMemberResponse } from "../../../generated/kafka/leave-group-response.ts";
import type { ApiHandler } from "../api-handler.ts";

const FIRST_VERSION_WITH_MEMBERS = 3;

/** Handler of key 13. */
export const leaveGroup: ApiHandler<13> = {
  apiKey: 13,
  minVersion: 0,
  maxVersion: 5,

  async respond(request, context, broker) {
    const hasMembers = context.apiVersion >= FIRST_VERSION_WITH_MEMBERS;
    const leaving = hasMembers
      ? request.members.map(({ memberId, groupInstanceId }) => ({ memberId, instanceId: groupInstanceId }))
      : [{ memberId: request.memberId, instanceId: null }];
    const { errorCodes } = await broker.groups.ask(request.groupId, { type: "leave", members: leaving });
    if (!hasMembers) return createLeaveGroupResponse({ errorCode: errorCodes[0] ?? ErrorCode.NONE });
    const members = leaving.map(({ memberId, instanceId }, index) =>
      createMemberResponse({
        memberId,
        groupInstanceId: instanceId,
        errorCode: errorCodes[index] ?? ErrorCode.UNKNOWN_SERVER_ERROR,
      }),
    );
    return createLeaveGroupResponse({ members });
  },

  refuse(_request, error) {
    return createLeaveGroupResponse({ errorCode: error.code });
  },
};
