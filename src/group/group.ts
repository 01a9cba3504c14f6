// The words of a consumer group: its state, what can happen to it (inputs), what follows from it (effects) and what is
// kept of it (records). Types and trivial constructors only; `classic-machine.ts` has the rules.
import type { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { Offset, TimestampMs, TopicId } from "../topic-partition.ts";
import type { GroupSettings } from "./group-settings.ts";

/** The state of a classic group by Kafka's names. A group that is absent is `Dead` where Kafka says so. */
export type GroupPhase = "Empty" | "PreparingRebalance" | "CompletingRebalance" | "Stable";

/** The moment of a step. Sessions and rebalances count in monotonic time; what outlives a restart is in wall time. */
export interface Instant {
  readonly monotonicMs: number;
  readonly wallMs: TimestampMs;
}

/** An assignment strategy a member can work with, and its blob, which the coordinator never reads. */
export interface GroupProtocol {
  readonly name: string;
  readonly metadata: Uint8Array;
}

/** One member. The machine owns it and changes it in place. */
export interface GroupMember {
  readonly memberId: string;
  /** Set for static members (KIP-345). */
  readonly instanceId: string | null;
  clientId: string;
  clientHost: string;
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  /** In the member's order of preference. After a restart only the protocol that was chosen is known. */
  protocols: readonly GroupProtocol[];
  /** What they count against the limits. */
  protocolBytes: number;
  /** What the leader gave it in this generation; empty before that. */
  assignment: Uint8Array;
  /** Has not had the answer of its first join yet. */
  isNew: boolean;
  /** Got the answer of this generation's join and has not sent the sync that follows. */
  owesSync: boolean;
  /** The parked join and sync, by request. A request stands in at most one member, and leaves it when it is answered. */
  joinRequestId: number | undefined;
  syncRequestId: number | undefined;
  /** When the session ends, in monotonic time. */
  deadlineMs: number;
}

/** A committed offset of one partition. */
export interface CommittedOffset {
  /** The topic it was committed for; the zero id when the record could not carry one. */
  readonly topicId: TopicId;
  readonly offset: Offset;
  readonly leaderEpoch: number;
  readonly metadata: string;
  readonly commitTimestampMs: TimestampMs;
  /** Set by commits that named a retention; -1 otherwise. */
  readonly expireTimestampMs: TimestampMs;
}

/** A committed offset with its address. */
export interface PartitionOffset {
  readonly topic: string;
  readonly partition: number;
  readonly committed: CommittedOffset;
}

/** How long the first rebalance of an empty group goes on waiting for more members. */
export interface InitialDelay {
  hasNewMember: boolean;
  delayMs: number;
  remainingMs: number;
}

/** An armed timer. Only the input with the same token counts; older ones are ignored. */
export interface ArmedTimer {
  readonly token: number;
  /** In monotonic time. */
  readonly dueMs: number;
}

/** One group, live. Owned by one shell, changed only by `step`. */
export interface GroupState {
  readonly groupId: string;
  readonly settings: GroupSettings;
  phase: GroupPhase;
  /** When the phase began, in wall time; it is kept, and dates the expiry of offsets. */
  phaseSinceMs: TimestampMs;
  /** Number of rebalances. Only a completed join raises it. */
  generation: number;
  /** Null before any member joined: a group that only keeps offsets. */
  protocolType: string | null;
  /** The protocol chosen for this generation. Null without members. */
  protocolName: string | null;
  /** A member's id whenever there are members. */
  leaderId: string | null;
  readonly members: Map<string, GroupMember>;
  /** Member id by instance id: exactly the members that have one. */
  readonly staticMembers: Map<string, string>;
  /** Ids given out with MEMBER_ID_REQUIRED that have not come back: session deadline in monotonic time, by id. */
  readonly pendingMembers: Map<string, number>;
  /** By topic name, then partition. */
  readonly offsets: Map<string, Map<number, CommittedOffset>>;
  /** Set while the first rebalance of an empty group gathers members. */
  initialDelay: InitialDelay | undefined;
  readonly timers: Map<string, ArmedTimer>;
  lastTimerToken: number;
  /** Whether a group record without a tombstone was emitted. */
  isRecorded: boolean;
}

/** A new, empty group that nobody knows of. */
export function createGroup(groupId: string, settings: GroupSettings): GroupState {
  return {
    groupId,
    settings,
    phase: "Empty",
    phaseSinceMs: -1,
    generation: 0,
    protocolType: null,
    protocolName: null,
    leaderId: null,
    members: new Map(),
    staticMembers: new Map(),
    pendingMembers: new Map(),
    offsets: new Map(),
    initialDelay: undefined,
    timers: new Map(),
    lastTimerToken: 0,
    isRecorded: false,
  };
}

/** JoinGroup of any version. */
export interface JoinRequest {
  readonly type: "join";
  /** "" for a client that has no id yet. */
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  readonly protocols: readonly GroupProtocol[];
  /** Version 4 and up: a client without an id gets one and joins again with it (KIP-394). */
  readonly needsKnownMemberId: boolean;
  /** Version 9 and up: a returning static leader can be told that its assignment stands (KIP-814). */
  readonly canSkipAssignment: boolean;
  /** A fresh uuid, the second half of the id of a member that has none. */
  readonly uuid: string;
}

/** Answer of a join. `members` is filled for the leader only. */
export interface JoinReply {
  readonly errorCode: ErrorCode;
  readonly memberId: string;
  /** -1 with an error. */
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leaderId: string;
  readonly skipAssignment: boolean;
  readonly members: readonly JoinedMember[];
}

/** What the leader is told of a member. */
export interface JoinedMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly metadata: Uint8Array;
}

