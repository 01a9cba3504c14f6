// The committed offsets of a group: who may commit, what is read back, and when offsets and the group itself expire.
// Pure. A missing offset is not an error; an offset of a deleted topic's id is a missing one.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { type TimestampMs, type TopicId, ZERO_TOPIC_ID } from "../topic-partition.ts";
import type {
  CommitPartition,
  CommitReply,
  CommitRequest,
  CommittedOffset,
  FetchOffsetsReply,
  FetchOffsetsRequest,
  GroupRecord,
  GroupState,
  PartitionOffset,
} from "./group.ts";
import { validateMember } from "./group-members.ts";
import { cancel, ensureTimer, enterPhase, persist, type Turn, touch } from "./group-turn.ts";

/** Name of the timer that looks for expired offsets, and for an empty group to forget. */
export const EXPIRY_TIMER = "expiry";
/** A commit that changes nothing is written again once the kept one is this part of the retention old. */
const REFRESHES_PER_RETENTION = 4;

/** Whether nothing is left that anybody could ask for: the group is as if it never was. */
export function isForgettable(group: GroupState): boolean {
  return group.members.size === 0 && group.pendingMembers.size === 0 && group.offsets.size === 0 && !group.isRecorded;
}

/** Commits offsets: all for a refused caller, else one by one. */
export function commitOffsets(turn: Turn, request: CommitRequest): CommitReply {
  const refusal = refuseCommit(turn.group, request);
  if (refusal !== ErrorCode.NONE) return { errorCodes: request.partitions.map(() => refusal) };
  const member = turn.group.members.get(request.memberId);
  if (member) touch(turn, member);
  const records: GroupRecord[] = [];
  const errorCodes = request.partitions.map((partition) => {
    if (Buffer.byteLength(partition.metadata) > turn.group.settings.offsetMetadataBytesMax) {
      return ErrorCode.OFFSET_METADATA_TOO_LARGE;
    }
    const record = commitPartition(turn, partition, request.retentionMs);
    if (record) records.push(record);
    return ErrorCode.NONE;
  });
  persist(turn, records);
  if (records.length > 0 && !isTimerSoonEnough(turn, request)) ensureExpiryTimer(turn);
  return { errorCodes };
}

/** An armed timer never fires too late for offsets that expire by the broker's retention: it looks, and arms itself anew. */
function isTimerSoonEnough(turn: Turn, request: CommitRequest): boolean {
  const hasOwnTimes = request.retentionMs !== -1 || request.partitions.some((asked) => asked.commitTimestampMs !== -1);
  return turn.group.timers.has(EXPIRY_TIMER) && !hasOwnTimes;
}

/** Why the whole commit is refused. Members commit in their generation; anybody else only where nobody is a member. */
function refuseCommit(group: GroupState, request: CommitRequest): ErrorCode {
  const isSimple = request.generation < 0 && request.memberId === "" && request.instanceId === null;
  if (isForgettable(group)) return request.generation < 0 ? ErrorCode.NONE : request.unknownGroupCode;
  if (group.phase === "Empty" && request.generation < 0) return ErrorCode.NONE;
  if (isSimple) return ErrorCode.UNKNOWN_MEMBER_ID;
  const refusal = validateMember(group, request);
  if (refusal !== ErrorCode.NONE) return refusal;
  if (request.generation !== group.generation) return ErrorCode.ILLEGAL_GENERATION;
  // The member knows the new generation already, but what it was assigned in it is not decided yet.
  return group.phase === "CompletingRebalance" ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE;
}

/** Takes one offset in; the record to keep, or undefined when the kept one says the same and is young enough. */
function commitPartition(turn: Turn, asked: CommitPartition, retentionMs: number): GroupRecord | undefined {
  const { group, now } = turn;
  const { topic, partition, topicId, offset, leaderEpoch, metadata } = asked;
  const commitTimestampMs = asked.commitTimestampMs === -1 ? now.wallMs : asked.commitTimestampMs;
  const expireTimestampMs = retentionMs === -1 ? -1 : boundedSum(now.wallMs, retentionMs);
  const committed = { topicId, offset, leaderEpoch, metadata, commitTimestampMs, expireTimestampMs };
  const kept = group.offsets.get(topic)?.get(partition);
  if (kept && isSame(kept, committed)) {
    const ageMs = Math.abs(commitTimestampMs - kept.commitTimestampMs);
    if (ageMs < group.settings.offsetsRetentionMs / REFRESHES_PER_RETENTION) return undefined;
  }
  setOffset(group, { topic, partition, committed });
  return { type: "offset", topic, partition, committed };
}

function boundedSum(left: number, right: number): number {
  return Math.min(Math.max(left + right, 0), Number.MAX_SAFE_INTEGER);
}

function isSame(kept: CommittedOffset, committed: CommittedOffset): boolean {
  return (
    kept.topicId === committed.topicId &&
    kept.offset === committed.offset &&
    kept.leaderEpoch === committed.leaderEpoch &&
    kept.metadata === committed.metadata &&
    kept.expireTimestampMs === -1 &&
    committed.expireTimestampMs === -1
  );
}

