// The coordinator around its groups: who leads, what is loaded and given up, what is refused, and that quiet means quiet.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { OFFSETS_TOPIC } from "../../src/cluster/topic.ts";
import { encodeGroupRecord } from "../../src/group/group-records.ts";
import { errorCodeOf, KafkaError } from "../../src/kafka-error.ts";
import { Fold } from "../../src/log/fold.ts";
import { HeldLog } from "./held-log.ts";
import { commitOf, joinOf, quiet, TestCluster, TOPIC_ID, Watched } from "./test-cluster.ts";

// Of two partitions "g" (103) lives in 1 and "h" (104) in 0.
const partitionOf = { g: 1, h: 0 } as const;

const readOf = (topicId = TOPIC_ID) =>
  ({ type: "fetch-offsets", partitions: [{ topic: "t", topicId, partition: 0 }] }) as const;

async function codeOf(promise: Promise<unknown>): Promise<ErrorCode> {
  return promise.then(
    () => ErrorCode.NONE,
    (error: unknown) => errorCodeOf(error),
  );
}

async function offsetOf(cluster: TestCluster, groupId = "g"): Promise<number | undefined> {
  const { partitions } = await cluster.coordinator.fetchOffsets(groupId, readOf());
  return partitions[0]?.committed?.offset;
}

describe("finding the coordinator of a group", () => {
  it("creates the internal topic once, whoever asks, and then names the owner", async () => {
    const cluster = new TestCluster({ hasOffsetsTopic: false });
    const found = await Promise.all(["g", "h", "i"].map((group) => cluster.coordinator.findCoordinator(group)));
    expect(found.map(({ brokerId }) => brokerId)).toEqual([1, 1, 1]);
    expect(cluster.creationCount).toBe(1);
  });

  it("says 15 while nobody owns the partition, or while the topic cannot be created", async () => {
    const cluster = new TestCluster();
    cluster.ownerId = undefined;
    expect(await codeOf(cluster.coordinator.findCoordinator("g"))).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    const empty = new TestCluster({ hasOffsetsTopic: false });
    empty.creationError = new KafkaError(ErrorCode.REQUEST_TIMED_OUT, "slow");
    expect(await codeOf(empty.coordinator.findCoordinator("g"))).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    empty.creationError = null;
    expect(await codeOf(empty.coordinator.findCoordinator("g"))).toBe(ErrorCode.NONE);
  });
});

describe("asking a coordinator", () => {
  it("creates the topic for a commit and a join, and says 15 to anybody else", async () => {
    const cluster = new TestCluster({ hasOffsetsTopic: false }).openLogs();
    const { coordinator } = cluster;
    expect(await codeOf(coordinator.ask("g", { type: "describe" }))).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    expect(cluster.creationCount).toBe(0);
    expect(await codeOf(coordinator.ask("g", commitOf(1)))).toBe(ErrorCode.NONE);
    expect(cluster.creationCount).toBe(1);
  });

  it("says 16 where another broker leads, 14 while this one takes over, 16 or 15 where the log is damaged or unknown", async () => {
    const cluster = new TestCluster();
    const ask = () => codeOf(cluster.coordinator.ask("g", { type: "describe" }));
    cluster.refusals[partitionOf.g] = ErrorCode.NOT_LEADER_OR_FOLLOWER;
    expect(await ask()).toBe(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS);
    cluster.ownerId = 2;
    expect(await ask()).toBe(ErrorCode.NOT_COORDINATOR);
    cluster.refusals[partitionOf.g] = ErrorCode.KAFKA_STORAGE_ERROR;
    expect(await ask()).toBe(ErrorCode.NOT_COORDINATOR);
    cluster.refusals[partitionOf.g] = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    expect(await ask()).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
  });

  it("refuses names before it looks for the group", async () => {
    const cluster = new TestCluster();
    expect(await codeOf(cluster.coordinator.ask("", joinOf()))).toBe(ErrorCode.INVALID_GROUP_ID);
    expect(await codeOf(cluster.coordinator.ask("g", joinOf({ sessionTimeoutMs: 1 })))).toBe(
      ErrorCode.INVALID_SESSION_TIMEOUT,
    );
  });

  it("reads offsets only with a proof, begun after the question, that the session lives", async () => {
    const cluster = new TestCluster().openLogs();
    await cluster.coordinator.ask("g", commitOf(7));
    let prove = () => {};
    cluster.proof = () =>
      new Promise((resolve) => {
        prove = resolve;
      });
    const read = new Watched(offsetOf(cluster));
    await quiet();
    expect(read.isSettled).toBe(false);
    prove();
    await quiet();
    expect(read.value).toBe(7);
    cluster.proof = () => Promise.reject(new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "no session"));
    expect(await codeOf(offsetOf(cluster))).toBe(ErrorCode.NOT_COORDINATOR);
  });

  it("holds at most the groups it may; what is there goes on", async () => {
    const cluster = new TestCluster({ settings: { groupsMax: 2 } }).openLogs();
    const { coordinator } = cluster;
    expect(await codeOf(coordinator.ask("a", commitOf(1)))).toBe(ErrorCode.NONE);
    expect(await codeOf(coordinator.ask("b", commitOf(1)))).toBe(ErrorCode.NONE);
    expect(await codeOf(coordinator.ask("c", commitOf(1)))).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    expect(await codeOf(coordinator.ask("c", joinOf()))).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    expect(await codeOf(coordinator.ask("c", { type: "describe" }))).toBe(ErrorCode.NONE);
    expect(await codeOf(coordinator.ask("a", commitOf(2)))).toBe(ErrorCode.NONE);
    await cluster.pass(8 * 24 * 3_600_000);
    expect(await codeOf(coordinator.ask("c", commitOf(1))), "expired groups made room").toBe(ErrorCode.NONE);
  });
});

