// One partition of groups on its own: what it reads from the fold, what it writes, and the places it takes and gives back.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { createGroup } from "../../src/group/group.ts";
import { GroupPartition } from "../../src/group/group-partition.ts";
import { defaultGroupSettings } from "../../src/group/group-settings.ts";
import { recordedGroup } from "../../src/group/group-turn.ts";
import { silentLog } from "../../src/host/log.ts";
import { errorCodeOf, KafkaError } from "../../src/kafka-error.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { HeldLog } from "./held-log.ts";
import { commitOf, joinOf, quiet, Watched } from "./test-cluster.ts";

class Places {
  taken = 0;

  open(log: HeldLog): GroupPartition {
    return new GroupPartition(log, {
      clock: new SimClock(),
      log: silentLog,
      settings: defaultGroupSettings,
      isTopicAlive: () => true,
      takePlace: () => {
        this.taken++;
        return true;
      },
      givePlaceBack: () => {
        this.taken--;
      },
      onBug: () => {},
    });
  }
}

describe("a partition of groups", () => {
  it("writes what its successor reads", async () => {
    const log = new HeldLog();
    log.isOpen = true;
    const places = new Places();
    const partition = places.open(log);
    await partition.ask("a", commitOf(1));
    await partition.ask("b", commitOf(2));
    const successor = places.open(log.succeed());
    const fetched = await Promise.all(successor.askAll({ type: "fetch-offsets", partitions: null }));
    expect(fetched.flatMap(({ partitions }) => partitions.map(({ committed }) => committed?.offset))).toEqual([1, 2]);
  });

  it("puts the records of one request into one batch", async () => {
    const log = new HeldLog();
    const [first] = commitOf(1).partitions;
    if (!first) throw new Error("a commit has a partition");
    const partitions = [first, { ...first, partition: 1 }];
    const commit = new Watched(new Places().open(log).ask("a", commitOf(1, { partitions })));
    await quiet();
    expect(log.appendCount).toBe(1);
    log.commit();
    await quiet();
    expect(commit.value?.errorCodes).toEqual([ErrorCode.NONE, ErrorCode.NONE]);
    expect([...log.fold()]).toHaveLength(2);
  });

  it("gives every place back: after questions, failures, and when it is closed with writes under way", async () => {
    const places = new Places();
    const log = new HeldLog();
    const partition = places.open(log);
    await partition.ask("nobody", { type: "describe" });
    expect(places.taken).toBe(0);
    const failed = new Watched(partition.ask("a", commitOf(1)));
    log.refuse(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    await quiet();
    expect(errorCodeOf(failed.error)).toBe(ErrorCode.NOT_COORDINATOR);
    expect(places.taken).toBe(0);
    const held = new Watched(partition.ask("b", commitOf(1)));
    const parked = new Watched(partition.ask("c", joinOf()));
    await quiet();
    expect(places.taken).toBe(2);
    partition.close(new KafkaError(ErrorCode.NOT_COORDINATOR, "moved"));
    await quiet();
    expect(places.taken).toBe(0);
    expect([held.isSettled, errorCodeOf(parked.error)]).toEqual([false, ErrorCode.NOT_COORDINATOR]);
    log.commit();
    await quiet();
    expect(held.value?.errorCodes, "what was committed is answered so").toEqual([ErrorCode.NONE]);
    expect(places.taken).toBe(0);
  });
});

describe("a recorded group", () => {
  it("is a snapshot: later changes of the group do not reach it", () => {
    const group = createGroup("g", defaultGroupSettings);
    const recorded = recordedGroup(group);
    group.generation = 5;
    expect(recorded.generation).toBe(0);
  });
});
