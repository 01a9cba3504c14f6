// The rebalance of a classic group: when it starts, whom it waits for, when it completes and who is removed on the way.
// Pure; refuses nothing: callers have validated the request that led here.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { invariant } from "../invariant.ts";
import type { GroupMember, GroupState, JoinedMember, JoinReply } from "./group.ts";
import { ensureExpiryTimer } from "./group-offsets.ts";
import {
  cancel,
  enterPhase,
  memberTimer,
  persistGroup,
  reply,
  schedule,
  subscriptionOf,
  type Turn,
  touch,
} from "./group-turn.ts";

/** Name of the timer that ends the wait for joins. */
export const JOIN_TIMER = "join";
/** Name of the timer that ends the wait for syncs. */
export const SYNC_TIMER = "sync";
const GENERATION_MAX = 0x7fff_ffff;
const NO_BYTES = new Uint8Array(0);

/** The answer of a join that failed. */
export function refusedJoin(errorCode: ErrorCode, memberId: string): JoinReply {
  return {
    errorCode,
    memberId,
    generation: -1,
    protocolType: null,
    protocolName: null,
    leaderId: "",
    skipAssignment: false,
    members: [],
  };
}

/** The answer that tells `member` of the present generation. */
export function grantedJoin(group: GroupState, member: GroupMember): JoinReply {
  return {
    errorCode: ErrorCode.NONE,
    memberId: member.memberId,
    generation: group.generation,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leaderId: group.leaderId ?? "",
    skipAssignment: false,
    members: group.leaderId === member.memberId ? joinedMembers(group) : [],
  };
}

/** What the leader is told of everybody. */
export function joinedMembers(group: GroupState): JoinedMember[] {
  return [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    instanceId: member.instanceId,
    metadata: subscriptionOf(group, member),
  }));
}

/** Answers a member's parked join, if it has one. */
export function answerJoin(turn: Turn, member: GroupMember, body: JoinReply): void {
  if (member.joinRequestId === undefined) return;
  reply(turn, member.joinRequestId, body);
  member.joinRequestId = undefined;
}

/** Answers a member's parked sync, if it has one: its assignment, or an error and nothing. */
export function answerSync(turn: Turn, member: GroupMember, errorCode: ErrorCode): void {
  if (member.syncRequestId === undefined) return;
  const { protocolType, protocolName } = turn.group;
  const isGranted = errorCode === ErrorCode.NONE;
  reply(turn, member.syncRequestId, {
    errorCode,
    protocolType: isGranted ? protocolType : null,
    protocolName: isGranted ? protocolName : null,
    assignment: isGranted ? member.assignment : NO_BYTES,
  });
  member.syncRequestId = undefined;
}

/** The longest time a member asked others to wait for it. */
export function rebalanceTimeoutMs(group: GroupState): number {
  let longest = 0;
  for (const member of group.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs);
  return longest;
}

/** Starts a rebalance unless one is under way; completes it at once when nobody is missing. */
export function rebalance(turn: Turn): void {
  const { group } = turn;
  if (group.phase === "PreparingRebalance") {
    completeJoinIfReady(turn);
    return;
  }
  if (group.phase === "CompletingRebalance") abandonSyncs(turn);
  cancel(turn, SYNC_TIMER);
  const isInitial = group.phase === "Empty";
  enterPhase(turn, "PreparingRebalance");
  if (isInitial) {
    const delayMs = group.settings.initialRebalanceDelayMs;
    const remainingMs = Math.max(rebalanceTimeoutMs(group) - delayMs, 0);
    group.initialDelay = { hasNewMember: false, delayMs, remainingMs };
    schedule(turn, JOIN_TIMER, delayMs);
  } else if (haveAllJoined(group)) {
    completeJoin(turn);
  } else {
    schedule(turn, JOIN_TIMER, rebalanceTimeoutMs(group));
  }
}

/** Whoever waits for its assignment has to join again: the one being made is void. */
function abandonSyncs(turn: Turn): void {
  for (const member of turn.group.members.values()) {
    member.assignment = NO_BYTES;
    if (member.syncRequestId === undefined) continue;
    answerSync(turn, member, ErrorCode.REBALANCE_IN_PROGRESS);
    touch(turn, member);
  }
}

/** Completes the rebalance when everybody known has joined; the first one of a group waits for its delay instead. */
export function completeJoinIfReady(turn: Turn): void {
  const { group } = turn;
  if (group.phase !== "PreparingRebalance" || group.initialDelay) return;
  if (haveAllJoined(group)) completeJoin(turn);
}

function haveAllJoined(group: GroupState): boolean {
  if (group.pendingMembers.size > 0) return false;
  for (const member of group.members.values()) if (member.joinRequestId === undefined) return false;
  return true;
}

