// The records of the internal topic: round trips, the very bytes, and what damaged ones give.
import { describe, expect, it } from "vitest";
import type { CommittedOffset, GroupRecord, RecordedGroup } from "../../src/group/group.ts";
import { decodeGroupRecord, encodeGroupRecord } from "../../src/group/group-records.ts";
import { ZERO_TOPIC_ID } from "../../src/topic-partition.ts";
import { DecodeError } from "../../src/wire/decode-error.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const hex = (value: Uint8Array | null) => (value === null ? null : Buffer.from(value).toString("hex"));

const committed: CommittedOffset = {
  topicId: "AAAAAAAAAAAAAAAAAAAAAQ",
  offset: 258,
  leaderEpoch: 3,
  metadata: "m",
  commitTimestampMs: 1,
  expireTimestampMs: -1,
};

const group: RecordedGroup = {
  protocolType: "consumer",
  generation: 7,
  protocolName: "range",
  leaderId: "a",
  phaseSinceMs: 2,
  members: [
    {
      memberId: "a",
      instanceId: "i",
      clientId: "c",
      clientHost: "/h",
      rebalanceTimeoutMs: 60_000,
      sessionTimeoutMs: 10_000,
      subscription: bytes("sub"),
      assignment: bytes("part"),
    },
  ],
};

describe("records of __consumer_offsets", () => {
  const records: GroupRecord[] = [
    { type: "group", group },
    { type: "group", group: { ...group, protocolName: null, leaderId: null, members: [] } },
    { type: "group-removed" },
    { type: "offset", topic: "t", partition: 3, committed },
    { type: "offset-removed", topic: "t", partition: 3 },
  ];

  for (const record of records) {
    it(`come back as they were written: ${record.type}`, () => {
      const { key, value } = encodeGroupRecord("g", record);
      expect(decodeGroupRecord({ key, value })).toEqual({ groupId: "g", record });
    });
  }

  it("are Kafka's bytes: keys with their type, offsets with the topic's id in version 4", () => {
    const { key, value } = encodeGroupRecord("g", { type: "offset", topic: "t", partition: 3, committed });
    expect(hex(key)).toBe("000100016700017400000003");
    expect(hex(value)).toBe(
      ["0004", "0000000000000102", "00000003", "026d", "0000000000000001", "010010", "0".repeat(31), "1"].join(""),
    );
    expect(hex(encodeGroupRecord("g", { type: "group-removed" }).key)).toBe("0002000167");
    expect(hex(encodeGroupRecord("g", { type: "group", group }).value)?.slice(0, 4)).toBe("0003");
  });

  it("keep an expiry of its own in version 1, which has no topic id", () => {
    const expiring = { ...committed, leaderEpoch: -1, expireTimestampMs: 99 };
    const { key, value } = encodeGroupRecord("g", { type: "offset", topic: "t", partition: 3, committed: expiring });
    expect(hex(value)?.slice(0, 4)).toBe("0001");
    const record = { type: "offset", topic: "t", partition: 3, committed: { ...expiring, topicId: ZERO_TOPIC_ID } };
    expect(decodeGroupRecord({ key, value })).toEqual({ groupId: "g", record });
  });

  it("carry blobs over 4 KiB, which the writer keeps by reference", () => {
    const assignment = new Uint8Array(10_000).fill(7);
    const members = group.members.map((member) => ({ ...member, assignment }));
    const record: GroupRecord = { type: "group", group: { ...group, members } };
    expect(decodeGroupRecord(encodeGroupRecord("g", record))).toEqual({ groupId: "g", record });
  });

  it("of other coordinators are passed over", () => {
    expect(decodeGroupRecord({ key: Uint8Array.of(0, 3, 0, 1, 0x67), value: new Uint8Array(0) })).toBeUndefined();
  });

  it("of a known kind are refused when they are damaged or of an unknown version", () => {
    const { key, value } = encodeGroupRecord("g", { type: "group", group });
    expect(() => decodeGroupRecord({ key, value: value && value.slice(0, -1) })).toThrow(DecodeError);
    expect(() => decodeGroupRecord({ key, value: Uint8Array.of(0, 99) })).toThrow(DecodeError);
    expect(() => decodeGroupRecord({ key: Uint8Array.of(0), value })).toThrow(DecodeError);
  });
});
