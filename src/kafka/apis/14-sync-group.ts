// SyncGroup, versions 0 to 5. The leader brings the assignments, byte for byte what each member gets; followers wait for
// them. The answers leave once the assignment is durable. A member the leader left out gets nothing.
// It refuses: unknown members (25), other generations (22), a rebalance that started over (27), another protocol than the
// group's (23, version 5), static members that were replaced (82), assignments over 1 MiB each (42) or 8 MiB (23).
import { createSyncGroupResponse } from "../../../generated/kafka/sync-group-response.ts";
import type { ApiHandler } from "../api-handler.ts";

/** Handler of key 14. */
export const syncGroup: ApiHandler<14> = {
  apiKey: 14,
  minVersion: 0,
  maxVersion: 5,

  async respond(request, _context, broker) {
    const reply = await broker.groups.ask(request.groupId, {
      type: "sync",
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      generation: request.generationId,
      protocolType: request.protocolType,
      protocolName: request.protocolName,
      assignments: request.assignments,
    });
    const { errorCode, protocolType, protocolName, assignment } = reply;
    return createSyncGroupResponse({ errorCode, protocolType, protocolName, assignment });
  },

  refuse(_request, error) {
    return createSyncGroupResponse({ errorCode: error.code });
  },
};
