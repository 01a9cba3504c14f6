// Partitions as clients are shown them.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { allOperations, partitionRow } from "../../src/kafka/topic-rows.ts";
import { imageOf, topic } from "./image-fixture.ts";

describe("topic rows", () => {
  it("show the live owner of a partition as its leader and only replica", () => {
    const row = partitionRow(imageOf([1, 2, 1]), topic, 1);
    expect(row).toEqual({
      errorCode: 0,
      partitionIndex: 1,
      leaderId: 2,
      leaderEpoch: 7,
      replicaNodes: [2],
      isrNodes: [2],
    });
  });

  it("show a partition without a live owner as leaderless, with the replica that should lead it", () => {
    const row = partitionRow(imageOf([1, 2, undefined]), topic, 2);
    expect(row).toMatchObject({ errorCode: ErrorCode.LEADER_NOT_AVAILABLE, leaderId: -1, leaderEpoch: 7 });
    expect(row.replicaNodes.length).toBe(1);
    expect([1, 2]).toContain(row.replicaNodes[0]);
  });

  it("give the operations that Kafka gives without an authorizer", () => {
    expect(allOperations.topic).toBe(0b1101_1111_1000);
    expect(allOperations.cluster).toBe(0b1_1111_1010_0000);
  });
});
