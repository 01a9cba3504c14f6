// A group's state from its records: what a coordinator knows after it took a partition over. Pure. Members come back
// with the sessions they had asked for; the machine starts those on its `loaded` input.
import { type CommittedOffset, createGroup, type GroupState, type RecordedGroup } from "./group.ts";
import { protocolBytes } from "./group-members.ts";
import { setOffset } from "./group-offsets.ts";
import type { AddressedRecord } from "./group-records.ts";
import type { GroupSettings } from "./group-settings.ts";

/** What recovery goes by. */
export interface RecoveryRules {
  readonly settings: GroupSettings;
  /** False for an offset whose topic id is known to belong to a topic that is gone: it is dropped. */
  isTopicAlive(topic: string, committed: CommittedOffset): boolean;
}

/** Groups by id, from records that are the newest of their keys, in any order. */
export function recoverGroups(records: Iterable<AddressedRecord>, rules: RecoveryRules): Map<string, GroupState> {
  const groups = new Map<string, GroupState>();
  for (const { groupId, record } of records) {
    if (record.type === "group-removed" || record.type === "offset-removed") continue;
    if (record.type === "offset" && !rules.isTopicAlive(record.topic, record.committed)) continue;
    let group = groups.get(groupId);
    if (!group) {
      group = createGroup(groupId, rules.settings);
      groups.set(groupId, group);
    }
    if (record.type === "group") restoreMembership(group, record.group);
    else setOffset(group, record);
  }
  return groups;
}

function restoreMembership(group: GroupState, recorded: RecordedGroup): void {
  const protocolName = recorded.protocolName;
  group.isRecorded = true;
  group.protocolType = recorded.protocolType === "" ? null : recorded.protocolType;
  group.generation = recorded.generation;
  group.protocolName = protocolName;
  group.leaderId = recorded.leaderId;
  group.phaseSinceMs = recorded.phaseSinceMs;
  group.phase = recorded.members.length === 0 ? "Empty" : "Stable";
  for (const member of recorded.members) {
    const protocols = [{ name: protocolName ?? "", metadata: member.subscription }];
    group.members.set(member.memberId, {
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      sessionTimeoutMs: member.sessionTimeoutMs,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      protocols,
      protocolBytes: protocolBytes(protocols),
      assignment: member.assignment,
      isNew: false,
      owesSync: false,
      joinRequestId: undefined,
      syncRequestId: undefined,
      deadlineMs: 0,
    });
    if (member.instanceId !== null) group.staticMembers.set(member.instanceId, member.memberId);
  }
}
