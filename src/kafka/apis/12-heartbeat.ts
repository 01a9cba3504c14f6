// Heartbeat, versions 0 to 4. Keeps a member's session alive and tells it of a rebalance (27). Never written to the log.
// It refuses: unknown members (25), other generations (22), static members that were replaced (82).
import { createHeartbeatResponse } from "../../../generated/kafka/heartbeat-response.ts";
import type { ApiHandler } from "../api-handler.ts";

/** Handler of key 12. */
export const heartbeat: ApiHandler<12> = {
  apiKey: 12,
  minVersion: 0,
  maxVersion: 4,

  async respond(request, _context, broker) {
    const { errorCode } = await broker.groups.ask(request.groupId, {
      type: "heartbeat",
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      generation: request.generationId,
    });
    return createHeartbeatResponse({ errorCode });
  },

  refuse(_request, error) {
    return createHeartbeatResponse({ errorCode: error.code });
  },
};