/** SyncGroup of any version. */
export interface SyncRequest {
  readonly type: "sync";
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
  /** Null where the version has none. */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  /** Read only when it comes from the leader. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Uint8Array }[];
}

/** Answer of a sync; the blob exactly as the leader sent it. */
export interface SyncReply {
  readonly errorCode: ErrorCode;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Uint8Array;
}

/** Heartbeat of any version. */
export interface HeartbeatRequest {
  readonly type: "heartbeat";
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
}

/** Answer of a heartbeat. */
export interface HeartbeatReply {
  readonly errorCode: ErrorCode;
}

/** LeaveGroup of any version: one or several members, by id or, for an administrator, by instance id alone. */
export interface LeaveRequest {
  readonly type: "leave";
  readonly members: readonly LeavingMember[];
}

/** A member to remove. An empty `memberId` with an instance id is the administrator's removal. */
export interface LeavingMember {
  readonly memberId: string;
  readonly instanceId: string | null;
}

/** Answer of a leave: one code per member, in the request's order. */
export interface LeaveReply {
  readonly errorCodes: readonly ErrorCode[];
}

/** OffsetCommit of any version. */
export interface CommitRequest {
  readonly type: "commit";
  readonly memberId: string;
  readonly instanceId: string | null;
  /** -1 without a membership ("simple" commit). */
  readonly generation: number;
  /** What a generation of an unknown group is answered: it depends on the version. */
  readonly unknownGroupCode: ErrorCode;
  /** Versions 2 to 4; -1 for the broker's. */
  readonly retentionMs: number;
  readonly partitions: readonly CommitPartition[];
}

/** One offset to commit. */
export interface CommitPartition {
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: number;
  readonly offset: Offset;
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** Version 1 only; -1 for the time of the commit. */
  readonly commitTimestampMs: TimestampMs;
}

/** Answer of a commit: one code per partition, in the request's order. */
export interface CommitReply {
  readonly errorCodes: readonly ErrorCode[];
}

/** OffsetFetch of one group. */
export interface FetchOffsetsRequest {
  readonly type: "fetch-offsets";
  /** Null for every offset the group has. */
  readonly partitions: readonly FetchOffsetsPartition[] | null;
}

/** An offset asked for. */
export interface FetchOffsetsPartition {
  readonly topic: string;
  /** The topic's present id, undefined when there is none: offsets of another id do not count. */
  readonly topicId: TopicId | undefined;
  readonly partition: number;
}

/** Answer of an OffsetFetch: what was asked for, in order; undefined where nothing is committed. */
export interface FetchOffsetsReply {
  readonly partitions: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly committed: CommittedOffset | undefined;
  }[];
}

