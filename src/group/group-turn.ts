// One step of a group while it runs: the group, the moment, and the effects gathered so far. The machine's verbs for
// answering, keeping and timing live here, so that the rules read as rules.
import type {
  GroupEffect,
  GroupMember,
  GroupPhase,
  GroupRecord,
  GroupReply,
  GroupState,
  Instant,
  RecordedGroup,
} from "./group.ts";

/** What every rule of the machine gets. */
export interface Turn {
  readonly group: GroupState;
  readonly now: Instant;
  readonly effects: GroupEffect[];
}

/** Answers a request. The caller takes it off whoever had it parked. */
export function reply(turn: Turn, requestId: number, body: GroupReply): void {
  turn.effects.push({ type: "reply", requestId, reply: body });
}

/** Keeps records; answers given in the same step wait for them. */
export function persist(turn: Turn, records: readonly GroupRecord[]): void {
  if (records.length > 0) turn.effects.push({ type: "persist", records });
}

/** Keeps the group as it is now. */
export function persistGroup(turn: Turn): void {
  turn.group.isRecorded = true;
  persist(turn, [{ type: "group", group: recordedGroup(turn.group) }]);
}

/** A snapshot of what a restart comes back to. */
export function recordedGroup(group: GroupState): RecordedGroup {
  return {
    protocolType: group.protocolType ?? "",
    generation: group.generation,
    protocolName: group.protocolName,
    leaderId: group.leaderId,
    phaseSinceMs: group.phaseSinceMs,
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      sessionTimeoutMs: member.sessionTimeoutMs,
      subscription: subscriptionOf(group, member),
      assignment: member.assignment,
    })),
  };
}

const NO_BYTES = new Uint8Array(0);

/** The member's blob of the protocol that was chosen; empty before one was. */
export function subscriptionOf(group: GroupState, member: GroupMember): Uint8Array {
  return member.protocols.find((protocol) => protocol.name === group.protocolName)?.metadata ?? NO_BYTES;
}

/** Changes the phase and dates the change. */
export function enterPhase(turn: Turn, phase: GroupPhase): void {
  turn.group.phase = phase;
  turn.group.phaseSinceMs = turn.now.wallMs;
}

/** Arms the timer `key` for `delayMs` from now, in place of the one before. */
export function schedule(turn: Turn, key: string, delayMs: number): void {
  const { group, now } = turn;
  const bounded = Math.min(Math.max(delayMs, 0), group.settings.timerDelayMaxMs);
  const token = ++group.lastTimerToken;
  group.timers.set(key, { token, dueMs: now.monotonicMs + bounded });
  turn.effects.push({ type: "schedule", key, token, delayMs: bounded });
}

/** Disarms the timer `key` if it is armed. */
export function cancel(turn: Turn, key: string): void {
  if (turn.group.timers.delete(key)) turn.effects.push({ type: "cancel", key });
}

/** Makes sure that the timer `key` fires at `deadlineMs` or before: an earlier one looks again and arms itself anew. */
export function ensureTimer(turn: Turn, key: string, deadlineMs: number): void {
  const armed = turn.group.timers.get(key);
  if (!armed || armed.dueMs > deadlineMs) schedule(turn, key, deadlineMs - turn.now.monotonicMs);
}

/** Name of the timer that watches a member or a given-out id. */
export function memberTimer(memberId: string): string {
  return `member:${memberId}`;
}

/** A sign of life: the session lasts `timeoutMs` from now. */
export function touch(turn: Turn, member: GroupMember, timeoutMs: number = member.sessionTimeoutMs): void {
  member.deadlineMs = turn.now.monotonicMs + timeoutMs;
  ensureTimer(turn, memberTimer(member.memberId), member.deadlineMs);
}