/** The wait for joins is over, or, in a first rebalance that still grows, extended. */
export function onJoinTimer(turn: Turn): void {
  const { group } = turn;
  invariant(group.phase === "PreparingRebalance", `join timer of group ${group.groupId} fired in ${group.phase}`);
  const delay = group.initialDelay;
  if (!delay?.hasNewMember || delay.remainingMs === 0) {
    completeJoin(turn);
    return;
  }
  const extendedMs = Math.min(group.settings.initialRebalanceDelayMs, delay.remainingMs);
  const remainingMs = Math.max(delay.remainingMs - delay.delayMs, 0);
  group.initialDelay = { hasNewMember: false, delayMs: extendedMs, remainingMs };
  schedule(turn, JOIN_TIMER, extendedMs);
}

/** Starts the next generation with whoever joined; static members stay even when they did not. */
function completeJoin(turn: Turn): void {
  const { group } = turn;
  cancel(turn, JOIN_TIMER);
  group.initialDelay = undefined;
  for (const member of [...group.members.values()]) {
    if (member.joinRequestId === undefined && member.instanceId === null) removeMember(turn, member);
  }
  if (group.members.size > 0 && !hasJoinedLeader(group)) {
    // Only static members that are away are left. Their sessions decide how long the group waits for them.
    schedule(turn, JOIN_TIMER, rebalanceTimeoutMs(group));
    return;
  }
  group.generation = group.generation === GENERATION_MAX ? 1 : group.generation + 1;
  if (group.members.size === 0) becomeEmpty(turn);
  else startGeneration(turn);
}

function becomeEmpty(turn: Turn): void {
  turn.group.protocolName = null;
  enterPhase(turn, "Empty");
  persistGroup(turn);
  ensureExpiryTimer(turn);
}

function startGeneration(turn: Turn): void {
  const { group } = turn;
  group.protocolName = chooseProtocol(group);
  enterPhase(turn, "CompletingRebalance");
  for (const member of group.members.values()) {
    member.assignment = NO_BYTES;
    answerJoin(turn, member, grantedJoin(group, member));
    member.isNew = false;
    member.owesSync = true;
    touch(turn, member);
  }
  schedule(turn, SYNC_TIMER, rebalanceTimeoutMs(group));
}

/** Makes sure that the leader is a member that joined; false when nobody did. */
function hasJoinedLeader(group: GroupState): boolean {
  const leader = group.members.get(group.leaderId ?? "");
  if (leader?.joinRequestId !== undefined) return true;
  for (const member of group.members.values()) {
    if (member.joinRequestId === undefined) continue;
    group.leaderId = member.memberId;
    return true;
  }
  return false;
}

/** The protocol with the most first votes among those that every member knows; the first one voted for wins a draw. */
export function chooseProtocol(group: GroupState): string {
  const [first] = group.members.values();
  const known = first?.protocols.map(({ name }) => name).filter((name) => isKnownToAll(group, name));
  const candidates = new Set(known);
  const votes = new Map<string, number>();
  for (const member of group.members.values()) {
    const vote = member.protocols.find(({ name }) => candidates.has(name));
    invariant(vote, `members of group ${group.groupId} have no protocol in common`);
    votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1);
  }
  let chosen = "";
  let most = 0;
  for (const [name, count] of votes) {
    if (count <= most) continue;
    chosen = name;
    most = count;
  }
  return chosen;
}

/** Whether every member, `except` aside, can work with the protocol. */
export function isKnownToAll(group: GroupState, name: string, except?: GroupMember): boolean {
  for (const member of group.members.values()) {
    if (member !== except && !member.protocols.some((protocol) => protocol.name === name)) return false;
  }
  return true;
}

/** The wait for syncs is over: whoever owes one is removed. */
export function onSyncTimer(turn: Turn): void {
  const { group } = turn;
  const owing = [...group.members.values()].filter((member) => member.owesSync);
  for (const member of owing) removeMember(turn, member);
  if (owing.length > 0) rebalance(turn);
}

/** A session ended: of a member, or of an id that was given out and never came back. Parked requests keep it alive. */
export function onMemberTimer(turn: Turn, memberId: string): void {
  const { group, now } = turn;
  const pendingDeadlineMs = group.pendingMembers.get(memberId);
  if (pendingDeadlineMs !== undefined) {
    group.pendingMembers.delete(memberId);
    completeJoinIfReady(turn);
    return;
  }
  const member = group.members.get(memberId);
  if (!member) return;
  const isParked = member.joinRequestId !== undefined || member.syncRequestId !== undefined;
  if (isParked && !member.isNew) return; // The answer starts the next session.
  if (now.monotonicMs < member.deadlineMs) {
    schedule(turn, memberTimer(memberId), member.deadlineMs - now.monotonicMs);
    return;
  }
  removeMember(turn, member);
  rebalance(turn);
}

/** Takes a member out and answers what it has parked; the caller starts or completes the rebalance. */
export function removeMember(turn: Turn, member: GroupMember): void {
  const { group } = turn;
  answerJoin(turn, member, refusedJoin(ErrorCode.UNKNOWN_MEMBER_ID, ""));
  answerSync(turn, member, ErrorCode.UNKNOWN_MEMBER_ID);
  group.members.delete(member.memberId);
  if (member.instanceId !== null) group.staticMembers.delete(member.instanceId);
  if (group.leaderId === member.memberId) group.leaderId = group.members.keys().next().value ?? null;
  cancel(turn, memberTimer(member.memberId));
}
