// JoinGroup of a classic group: new members with and without ids, members that return, static members that replace
// themselves. Refuses full groups, strategies nobody shares, unknown and fenced members.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { invariant } from "../invariant.ts";
import {
  answerJoin,
  answerSync,
  chooseProtocol,
  grantedJoin,
  isKnownToAll,
  joinedMembers,
  rebalance,
  refusedJoin,
} from "./classic-rebalance.ts";
import type { GroupMember, GroupProtocol, GroupState, JoinRequest } from "./group.ts";
import { protocolBytes, validateMember } from "./group-members.ts";
import { stopExpiry } from "./group-offsets.ts";
import { cancel, ensureTimer, memberTimer, persistGroup, reply, type Turn, touch } from "./group-turn.ts";

const NO_BYTES = new Uint8Array(0);

/** Joins, parks, or answers at once. */
export function join(turn: Turn, requestId: number, request: JoinRequest): void {
  const refusal = refuseJoin(turn.group, request);
  if (refusal !== ErrorCode.NONE) {
    reply(turn, requestId, refusedJoin(refusal, refusal === ErrorCode.GROUP_MAX_SIZE_REACHED ? "" : request.memberId));
    return;
  }
  if (request.memberId === "") joinNew(turn, requestId, request);
  else joinKnown(turn, requestId, request);
}

function refuseJoin(group: GroupState, request: JoinRequest): ErrorCode {
  if (!hasRoom(group, request)) return ErrorCode.GROUP_MAX_SIZE_REACHED;
  if (!isCompatible(group, request)) return ErrorCode.INCONSISTENT_GROUP_PROTOCOL;
  const { memberBytesMax, groupBytesMax } = group.settings;
  const bytes = protocolBytes(request.protocols);
  if (bytes > memberBytesMax) return ErrorCode.INVALID_REQUEST;
  const returning = memberOf(group, request);
  let groupBytes = bytes;
  for (const member of group.members.values()) if (member !== returning) groupBytes += member.protocolBytes;
  return groupBytes > groupBytesMax ? ErrorCode.INCONSISTENT_GROUP_PROTOCOL : ErrorCode.NONE;
}

/** The member that the request replaces or continues, if there is one. */
function memberOf(group: GroupState, request: JoinRequest): GroupMember | undefined {
  const memberId = request.instanceId === null ? request.memberId : group.staticMembers.get(request.instanceId);
  return group.members.get(memberId ?? request.memberId);
}

/** Members always fit; others while there is room. A rebalance counts whose place is taken: who does not return makes room. */
function hasRoom(group: GroupState, request: JoinRequest): boolean {
  const membersMax = group.settings.groupMembersMax;
  const member = memberOf(group, request);
  const isPreparing = group.phase === "PreparingRebalance";
  if (member && (!isPreparing || member.joinRequestId !== undefined)) return true;
  const isIdFree = group.pendingMembers.has(request.memberId) || group.pendingMembers.size < membersMax;
  if (!isPreparing) return isIdFree && group.members.size < membersMax;
  let taken = 0;
  for (const other of group.members.values()) {
    if (other !== member && (other.joinRequestId !== undefined || other.instanceId !== null)) taken++;
  }
  return isIdFree && taken < membersMax;
}

/** Whether the member can take part: the group's kind, and a strategy that all others know. */
function isCompatible(group: GroupState, request: JoinRequest): boolean {
  if (request.protocolType === "" || request.protocols.length === 0) return false;
  if (group.members.size === 0) return true;
  if (group.protocolType !== request.protocolType) return false;
  const returning = memberOf(group, request);
  return request.protocols.some((protocol) => isKnownToAll(group, protocol.name, returning));
}

function joinNew(turn: Turn, requestId: number, request: JoinRequest): void {
  const { group, now } = turn;
  const memberId = newMemberId(group, request);
  const replaced = request.instanceId === null ? undefined : group.staticMembers.get(request.instanceId);
  if (replaced !== undefined) {
    replaceStatic(turn, requestId, { request, oldMemberId: replaced, memberId });
  } else if (request.instanceId === null && request.needsKnownMemberId) {
    const deadlineMs = now.monotonicMs + request.sessionTimeoutMs;
    group.pendingMembers.set(memberId, deadlineMs);
    ensureTimer(turn, memberTimer(memberId), deadlineMs);
    reply(turn, requestId, refusedJoin(ErrorCode.MEMBER_ID_REQUIRED, memberId));
  } else {
    addMember(turn, request, { requestId, memberId });
  }
}

/** As Kafka makes them, the instance's or client's name first; that is cut so that the whole is a valid member id. */
function newMemberId(group: GroupState, { instanceId, clientId, uuid }: JoinRequest): string {
  const nameCharactersMax = group.settings.memberIdCharactersMax - uuid.length - 1;
  const name = (instanceId ?? clientId).slice(0, nameCharactersMax).replace(/[\ud800-\udbff]$/, "");
  return `${name}-${uuid}`;
}