/** Puts an offset in place of what the partition had. */
export function setOffset(group: GroupState, { topic, partition, committed }: PartitionOffset): void {
  const partitions = group.offsets.get(topic);
  if (partitions) partitions.set(partition, committed);
  else group.offsets.set(topic, new Map([[partition, committed]]));
}

/** Drops offsets for which `isGone` holds; the records that say so. */
function dropOffsets(group: GroupState, isGone: (committed: CommittedOffset) => boolean): GroupRecord[] {
  const records: GroupRecord[] = [];
  for (const [topic, partitions] of group.offsets) {
    for (const [partition, committed] of partitions) {
      if (!isGone(committed)) continue;
      partitions.delete(partition);
      records.push({ type: "offset-removed", topic, partition });
    }
    if (partitions.size === 0) group.offsets.delete(topic);
  }
  return records;
}

/** Reads offsets back, asked for or all. */
export function fetchOffsets(group: GroupState, request: FetchOffsetsRequest): FetchOffsetsReply {
  if (request.partitions === null) return { partitions: allOffsets(group) };
  const partitions = request.partitions.map(({ topic, topicId, partition }) => {
    const kept = group.offsets.get(topic)?.get(partition);
    return { topic, partition, committed: kept && isOfTopic(kept, topicId) ? kept : undefined };
  });
  return { partitions };
}

/** Whether an offset belongs to the topic of this id. Records of old commits carry none and count for any. */
export function isOfTopic(committed: CommittedOffset, topicId: TopicId | undefined): boolean {
  return topicId !== undefined && (committed.topicId === topicId || committed.topicId === ZERO_TOPIC_ID);
}

/** Every offset of the group, by topic in the order of their first commits. */
export function allOffsets(group: GroupState): PartitionOffset[] {
  return [...group.offsets].flatMap(([topic, partitions]) =>
    [...partitions].map(([partition, committed]) => ({ topic, partition, committed })),
  );
}

/** Topics are gone for certain: so are their offsets. */
export function onTopicsDeleted(turn: Turn, topicIds: ReadonlySet<TopicId>): void {
  persist(
    turn,
    dropOffsets(turn.group, (committed) => topicIds.has(committed.topicId)),
  );
  ensureExpiryTimer(turn);
}

/** When an offset of a group without members expires, in wall time. */
function expiryOf(group: GroupState, committed: CommittedOffset): TimestampMs {
  if (committed.expireTimestampMs !== -1) return committed.expireTimestampMs;
  const emptySinceMs = group.protocolType === null ? -1 : group.phaseSinceMs;
  return Math.max(emptySinceMs, committed.commitTimestampMs) + group.settings.offsetsRetentionMs;
}

/** Arms the timer for the next thing that expires in a group without members. */
export function ensureExpiryTimer(turn: Turn): void {
  const { group, now } = turn;
  if (group.phase !== "Empty" || isForgettable(group)) return;
  let delayMs = group.settings.emptyGroupRetentionMs;
  if (group.offsets.size > 0) {
    let nextMs = Number.MAX_SAFE_INTEGER;
    for (const { committed } of allOffsets(group)) nextMs = Math.min(nextMs, expiryOf(group, committed));
    delayMs = Math.min(Math.max(nextMs - now.wallMs, 0), group.settings.timerDelayMaxMs);
  }
  ensureTimer(turn, EXPIRY_TIMER, now.monotonicMs + delayMs);
}

/** Removes what expired; a group that has nothing left goes as a whole. */
export function onExpiryTimer(turn: Turn): void {
  const { group, now } = turn;
  if (group.phase !== "Empty") return;
  const isExpired = (committed: CommittedOffset) => expiryOf(group, committed) <= now.wallMs;
  const hadOffsets = group.offsets.size > 0;
  const records = dropOffsets(group, isExpired);
  if (group.offsets.size === 0 && group.pendingMembers.size === 0 && isEmptyForLong(turn, hadOffsets)) {
    if (group.isRecorded) records.push({ type: "group-removed" });
    clearIdentity(turn);
  }
  persist(turn, records);
  ensureExpiryTimer(turn);
}

/** A group whose last offset expired just now has been empty for the whole retention. */
function isEmptyForLong(turn: Turn, hadOffsets: boolean): boolean {
  const { group, now } = turn;
  return hadOffsets || now.wallMs - group.phaseSinceMs >= group.settings.emptyGroupRetentionMs;
}

/** The group is as if it never was. */
function clearIdentity(turn: Turn): void {
  const { group } = turn;
  group.isRecorded = false;
  group.generation = 0;
  group.protocolType = null;
  group.protocolName = null;
  group.leaderId = null;
  enterPhase(turn, "Empty");
  cancel(turn, EXPIRY_TIMER);
}

/** Members came: nothing expires as long as they stay. */
export function stopExpiry(turn: Turn): void {
  cancel(turn, EXPIRY_TIMER);
}
