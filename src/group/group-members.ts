// Who is a member: the check every request of a member passes, and the limits on the names that requests carry.
// Refuses unknown members, static members that were replaced, and names that are too long or not text.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";
import type { GroupProtocol, GroupRequest, GroupState, JoinRequest, LeavingMember } from "./group.ts";
import type { GroupSettings } from "./group-settings.ts";

/** NONE for a member; UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID when another process took its instance id over. */
export function validateMember(group: GroupState, member: LeavingMember): ErrorCode {
  if (member.instanceId === null) {
    return group.members.has(member.memberId) ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID;
  }
  const memberId = group.staticMembers.get(member.instanceId);
  if (memberId === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
  return memberId === member.memberId ? ErrorCode.NONE : ErrorCode.FENCED_INSTANCE_ID;
}

/** What a protocol costs besides its bytes, so that empty ones are not free. */
const PROTOCOL_BYTES = 16;

/** What a member's protocols count against the limits. */
export function protocolBytes(protocols: readonly GroupProtocol[]): number {
  let bytes = 0;
  for (const { name, metadata } of protocols) bytes += PROTOCOL_BYTES + Buffer.byteLength(name) + metadata.length;
  return bytes;
}

/** Characters that break terminals, logs and metrics. */
function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || (unit >= 0x7f && unit < 0xa0)) return true;
  }
  return false;
}

/**
 * Checks the name of a group. Memberships need one; offsets can be kept under the empty name, as old consumers do.
 * @throws KafkaError INVALID_GROUP_ID
 */
export function validateGroupId(groupId: string, request: GroupRequest, settings: GroupSettings): void {
  const needsName = request.type !== "commit" && request.type !== "fetch-offsets" && request.type !== "describe";
  const isTooLong = groupId.length > settings.groupIdCharactersMax;
  if ((needsName && groupId === "") || isTooLong || hasControlCharacter(groupId)) {
    const text = `a group id has 1 to ${settings.groupIdCharactersMax} characters without control characters`;
    throw new KafkaError(ErrorCode.INVALID_GROUP_ID, text);
  }
}

/**
 * Checks the names and sizes a request brings along, whatever the state of the group.
 * @throws KafkaError INVALID_REQUEST, INVALID_SESSION_TIMEOUT
 */
export function validateRequest(request: GroupRequest, settings: GroupSettings): void {
  switch (request.type) {
    case "join":
      validateSessionTimeout(request.sessionTimeoutMs, settings);
      validateMemberNames(request, settings);
      validateName("client id", request.clientId, settings.clientIdCharactersMax);
      validateProtocols(request, settings);
      break;
    case "sync":
    case "heartbeat":
    case "commit":
      validateMemberNames(request, settings);
      break;
    case "leave":
      for (const member of request.members) validateMemberNames(member, settings);
      break;
    case "fetch-offsets":
    case "describe":
      break;
  }
}

function validateSessionTimeout(sessionTimeoutMs: number, settings: GroupSettings): void {
  const { sessionTimeoutMinMs, sessionTimeoutMaxMs } = settings;
  if (sessionTimeoutMs >= sessionTimeoutMinMs && sessionTimeoutMs <= sessionTimeoutMaxMs) return;
  const text = `session timeout ${sessionTimeoutMs} ms is outside ${sessionTimeoutMinMs} to ${sessionTimeoutMaxMs} ms`;
  throw new KafkaError(ErrorCode.INVALID_SESSION_TIMEOUT, text);
}

function validateProtocols({ protocolType, protocols }: JoinRequest, settings: GroupSettings): void {
  const { memberProtocolsMax, protocolNameCharactersMax } = settings;
  if (protocols.length > memberProtocolsMax) {
    throw new KafkaError(ErrorCode.INVALID_REQUEST, `a member names at most ${memberProtocolsMax} protocols`);
  }
  validateName("protocol type", protocolType, protocolNameCharactersMax);
  for (const { name } of protocols) validateName("protocol name", name, protocolNameCharactersMax);
}

function validateMemberNames(member: LeavingMember, settings: GroupSettings): void {
  validateName("member id", member.memberId, settings.memberIdCharactersMax);
  if (member.instanceId !== null) {
    validateName("group instance id", member.instanceId, settings.instanceIdCharactersMax);
  }
}

function validateName(what: string, text: string, charactersMax: number): void {
  if (text.length <= charactersMax && !hasControlCharacter(text)) return;
  const rule = `a ${what} has at most ${charactersMax} characters without control characters`;
  throw new KafkaError(ErrorCode.INVALID_REQUEST, rule);
}