describe("losing and taking over a partition", () => {
  it("answers parked members at once with 16 when the leadership ends, and leaves no timer and no listener", async () => {
    const cluster = new TestCluster().openLogs();
    const join = new Watched(cluster.coordinator.ask("g", joinOf()));
    await quiet();
    const log = cluster.logs[partitionOf.g];
    cluster.refusals[partitionOf.g] = ErrorCode.NOT_LEADER_OR_FOLLOWER;
    log?.wake();
    await quiet();
    expect(errorCodeOf(join.error)).toBe(ErrorCode.NOT_COORDINATOR);
    expect(log?.wakerCount).toBe(0);
    expect(cluster.clock.pendingCount).toBe(0);
  });

  it("brings back members with fresh sessions, their generation and assignment, and the offsets", async () => {
    const cluster = new TestCluster().openLogs();
    const { coordinator } = cluster;
    const joining = coordinator.ask("g", joinOf());
    await cluster.pass(3_000);
    const { memberId, generation } = await joining;
    const protocol = { protocolType: null, protocolName: null };
    const assignments = [{ memberId, assignment: Uint8Array.of(9) }];
    const sync = { type: "sync", memberId, instanceId: null, generation, assignments, ...protocol } as const;
    await coordinator.ask("g", sync);
    await coordinator.ask("g", commitOf(4, { memberId, generation }));
    await cluster.pass(9_000);
    cluster.startSession();
    cluster.openLogs();
    expect(await offsetOf(cluster)).toBe(4);
    await cluster.pass(9_000);
    const heartbeat = { type: "heartbeat", memberId, instanceId: null, generation } as const;
    expect(await coordinator.ask("g", heartbeat)).toEqual({ errorCode: ErrorCode.NONE });
    expect((await coordinator.ask("g", { ...sync, assignments: [] })).assignment).toEqual(Uint8Array.of(9));
    await cluster.pass(10_000);
    expect(await coordinator.ask("g", heartbeat)).toEqual({ errorCode: ErrorCode.UNKNOWN_MEMBER_ID });
  });

  it("expires members after a take-over without being asked", async () => {
    const cluster = new TestCluster().openLogs();
    const joining = cluster.coordinator.ask("g", joinOf());
    await cluster.pass(3_000);
    const { memberId, generation } = await joining;
    const protocol = { protocolType: null, protocolName: null };
    await cluster.coordinator.ask("g", {
      type: "sync",
      memberId,
      instanceId: null,
      generation,
      assignments: [],
      ...protocol,
    });
    cluster.startSession();
    cluster.openLogs();
    const log = cluster.logs[partitionOf.g];
    await cluster.pass(10_000);
    expect(log?.appendCount, "the empty group was written").toBe(1);
  });

  it("forgets what was not committed", async () => {
    const cluster = new TestCluster();
    const { coordinator } = cluster;
    const first = new Watched(coordinator.ask("g", commitOf(1)));
    cluster.logs[partitionOf.g]?.commit();
    const second = new Watched(coordinator.ask("g", commitOf(2)));
    await quiet();
    cluster.startSession();
    await quiet();
    expect(first.value?.errorCodes).toEqual([ErrorCode.NONE]);
    expect(second.isSettled, "its write has no outcome yet").toBe(false);
    expect(await offsetOf(cluster)).toBe(1);
  });

  it("reads a group anew after a failed write, without what failed", async () => {
    const cluster = new TestCluster();
    const { coordinator } = cluster;
    const log = cluster.logs[partitionOf.g];
    const first = coordinator.ask("g", commitOf(1));
    log?.commit();
    await first;
    const second = codeOf(coordinator.ask("g", commitOf(2)));
    log?.refuse(ErrorCode.NOT_ENOUGH_REPLICAS);
    expect(await second).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    expect(await offsetOf(cluster)).toBe(1);
    expect(await cluster.coordinator.listGroups()).toHaveLength(1);
  });

  it("refuses a partition with a damaged record instead of forgetting it", async () => {
    const fold = new Fold();
    const { key } = encodeGroupRecord("g", { type: "group-removed" });
    fold.apply({ key, value: Uint8Array.of(0, 3, 1) });
    const cluster = new TestCluster({ logs: [new HeldLog(), new HeldLog(fold)] });
    expect(await codeOf(cluster.coordinator.ask("g", { type: "describe" }))).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    expect(await codeOf(cluster.coordinator.ask("h", { type: "describe" }))).toBe(ErrorCode.NONE);
  });
});

