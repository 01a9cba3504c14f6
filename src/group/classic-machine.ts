// The classic group protocol as a pure function: a group, something that happens and the moment give the group after it
// and what follows. No clock, no I/O, no promise; the same input gives the same output. `group-coordinator.ts` runs it.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { join } from "./classic-join.ts";
import {
  answerSync,
  completeJoinIfReady,
  JOIN_TIMER,
  onJoinTimer,
  onMemberTimer,
  onSyncTimer,
  rebalance,
  removeMember,
  SYNC_TIMER,
} from "./classic-rebalance.ts";
import type {
  DescribeReply,
  GroupInput,
  GroupRequest,
  GroupState,
  HeartbeatRequest,
  Instant,
  LeaveReply,
  LeaveRequest,
  LeavingMember,
  StepResult,
  SyncRequest,
} from "./group.ts";
import { validateMember } from "./group-members.ts";
import {
  commitOffsets,
  EXPIRY_TIMER,
  ensureExpiryTimer,
  fetchOffsets,
  isForgettable,
  onExpiryTimer,
  onTopicsDeleted,
} from "./group-offsets.ts";
import {
  cancel,
  enterPhase,
  memberTimer,
  persistGroup,
  reply,
  subscriptionOf,
  type Turn,
  touch,
} from "./group-turn.ts";

const NO_BYTES = new Uint8Array(0);
const MEMBER_TIMER_PREFIX = memberTimer("");

/** One step. The group is changed in place and belongs to the result; the one given must not be used afterwards. */
export function step(group: GroupState, input: GroupInput, now: Instant): StepResult {
  const turn: Turn = { group, now, effects: [] };
  switch (input.type) {
    case "request":
      onRequest(turn, input.requestId, input.request);
      break;
    case "timer":
      onTimer(turn, input.key, input.token);
      break;
    case "loaded":
      for (const member of group.members.values()) touch(turn, member);
      ensureExpiryTimer(turn);
      break;
    case "topics-deleted":
      onTopicsDeleted(turn, input.topicIds);
      break;
  }
  if (!isForgettable(group)) return { group, effects: turn.effects };
  for (const key of [...group.timers.keys()]) cancel(turn, key);
  return { group: undefined, effects: turn.effects };
}

function onRequest(turn: Turn, requestId: number, request: GroupRequest): void {
  switch (request.type) {
    case "join":
      join(turn, requestId, request);
      break;
    case "sync":
      sync(turn, requestId, request);
      break;
    case "heartbeat":
      reply(turn, requestId, { errorCode: heartbeat(turn, request) });
      break;
    case "leave":
      reply(turn, requestId, leave(turn, request));
      break;
    case "commit":
      reply(turn, requestId, commitOffsets(turn, request));
      break;
    case "fetch-offsets":
      reply(turn, requestId, fetchOffsets(turn.group, request));
      break;
    case "describe":
      reply(turn, requestId, describe(turn.group));
      break;
  }
}

function onTimer(turn: Turn, key: string, token: number): void {
  if (turn.group.timers.get(key)?.token !== token) return;
  turn.group.timers.delete(key);
  if (key === JOIN_TIMER) onJoinTimer(turn);
  else if (key === SYNC_TIMER) onSyncTimer(turn);
  else if (key === EXPIRY_TIMER) onExpiryTimer(turn);
  else onMemberTimer(turn, key.slice(MEMBER_TIMER_PREFIX.length));
}

function sync(turn: Turn, requestId: number, request: SyncRequest): void {
  const { group } = turn;
  const refusal = refuseSync(group, request);
  const member = group.members.get(request.memberId);
  if (refusal !== ErrorCode.NONE || !member) {
    reply(turn, requestId, { errorCode: refusal, protocolType: null, protocolName: null, assignment: NO_BYTES });
    return;
  }
  answerSync(turn, member, ErrorCode.REBALANCE_IN_PROGRESS); // One that was sent again takes the place of the one before.
  member.syncRequestId = requestId;
  member.owesSync = false;
  if (group.phase === "Stable") answerSync(turn, member, ErrorCode.NONE);
  else if (group.leaderId === member.memberId) assign(turn, request);
  touch(turn, member);
  if (group.phase === "Stable") settleSyncTimer(turn);
}