function joinKnown(turn: Turn, requestId: number, request: JoinRequest): void {
  const { group } = turn;
  if (group.pendingMembers.has(request.memberId) && request.instanceId === null) {
    group.pendingMembers.delete(request.memberId);
    addMember(turn, request, { requestId, memberId: request.memberId });
    return;
  }
  const refusal = validateMember(group, request);
  const member = group.members.get(request.memberId);
  if (refusal !== ErrorCode.NONE || !member) {
    reply(turn, requestId, refusedJoin(refusal, request.memberId));
    return;
  }
  if (needsRebalance(group, member, request)) {
    updateMember(member, request);
    park(turn, requestId, member);
    rebalance(turn);
    return;
  }
  touch(turn, member);
  reply(turn, requestId, grantedJoin(group, member));
}

/** A member that repeats itself is told of the generation it is in; a leader that joins again asks for a new one. */
function needsRebalance(group: GroupState, member: GroupMember, request: JoinRequest): boolean {
  if (group.phase === "PreparingRebalance") return true;
  const isLeaderAgain = group.phase === "Stable" && group.leaderId === member.memberId;
  return isLeaderAgain || !isSameProtocols(member.protocols, request.protocols);
}

function isSameProtocols(left: readonly GroupProtocol[], right: readonly GroupProtocol[]): boolean {
  return (
    left.length === right.length &&
    left.every((protocol, index) => {
      const other = right[index];
      return other?.name === protocol.name && Buffer.compare(protocol.metadata, other.metadata) === 0;
    })
  );
}

function addMember(turn: Turn, request: JoinRequest, own: { requestId: number; memberId: string }): void {
  const { requestId, memberId } = own;
  const { group } = turn;
  if (group.members.size === 0) group.protocolType = request.protocolType;
  stopExpiry(turn);
  const member: GroupMember = {
    memberId,
    instanceId: request.instanceId,
    clientId: request.clientId,
    clientHost: request.clientHost,
    sessionTimeoutMs: request.sessionTimeoutMs,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    protocols: copyProtocols(request.protocols),
    protocolBytes: protocolBytes(request.protocols),
    assignment: NO_BYTES,
    isNew: true,
    owesSync: false,
    joinRequestId: undefined,
    syncRequestId: undefined,
    deadlineMs: 0,
  };
  group.members.set(memberId, member);
  group.leaderId ??= memberId;
  if (member.instanceId !== null) group.staticMembers.set(member.instanceId, memberId);
  if (group.initialDelay) group.initialDelay.hasNewMember = true;
  park(turn, requestId, member);
  touch(turn, member, group.settings.newMemberJoinTimeoutMs);
  rebalance(turn);
}

/** Requests are views of their frames: what is kept is copied. */
function copyProtocols(protocols: readonly GroupProtocol[]): GroupProtocol[] {
  return protocols.map(({ name, metadata }) => ({ name, metadata: new Uint8Array(metadata) }));
}

function updateMember(member: GroupMember, request: JoinRequest): void {
  member.protocols = copyProtocols(request.protocols);
  member.protocolBytes = protocolBytes(request.protocols);
  member.sessionTimeoutMs = request.sessionTimeoutMs;
  member.rebalanceTimeoutMs = request.rebalanceTimeoutMs;
}

/** A member has one join at a time: one that is sent again takes the place of the one before. */
function park(turn: Turn, requestId: number, member: GroupMember): void {
  answerJoin(turn, member, refusedJoin(ErrorCode.REBALANCE_IN_PROGRESS, member.memberId));
  member.joinRequestId = requestId;
}

interface Replacement {
  readonly request: JoinRequest;
  readonly oldMemberId: string;
  readonly memberId: string;
}

/** A static member came back without its id: it gets a new one, and whoever still uses the old one is fenced. */
function replaceStatic(turn: Turn, requestId: number, replacement: Replacement): void {
  const { group } = turn;
  const { request, oldMemberId } = replacement;
  const wasLeader = group.leaderId === oldMemberId;
  const member = renameMember(turn, replacement);
  updateMember(member, request);
  touch(turn, member);
  if (group.phase !== "Stable" || chooseProtocol(group) !== group.protocolName) {
    park(turn, requestId, member);
    rebalance(turn);
    return;
  }
  persistGroup(turn);
  // A leader that cannot be told to skip the assignment is told that somebody else leads: it must not assign anew.
  const isToldToSkip = wasLeader && request.canSkipAssignment;
  reply(turn, requestId, {
    ...grantedJoin(group, member),
    leaderId: wasLeader && !request.canSkipAssignment ? oldMemberId : (group.leaderId ?? ""),
    skipAssignment: isToldToSkip,
    members: isToldToSkip ? joinedMembers(group) : [],
  });
}

function renameMember(turn: Turn, { request, oldMemberId, memberId }: Replacement): GroupMember {
  const { group } = turn;
  const old = group.members.get(oldMemberId);
  invariant(old && request.instanceId !== null, `static member ${oldMemberId} of group ${group.groupId} is missing`);
  answerJoin(turn, old, refusedJoin(ErrorCode.FENCED_INSTANCE_ID, oldMemberId));
  answerSync(turn, old, ErrorCode.FENCED_INSTANCE_ID);
  cancel(turn, memberTimer(oldMemberId));
  const { clientId, clientHost } = request;
  const member = { ...old, memberId, clientId, clientHost };
  group.members.delete(oldMemberId);
  group.members.set(memberId, member);
  group.staticMembers.set(request.instanceId, memberId);
  if (group.leaderId === oldMemberId) group.leaderId = memberId;
  return member;
}