describe("topics that go", () => {
  it("take their offsets with them, also for a topic of the same name that comes later", async () => {
    const cluster = new TestCluster().openLogs();
    await cluster.coordinator.ask("g", commitOf(5));
    cluster.setTopic("t", undefined);
    await quiet();
    expect(await offsetOf(cluster)).toBeUndefined();
    expect([...(cluster.logs[partitionOf.g]?.fold() ?? [])]).toEqual([]);
  });

  it("are noticed when a partition is loaded after they were made anew", async () => {
    const cluster = new TestCluster().openLogs();
    await cluster.coordinator.ask("g", commitOf(5));
    cluster.refusals[partitionOf.g] = ErrorCode.NOT_LEADER_OR_FOLLOWER;
    expect(await codeOf(cluster.coordinator.ask("g", { type: "describe" }))).toBe(
      ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    );
    cluster.setTopic("t", { topicId: "AAAAAAAAAAAAAAAAAAAAAg", partitionCount: 1 });
    cluster.refusals[partitionOf.g] = null;
    cluster.startSession();
    expect(await cluster.coordinator.listGroups()).toEqual([]);
  });
});

describe("listing groups", () => {
  it("names every group of every partition led here, and none that is only asked about", async () => {
    const cluster = new TestCluster().openLogs();
    await cluster.coordinator.ask("g", commitOf(1));
    await cluster.coordinator.ask("h", commitOf(1));
    await cluster.coordinator.ask("nobody", { type: "describe" });
    const groups = await cluster.coordinator.listGroups();
    expect(groups.map(({ groupId }) => groupId).sort()).toEqual(["g", "h"]);
  });

  it("is refused while a partition is being taken over, and empty before the topic exists", async () => {
    const cluster = new TestCluster();
    cluster.refusals[0] = ErrorCode.NOT_LEADER_OR_FOLLOWER;
    expect(await codeOf(cluster.coordinator.listGroups())).toBe(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS);
    cluster.ownerId = 2;
    expect(await cluster.coordinator.listGroups()).toEqual([]);
    const empty = new TestCluster({ hasOffsetsTopic: false });
    expect(await empty.coordinator.listGroups()).toEqual([]);
    expect(empty.image.topic(OFFSETS_TOPIC)).toBeUndefined();
  });
});

describe("a quiet coordinator", () => {
  it("does nothing for a week of a group that only keeps offsets, and then removes it", async () => {
    const cluster = new TestCluster().openLogs();
    await cluster.coordinator.ask("g", commitOf(1));
    const firedBefore = cluster.clock.firedCount;
    await cluster.pass(7 * 24 * 3_600_000 - 1);
    expect(cluster.clock.firedCount).toBe(firedBefore);
    await cluster.pass(1);
    expect(await cluster.coordinator.listGroups()).toEqual([]);
    expect(cluster.clock.pendingCount).toBe(0);
  });

  it("leaves no timer and no listener when it is closed, and answers 16 from then on", async () => {
    const cluster = new TestCluster().openLogs();
    const join = new Watched(cluster.coordinator.ask("g", joinOf()));
    await cluster.coordinator.ask("h", commitOf(1));
    await quiet();
    cluster.coordinator.close();
    await quiet();
    expect(errorCodeOf(join.error)).toBe(ErrorCode.NOT_COORDINATOR);
    expect(cluster.clock.pendingCount).toBe(0);
    expect(cluster.logs.map(({ wakerCount }) => wakerCount)).toEqual([0, 0]);
    expect(await codeOf(cluster.coordinator.ask("g", { type: "describe" }))).toBe(ErrorCode.NOT_COORDINATOR);
  });
});
