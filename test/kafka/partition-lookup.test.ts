// Who leads a partition, and what clients are told when it is not this broker.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { asksForLeader, findTopic, knownErrorCode, LeaderHints, leaderOf } from "../../src/kafka/partition-lookup.ts";
import { imageOf, topic } from "./image-fixture.ts";

describe("partition lookup", () => {
  it("finds a topic by name and by id, and tells the two refusals apart", () => {
    const image = imageOf([1]);
    expect(findTopic(image, { name: "log" })).toBe(topic);
    expect(findTopic(image, { topicId: topic.topicId })).toBe(topic);
    expect(() => findTopic(image, { name: "nowhere" })).toThrow("UNKNOWN_TOPIC_OR_PARTITION");
    expect(() => findTopic(image, { topicId: "AAAAAAAAAAAAAAAAAAAAAw" })).toThrow("UNKNOWN_TOPIC_ID");
  });

  it("names a leader only while its session lives", () => {
    const image = imageOf([1, 2, undefined]);
    expect(leaderOf(image, topic.topicId, 1)).toMatchObject({ endpoint: { brokerId: 2 }, leaderEpoch: 7 });
    expect(leaderOf(image, topic.topicId, 2)).toBeUndefined();
  });

  it("hints at other brokers only, each with its address once", () => {
    const hints = new LeaderHints(imageOf([2, 2, 1]), 1);
    expect(hints.hint(topic.topicId, 0)).toEqual({ leaderId: 2, leaderEpoch: 7 });
    expect(hints.hint(topic.topicId, 1)).toEqual({ leaderId: 2, leaderEpoch: 7 });
    expect(hints.hint(topic.topicId, 2)).toBeUndefined();
    expect([...hints.endpoints.values()]).toMatchObject([{ host: "broker-2.test", port: 9092, rack: "zone-b" }]);
  });

  it("knows the codes that ask for a leader and those that old clients do not know", () => {
    expect([6, 74, 75, 3].map(asksForLeader)).toEqual([true, true, false, false]);
    const told = (knowsStorageError: boolean) => knownErrorCode(ErrorCode.KAFKA_STORAGE_ERROR, { knowsStorageError });
    expect([told(true), told(false)]).toEqual([ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_LEADER_OR_FOLLOWER]);
  });
});
