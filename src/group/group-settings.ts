// The limits and times of group coordination: plain data with the defaults of a production broker. Every limit bounds
// what a client can make this broker hold; the machines say what one past it is answered.

/** Settings of the `group` room. Sizes in bytes, times in milliseconds, lengths in characters. */
export interface GroupSettings {
  /** Partitions of `__consumer_offsets` when it is created; the stored count wins afterwards. */
  readonly offsetsPartitionCount: number;
  /** How long the first rebalance of an empty group waits for more members. 0 suits test suites. */
  readonly initialRebalanceDelayMs: number;
  /** How long a member that waits in its first join may stay silent: it has no id yet to send heartbeats with. */
  readonly newMemberJoinTimeoutMs: number;
  /** Session timeouts outside of these are INVALID_SESSION_TIMEOUT. */
  readonly sessionTimeoutMinMs: number;
  readonly sessionTimeoutMaxMs: number;
  /** How long offsets live after their group became empty, or after their commit in groups without members. */
  readonly offsetsRetentionMs: number;
  /** How long a group without members and offsets is remembered. */
  readonly emptyGroupRetentionMs: number;
  /** Longest delay any timer is armed for: what lies further off is looked at again then. */
  readonly timerDelayMaxMs: number;
  /** Members of one group. One more is GROUP_MAX_SIZE_REACHED. */
  readonly groupMembersMax: number;
  /** Groups one broker holds. One more is COORDINATOR_NOT_AVAILABLE. */
  readonly groupsMax: number;
  /** Bytes of a member's protocols, and of its assignment. One more is INVALID_REQUEST. */
  readonly memberBytesMax: number;
  /** Bytes of all members' protocols, and of all assignments. One more is INCONSISTENT_GROUP_PROTOCOL. */
  readonly groupBytesMax: number;
  /** Protocols one member may name; clients name a handful. One more is INVALID_REQUEST. */
  readonly memberProtocolsMax: number;
  /** Bytes of the text that goes with a committed offset. One more is OFFSET_METADATA_TOO_LARGE. */
  readonly offsetMetadataBytesMax: number;
  /** One more is INVALID_GROUP_ID. */
  readonly groupIdCharactersMax: number;
  /** One more is INVALID_REQUEST, for each of these. */
  readonly memberIdCharactersMax: number;
  readonly clientIdCharactersMax: number;
  readonly instanceIdCharactersMax: number;
  readonly protocolNameCharactersMax: number;
}

/** The defaults. Where Kafka has the same limit, its default is taken. */
export const defaultGroupSettings: GroupSettings = {
  offsetsPartitionCount: 50,
  initialRebalanceDelayMs: 3_000,
  newMemberJoinTimeoutMs: 300_000,
  sessionTimeoutMinMs: 6_000,
  sessionTimeoutMaxMs: 1_800_000,
  offsetsRetentionMs: 7 * 24 * 3_600_000,
  emptyGroupRetentionMs: 600_000,
  timerDelayMaxMs: 7 * 24 * 3_600_000,
  groupMembersMax: 1_000,
  groupsMax: 20_000,
  memberBytesMax: 1024 * 1024,
  groupBytesMax: 8 * 1024 * 1024,
  memberProtocolsMax: 64,
  offsetMetadataBytesMax: 4_096,
  groupIdCharactersMax: 249,
  memberIdCharactersMax: 255,
  clientIdCharactersMax: 255,
  instanceIdCharactersMax: 249,
  protocolNameCharactersMax: 255,
};
