// ListGroups, versions 0 to 5. The groups this broker coordinates, by state from version 4 on and by type from 5 on; both
// filters ignore case, and an empty one lets everything through. Groups that only keep offsets have no protocol type.
// It refuses: while a partition of groups is being taken over (14), so that no list is short without saying so.
import { createListedGroup, createListGroupsResponse } from "../../../generated/kafka/list-groups-response.ts";
import type { ApiHandler } from "../api-handler.ts";

const GROUP_TYPE = "classic";

/** Handler of key 16. */
export const listGroups: ApiHandler<16> = {
  apiKey: 16,
  minVersion: 0,
  maxVersion: 5,

  async respond(request, _context, broker) {
    const isAskedState = filterOf(request.statesFilter);
    const isAskedType = filterOf(request.typesFilter);
    const found = isAskedType(GROUP_TYPE) ? await broker.groups.listGroups() : [];
    const groups = found
      .filter(({ phase }) => isAskedState(phase))
      .map(({ groupId, protocolType, phase }) =>
        createListedGroup({ groupId, protocolType, groupState: phase, groupType: GROUP_TYPE }),
      );
    return createListGroupsResponse({ groups });
  },

  refuse(_request, error) {
    return createListGroupsResponse({ errorCode: error.code });
  },
};

function filterOf(asked: readonly string[]): (value: string) => boolean {
  const wanted = new Set(asked.map((value) => value.toLowerCase()));
  return (value) => wanted.size === 0 || wanted.has(value.toLowerCase());
}