function refuseSync(group: GroupState, request: SyncRequest): ErrorCode {
  const refusal = validateMember(group, request);
  if (refusal !== ErrorCode.NONE) return refusal;
  if (request.generation !== group.generation) return ErrorCode.ILLEGAL_GENERATION;
  if (request.protocolType !== null && request.protocolType !== group.protocolType) {
    return ErrorCode.INCONSISTENT_GROUP_PROTOCOL;
  }
  if (request.protocolName !== null && request.protocolName !== group.protocolName) {
    return ErrorCode.INCONSISTENT_GROUP_PROTOCOL;
  }
  if (group.phase === "PreparingRebalance") return ErrorCode.REBALANCE_IN_PROGRESS;
  const isAssigning = group.phase === "CompletingRebalance" && group.leaderId === request.memberId;
  return isAssigning ? refuseAssignments(group, request) : ErrorCode.NONE;
}

function refuseAssignments(group: GroupState, { assignments }: SyncRequest): ErrorCode {
  let groupBytes = 0;
  for (const { assignment } of assignments) {
    if (assignment.length > group.settings.memberBytesMax) return ErrorCode.INVALID_REQUEST;
    groupBytes += assignment.length;
  }
  return groupBytes > group.settings.groupBytesMax ? ErrorCode.INCONSISTENT_GROUP_PROTOCOL : ErrorCode.NONE;
}

/** The leader has decided: everybody who waits gets its part, byte for byte; who is not listed gets nothing. */
function assign(turn: Turn, { assignments }: SyncRequest): void {
  const { group } = turn;
  for (const { memberId, assignment } of assignments) {
    const member = group.members.get(memberId);
    if (member) member.assignment = new Uint8Array(assignment);
  }
  enterPhase(turn, "Stable");
  persistGroup(turn);
  for (const member of group.members.values()) {
    if (member.syncRequestId === undefined) continue;
    answerSync(turn, member, ErrorCode.NONE);
    touch(turn, member);
  }
}

/** The wait for syncs ends when the last member has sent one. */
function settleSyncTimer(turn: Turn): void {
  for (const member of turn.group.members.values()) if (member.owesSync) return;
  cancel(turn, SYNC_TIMER);
}

function heartbeat(turn: Turn, request: HeartbeatRequest): ErrorCode {
  const { group } = turn;
  const refusal = validateMember(group, request);
  if (refusal !== ErrorCode.NONE) return refusal;
  if (request.generation !== group.generation) return ErrorCode.ILLEGAL_GENERATION;
  const member = group.members.get(request.memberId);
  if (member) touch(turn, member);
  return group.phase === "PreparingRebalance" ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE;
}

function leave(turn: Turn, request: LeaveRequest): LeaveReply {
  let hasLeft = false;
  const errorCodes = request.members.map((leaving) => {
    const { code, wasMember } = leaveOne(turn, leaving);
    hasLeft ||= wasMember;
    return code;
  });
  if (hasLeft) rebalance(turn);
  else completeJoinIfReady(turn);
  return { errorCodes };
}

function leaveOne(turn: Turn, leaving: LeavingMember): { code: ErrorCode; wasMember: boolean } {
  const { group } = turn;
  if (leaving.memberId !== "" && group.pendingMembers.delete(leaving.memberId)) {
    cancel(turn, memberTimer(leaving.memberId));
    return { code: ErrorCode.NONE, wasMember: false };
  }
  const memberId = leaving.memberId === "" ? memberIdOf(group, leaving.instanceId) : leaving.memberId;
  const code = validateMember(group, { memberId, instanceId: leaving.instanceId });
  const member = group.members.get(memberId);
  if (code !== ErrorCode.NONE || !member) return { code, wasMember: false };
  removeMember(turn, member);
  return { code, wasMember: true };
}

function memberIdOf(group: GroupState, instanceId: string | null): string {
  return instanceId === null ? "" : (group.staticMembers.get(instanceId) ?? "");
}

function describe(group: GroupState): DescribeReply {
  if (isForgettable(group)) return { group: undefined };
  const isStable = group.phase === "Stable";
  const members = [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    instanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    metadata: isStable ? subscriptionOf(group, member) : NO_BYTES,
    assignment: isStable ? member.assignment : NO_BYTES,
  }));
  const protocolName = isStable ? (group.protocolName ?? "") : "";
  return {
    group: {
      groupId: group.groupId,
      phase: group.phase,
      protocolType: group.protocolType ?? "",
      protocolName,
      members,
    },
  };
}
