// Joins at the limits of a production broker: members of a group, bytes of a member and of a group.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { join } from "../../src/group/classic-join.ts";
import { createGroup, type GroupEffect, type GroupState, type JoinReply } from "../../src/group/group.ts";
import { defaultGroupSettings as settings } from "../../src/group/group-settings.ts";
import { joinOf } from "./test-cluster.ts";

const NOW = { monotonicMs: 0, wallMs: 1_000_000_000_000 };

let lastRequestId = 0;

/** The answer to a join, undefined while it is parked. */
function answerOf(group: GroupState, request: ReturnType<typeof joinOf>): JoinReply | undefined {
  const effects: GroupEffect[] = [];
  const requestId = ++lastRequestId;
  join({ group, now: NOW, effects }, requestId, request);
  const answer = effects.find((effect) => effect.type === "reply" && effect.requestId === requestId);
  return answer?.type === "reply" ? (answer.reply as JoinReply) : undefined;
}

const protocolsOf = (bytes: number) => [{ name: "range", metadata: new Uint8Array(bytes) }];

describe("a group", () => {
  it("has at most 1,000 members, and as many ids given out", () => {
    const group = createGroup("g", settings);
    for (let n = 0; n < 1_000; n++) expect(answerOf(group, joinOf({ uuid: String(n) }))).toBeUndefined();
    expect(answerOf(group, joinOf({ uuid: "one more" }))?.errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED);
    const other = createGroup("h", settings);
    for (let n = 0; n < 1_000; n++) {
      const code = answerOf(other, joinOf({ uuid: String(n), needsKnownMemberId: true }))?.errorCode;
      expect(code).toBe(ErrorCode.MEMBER_ID_REQUIRED);
    }
    const oneMore = joinOf({ uuid: "one more", needsKnownMemberId: true });
    expect(answerOf(other, oneMore)?.errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED);
    expect(answerOf(other, joinOf({ memberId: "c-0", needsKnownMemberId: true })), "a given-out id has its place").toBe(
      undefined,
    );
  });

  it("has members of at most 1 MiB of protocols, names and 16 bytes each counted", () => {
    const group = createGroup("g", settings);
    const most = 1024 * 1024 - 16 - "range".length;
    expect(answerOf(group, joinOf({ protocols: protocolsOf(most + 1) }))?.errorCode).toBe(ErrorCode.INVALID_REQUEST);
    expect(answerOf(group, joinOf({ protocols: protocolsOf(most) }))).toBeUndefined();
  });

  it("has at most 8 MiB of protocols in all", () => {
    const group = createGroup("g", settings);
    const protocols = protocolsOf(1024 * 1024 - 16 - "range".length);
    for (let n = 0; n < 8; n++) expect(answerOf(group, joinOf({ uuid: String(n), protocols }))).toBeUndefined();
    const oneMore = joinOf({ uuid: "8", protocols: protocolsOf(0) });
    expect(answerOf(group, oneMore)?.errorCode).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    const instead = joinOf({ memberId: "c-0", protocols });
    expect(answerOf(group, instead)?.errorCode, "its old protocols do not count").toBe(undefined);
  });

  it("keeps copies of what a request's frame holds", () => {
    const group = createGroup("g", settings);
    const frame = Uint8Array.of(1, 2, 3);
    answerOf(group, joinOf({ protocols: [{ name: "range", metadata: frame.subarray(1) }] }));
    frame.fill(9);
    expect(group.members.get("c-1")?.protocols[0]?.metadata).toEqual(Uint8Array.of(2, 3));
  });
});
