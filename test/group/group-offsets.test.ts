// Commits at their limits: the text beside an offset, the age at which the same commit is written again, the retention.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { step } from "../../src/group/classic-machine.ts";
import type { CommitReply, CommitRequest, GroupRecord, GroupState, Instant } from "../../src/group/group.ts";
import { createGroup } from "../../src/group/group.ts";
import { allOffsets } from "../../src/group/group-offsets.ts";
import { defaultGroupSettings as settings } from "../../src/group/group-settings.ts";
import { commitOf } from "./test-cluster.ts";

const at = (ms: number): Instant => ({ monotonicMs: ms, wallMs: 1_000_000_000_000 + ms });

function commit(group: GroupState, request: CommitRequest, now: Instant): { reply: CommitReply; kept: GroupRecord[] } {
  const { effects } = step(group, { type: "request", requestId: 1, request }, now);
  const replies = effects.flatMap((effect) => (effect.type === "reply" ? [effect.reply as CommitReply] : []));
  const kept = effects.flatMap((effect) => (effect.type === "persist" ? effect.records : []));
  return { reply: replies[0] ?? { errorCodes: [] }, kept };
}

function withMetadata(metadata: string): CommitRequest {
  const request = commitOf(1);
  return { ...request, partitions: request.partitions.map((partition) => ({ ...partition, metadata })) };
}

describe("commits", () => {
  it("carry 4,096 bytes of text, counted as UTF-8", () => {
    const group = createGroup("g", settings);
    const codes = (metadata: string) => commit(group, withMetadata(metadata), at(0)).reply.errorCodes;
    expect(codes("x".repeat(4_096))).toEqual([ErrorCode.NONE]);
    expect(codes("x".repeat(4_097))).toEqual([ErrorCode.OFFSET_METADATA_TOO_LARGE]);
    expect(codes("ä".repeat(2_048))).toEqual([ErrorCode.NONE]);
    expect(codes("ä".repeat(2_049))).toEqual([ErrorCode.OFFSET_METADATA_TOO_LARGE]);
  });

  it("that change nothing are written again when a quarter of the retention has passed", () => {
    const group = createGroup("g", settings);
    const quarterMs = settings.offsetsRetentionMs / 4;
    expect(commit(group, commitOf(5), at(0)).kept).toHaveLength(1);
    expect(commit(group, commitOf(5), at(quarterMs - 1)).kept).toHaveLength(0);
    expect(commit(group, commitOf(5), at(quarterMs)).kept).toHaveLength(1);
  });

  it("refuse one partition without the others", () => {
    const group = createGroup("g", settings);
    const [partition] = commitOf(7).partitions;
    if (!partition) throw new Error("a commit has a partition");
    const tooLong = { ...partition, partition: 1, metadata: "x".repeat(5_000) };
    const { reply } = commit(group, { ...commitOf(7), partitions: [tooLong, partition] }, at(0));
    expect(reply.errorCodes).toEqual([ErrorCode.OFFSET_METADATA_TOO_LARGE, ErrorCode.NONE]);
    expect(allOffsets(group).map((offset) => offset.partition)).toEqual([0]);
  });

  it("keep a retention of any length without a timer that overflows", () => {
    const group = createGroup("g", settings);
    const { effects } = step(
      group,
      { type: "request", requestId: 1, request: commitOf(1, { retentionMs: Number.MAX_SAFE_INTEGER }) },
      at(0),
    );
    const delays = effects.flatMap((effect) => (effect.type === "schedule" ? [effect.delayMs] : []));
    expect(delays).toEqual([settings.timerDelayMaxMs]);
  });
});