/** DescribeGroups and ListGroups of one group. */
export interface DescribeRequest {
  readonly type: "describe";
}

/** What is told of a group; undefined for one that does not exist. */
export interface DescribeReply {
  readonly group: GroupDescription | undefined;
}

/** A group as its describers see it. */
export interface GroupDescription {
  readonly groupId: string;
  readonly phase: GroupPhase;
  /** "" for groups that only keep offsets. */
  readonly protocolType: string;
  /** "" unless stable. */
  readonly protocolName: string;
  readonly members: readonly MemberDescription[];
}

/** A member as its describers see it; blobs are empty unless the group is stable. */
export interface MemberDescription {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly metadata: Uint8Array;
  readonly assignment: Uint8Array;
}

/** Requests with their replies, by type. */
export interface GroupExchanges {
  readonly join: { readonly request: JoinRequest; readonly reply: JoinReply };
  readonly sync: { readonly request: SyncRequest; readonly reply: SyncReply };
  readonly heartbeat: { readonly request: HeartbeatRequest; readonly reply: HeartbeatReply };
  readonly leave: { readonly request: LeaveRequest; readonly reply: LeaveReply };
  readonly commit: { readonly request: CommitRequest; readonly reply: CommitReply };
  readonly "fetch-offsets": { readonly request: FetchOffsetsRequest; readonly reply: FetchOffsetsReply };
  readonly describe: { readonly request: DescribeRequest; readonly reply: DescribeReply };
}

/** Any request. */
export type GroupRequest = GroupExchanges[keyof GroupExchanges]["request"];
/** Any reply. */
export type GroupReply = GroupExchanges[keyof GroupExchanges]["reply"];

/** What can happen to a group. */
export type GroupInput =
  | { readonly type: "request"; readonly requestId: number; readonly request: GroupRequest }
  /** A timer fired. Ignored unless its token is the armed one. */
  | { readonly type: "timer"; readonly key: string; readonly token: number }
  /** The group was loaded from its records: its timers start. */
  | { readonly type: "loaded" }
  /** Topics are gone for certain: their offsets go too. */
  | { readonly type: "topics-deleted"; readonly topicIds: ReadonlySet<TopicId> };

/** What follows from an input. The shell carries it out without looking at the group. */
export type GroupEffect =
  /** Answers a request, once everything persisted up to now is committed. */
  | { readonly type: "reply"; readonly requestId: number; readonly reply: GroupReply }
  | { readonly type: "persist"; readonly records: readonly GroupRecord[] }
  /** Replaces the timer of the same key. */
  | { readonly type: "schedule"; readonly key: string; readonly token: number; readonly delayMs: number }
  | { readonly type: "cancel"; readonly key: string };

/** What is kept of a group; later records replace earlier ones of the same address. Immutable snapshots. */
export type GroupRecord =
  | { readonly type: "group"; readonly group: RecordedGroup }
  | { readonly type: "group-removed" }
  | ({ readonly type: "offset" } & PartitionOffset)
  | { readonly type: "offset-removed"; readonly topic: string; readonly partition: number };

/** The group record: the last state that a restart comes back to. */
export interface RecordedGroup {
  readonly protocolType: string;
  readonly generation: number;
  readonly protocolName: string | null;
  readonly leaderId: string | null;
  readonly phaseSinceMs: TimestampMs;
  readonly members: readonly RecordedMember[];
}

/** A member in the group record. */
export interface RecordedMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  /** The blob of the chosen protocol. */
  readonly subscription: Uint8Array;
  readonly assignment: Uint8Array;
}

/** What a step leaves behind. */
export interface StepResult {
  /** The same object, changed; undefined when nothing of the group is left to remember. */
  readonly group: GroupState | undefined;
  readonly effects: readonly GroupEffect[];
}
