// The records of `__consumer_offsets`, byte for byte Kafka's own, and a group's state as they tell it. Records of other
// coordinators and of kinds not known here are passed over; a damaged one of a known kind is an error.
import {
  createGroupMetadataKey,
  decodeGroupMetadataKey,
  encodeGroupMetadataKey,
} from "../../generated/kafka/group-metadata-key.ts";
import {
  createGroupMetadataValue,
  createMemberMetadata,
  decodeGroupMetadataValue,
  encodeGroupMetadataValue,
} from "../../generated/kafka/group-metadata-value.ts";
import {
  createOffsetCommitKey,
  decodeOffsetCommitKey,
  encodeOffsetCommitKey,
} from "../../generated/kafka/offset-commit-key.ts";
import {
  createOffsetCommitValue,
  decodeOffsetCommitValue,
  encodeOffsetCommitValue,
} from "../../generated/kafka/offset-commit-value.ts";
import { Reader } from "../wire/reader.ts";
import { Writer } from "../wire/writer.ts";
import type { CommittedOffset, GroupRecord, RecordedGroup } from "./group.ts";

/** A record of an internal partition; a null value removes the key. */
export interface KeyValueRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** A record with the group it is about. */
export interface AddressedRecord {
  readonly groupId: string;
  readonly record: GroupRecord;
}

/** The int16 before each key says what the record is. */
const OFFSET_KEY_TYPE = 1;
const GROUP_KEY_TYPE = 2;
const KEY_VERSION = 0;
/** The newest version that Kafka brokers write; it is the last one that is not flexible. */
const GROUP_VALUE_VERSION = 3;
/** The only version with an expiry of its own. */
const EXPIRING_OFFSET_VALUE_VERSION = 1;
/** The first version with the topic's id. */
const OFFSET_VALUE_VERSION = 4;

/** The bytes of a record. */
export function encodeGroupRecord(groupId: string, record: GroupRecord): KeyValueRecord {
  switch (record.type) {
    case "group":
      return { key: groupKey(groupId), value: groupValue(record.group) };
    case "group-removed":
      return { key: groupKey(groupId), value: null };
    case "offset":
      return { key: offsetKey(groupId, record.topic, record.partition), value: offsetValue(record.committed) };
    case "offset-removed":
      return { key: offsetKey(groupId, record.topic, record.partition), value: null };
  }
}

function groupKey(group: string): Uint8Array {
  const message = createGroupMetadataKey({ group });
  return versioned(GROUP_KEY_TYPE, (writer) => encodeGroupMetadataKey(writer, message, KEY_VERSION));
}

function offsetKey(group: string, topic: string, partition: number): Uint8Array {
  const message = createOffsetCommitKey({ group, topic, partition });
  return versioned(OFFSET_KEY_TYPE, (writer) => encodeOffsetCommitKey(writer, message, KEY_VERSION));
}

function groupValue(group: RecordedGroup): Uint8Array {
  const message = createGroupMetadataValue({
    protocolType: group.protocolType,
    generation: group.generation,
    protocol: group.protocolName,
    leader: group.leaderId,
    currentStateTimestamp: group.phaseSinceMs,
    members: group.members.map((member) =>
      createMemberMetadata({
        memberId: member.memberId,
        groupInstanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeout: member.rebalanceTimeoutMs,
        sessionTimeout: member.sessionTimeoutMs,
        subscription: member.subscription,
        assignment: member.assignment,
      }),
    ),
  });
  return versioned(GROUP_VALUE_VERSION, (writer) => encodeGroupMetadataValue(writer, message, GROUP_VALUE_VERSION));
}

function offsetValue(committed: CommittedOffset): Uint8Array {
  const isExpiring = committed.expireTimestampMs !== -1;
  const version = isExpiring ? EXPIRING_OFFSET_VALUE_VERSION : OFFSET_VALUE_VERSION;
  const message = createOffsetCommitValue({
    offset: committed.offset,
    leaderEpoch: committed.leaderEpoch,
    metadata: committed.metadata,
    commitTimestamp: committed.commitTimestampMs,
    expireTimestamp: committed.expireTimestampMs,
    topicId: committed.topicId,
  });
  return versioned(version, (writer) => encodeOffsetCommitValue(writer, message, version));
}

/** A message behind the int16 that says what it is. */
function versioned(version: number, encode: (writer: Writer) => void): Uint8Array {
  const writer = new Writer();
  writer.int16(version);
  encode(writer);
  const [first, ...others] = writer.finish();
  return first && others.length === 0 ? first : Buffer.concat([first ?? new Uint8Array(0), ...others]);
}

/**
 * What a record says; undefined for one that is not about groups and offsets.
 * @throws DecodeError when the bytes are damaged
 */
export function decodeGroupRecord({ key, value }: KeyValueRecord): AddressedRecord | undefined {
  const reader = new Reader(key);
  const type = reader.int16();
  if (type === GROUP_KEY_TYPE) {
    const { group } = decodeGroupMetadataKey(reader, KEY_VERSION);
    return { groupId: group, record: value ? readGroupValue(value) : { type: "group-removed" } };
  }
  if (type === OFFSET_KEY_TYPE) {
    const { group, topic, partition } = decodeOffsetCommitKey(reader, KEY_VERSION);
    if (!value) return { groupId: group, record: { type: "offset-removed", topic, partition } };
    return { groupId: group, record: { type: "offset", topic, partition, committed: readOffsetValue(value) } };
  }
  return undefined;
}

function readGroupValue(bytes: Uint8Array): GroupRecord {
  const reader = new Reader(bytes);
  const value = decodeGroupMetadataValue(reader, reader.int16());
  const group: RecordedGroup = {
    protocolType: value.protocolType,
    generation: value.generation,
    protocolName: value.protocol,
    leaderId: value.leader,
    phaseSinceMs: value.currentStateTimestamp,
    members: value.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeout === -1 ? member.sessionTimeout : member.rebalanceTimeout,
      sessionTimeoutMs: member.sessionTimeout,
      subscription: new Uint8Array(member.subscription),
      assignment: new Uint8Array(member.assignment),
    })),
  };
  return { type: "group", group };
}

function readOffsetValue(bytes: Uint8Array): CommittedOffset {
  const reader = new Reader(bytes);
  const value = decodeOffsetCommitValue(reader, reader.int16());
  return {
    topicId: value.topicId,
    offset: value.offset,
    leaderEpoch: value.leaderEpoch,
    metadata: value.metadata,
    commitTimestampMs: value.commitTimestamp,
    expireTimestampMs: value.expireTimestamp,
  };
}
