// Names and limits of requests, each at the limit and one past it.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { GroupRequest, JoinRequest } from "../../src/group/group.ts";
import { validateGroupId, validateRequest } from "../../src/group/group-members.ts";
import { defaultGroupSettings as settings } from "../../src/group/group-settings.ts";
import { errorCodeOf } from "../../src/kafka-error.ts";

const join: JoinRequest = {
  type: "join",
  memberId: "",
  instanceId: null,
  clientId: "c",
  clientHost: "/h",
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 60_000,
  protocolType: "consumer",
  protocols: [{ name: "range", metadata: new Uint8Array(0) }],
  needsKnownMemberId: false,
  canSkipAssignment: false,
  uuid: "u",
};

function codeOf(run: () => void): ErrorCode {
  try {
    run();
    return ErrorCode.NONE;
  } catch (error) {
    return errorCodeOf(error);
  }
}

const requestCode = (request: GroupRequest) => codeOf(() => validateRequest(request, settings));
const groupIdCode = (groupId: string, request: GroupRequest) =>
  codeOf(() => validateGroupId(groupId, request, settings));

describe("names and limits of group requests", () => {
  it("a group id has 1 to 249 characters and no control characters", () => {
    expect(groupIdCode("g".repeat(249), join)).toBe(ErrorCode.NONE);
    expect(groupIdCode("g".repeat(250), join)).toBe(ErrorCode.INVALID_GROUP_ID);
    expect(groupIdCode("", join)).toBe(ErrorCode.INVALID_GROUP_ID);
    expect(groupIdCode("a\u0000b", join)).toBe(ErrorCode.INVALID_GROUP_ID);
    expect(groupIdCode("a\u007fb", join)).toBe(ErrorCode.INVALID_GROUP_ID);
    expect(groupIdCode("grüße 群", join)).toBe(ErrorCode.NONE);
  });

  it("the empty group id still has offsets, as old consumers use it", () => {
    expect(groupIdCode("", { type: "fetch-offsets", partitions: null })).toBe(ErrorCode.NONE);
    expect(groupIdCode("", { type: "describe" })).toBe(ErrorCode.NONE);
  });

  it("a session lasts 6 seconds to 30 minutes", () => {
    expect(requestCode({ ...join, sessionTimeoutMs: 6_000 })).toBe(ErrorCode.NONE);
    expect(requestCode({ ...join, sessionTimeoutMs: 5_999 })).toBe(ErrorCode.INVALID_SESSION_TIMEOUT);
    expect(requestCode({ ...join, sessionTimeoutMs: 1_800_000 })).toBe(ErrorCode.NONE);
    expect(requestCode({ ...join, sessionTimeoutMs: 1_800_001 })).toBe(ErrorCode.INVALID_SESSION_TIMEOUT);
  });

  it("member and client ids have at most 255 characters, instance ids 249", () => {
    expect(requestCode({ ...join, memberId: "m".repeat(255) })).toBe(ErrorCode.NONE);
    expect(requestCode({ ...join, memberId: "m".repeat(256) })).toBe(ErrorCode.INVALID_REQUEST);
    expect(requestCode({ ...join, clientId: "c".repeat(255) })).toBe(ErrorCode.NONE);
    expect(requestCode({ ...join, clientId: "c".repeat(256) })).toBe(ErrorCode.INVALID_REQUEST);
    expect(requestCode({ ...join, instanceId: "i".repeat(249) })).toBe(ErrorCode.NONE);
    expect(requestCode({ ...join, instanceId: "i".repeat(250) })).toBe(ErrorCode.INVALID_REQUEST);
    const members = [{ memberId: "a\nb", instanceId: null }];
    expect(requestCode({ type: "leave", members })).toBe(ErrorCode.INVALID_REQUEST);
    const heartbeat = { type: "heartbeat", memberId: "m".repeat(256), instanceId: null, generation: 1 } as const;
    expect(requestCode(heartbeat)).toBe(ErrorCode.INVALID_REQUEST);
  });

  it("a member names at most 64 protocols", () => {
    const protocols = Array.from({ length: 64 }, (_, index) => ({ name: `p${index}`, metadata: new Uint8Array(0) }));
    expect(requestCode({ ...join, protocols })).toBe(ErrorCode.NONE);
    expect(requestCode({ ...join, protocols: [...protocols, ...join.protocols] })).toBe(ErrorCode.INVALID_REQUEST);
  });

  it("protocols have names and types of at most 255 characters", () => {
    const named = (name: string) => ({ ...join, protocols: [{ name, metadata: new Uint8Array(0) }] });
    expect(requestCode(named("p".repeat(255)))).toBe(ErrorCode.NONE);
    expect(requestCode(named("p".repeat(256)))).toBe(ErrorCode.INVALID_REQUEST);
    expect(requestCode({ ...join, protocolType: "t".repeat(255) })).toBe(ErrorCode.NONE);
    expect(requestCode({ ...join, protocolType: "t".repeat(256) })).toBe(ErrorCode.INVALID_REQUEST);
  });
});
