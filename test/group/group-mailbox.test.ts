// What the shell promises whatever the machine does: no reply runs ahead of a commit, and a lost group answers everybody.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { GroupRecord } from "../../src/group/group.ts";
import { GroupMailbox } from "../../src/group/group-mailbox.ts";
import { defaultGroupSettings } from "../../src/group/group-settings.ts";
import { InvariantError } from "../../src/invariant.ts";
import { errorCodeOf, KafkaError } from "../../src/kafka-error.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { commitOf, joinOf, quiet, TOPIC_ID, Watched } from "./test-cluster.ts";

interface HeldWrite {
  readonly records: readonly GroupRecord[];
  readonly commit: () => void;
  readonly refuse: (code: ErrorCode) => void;
  readonly break: (bug: Error) => void;
}

/** A mailbox whose writes the test settles. */
class Bench {
  readonly clock = new SimClock();
  readonly writes: HeldWrite[] = [];
  /** Offset of `t`-0 in committed records. */
  committed = -1;
  vacancies: boolean[] = [];
  bugs: unknown[] = [];
  isProven = true;
  readonly mailbox = new GroupMailbox("g", {
    clock: this.clock,
    settings: defaultGroupSettings,
    append: (records) => this.#append(records),
    requireProven: () => {
      if (!this.isProven) throw new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "unproven, says the test");
    },
    onVacant: (hasFailed) => this.vacancies.push(hasFailed),
    onBug: (error) => this.bugs.push(error),
  });

  #append(records: readonly GroupRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const commit = () => {
        for (const record of records) if (record.type === "offset") this.committed = record.committed.offset;
        resolve();
      };
      const refuse = (code: ErrorCode) => reject(new KafkaError(code, "refused by the test"));
      this.writes.push({ records, commit, refuse, break: reject });
    });
  }

  commit(offset: number): Watched<{ readonly errorCodes: readonly ErrorCode[] }> {
    return new Watched(this.mailbox.ask(commitOf(offset)));
  }

  /** The offset of `t`-0 as a reader gets it. */
  async read(): Promise<number> {
    const partitions = [{ topic: "t", topicId: TOPIC_ID, partition: 0 }];
    const reply = await this.mailbox.ask({ type: "fetch-offsets", partitions });
    return reply.partitions[0]?.committed?.offset ?? -1;
  }
}

describe("a group's mailbox", () => {
  it("answers a commit after its write is committed, not before", async () => {
    const bench = new Bench();
    const commit = bench.commit(5);
    await quiet();
    expect(commit.isSettled).toBe(false);
    bench.writes[0]?.commit();
    await quiet();
    expect(commit.value?.errorCodes).toEqual([ErrorCode.NONE]);
  });

  it("answers reads with the newest state, once that is committed", async () => {
    const bench = new Bench();
    bench.commit(5);
    const read = new Watched(bench.read());
    bench.commit(6);
    const later = new Watched(bench.read());
    bench.writes[1]?.commit();
    await quiet();
    expect([read.isSettled, later.isSettled], "the second write does not stand without the first").toEqual([
      false,
      false,
    ]);
    bench.writes[0]?.commit();
    await quiet();
    expect([read.value, later.value]).toEqual([5, 6]);
  });

  it("answers at once when nothing is on its way", async () => {
    const bench = new Bench();
    const read = new Watched(bench.read());
    await Promise.resolve();
    await quiet();
    expect(read.value).toBe(-1);
  });

  it("writes nothing for a commit that changes nothing, and still waits for the one it repeats", async () => {
    const bench = new Bench();
    bench.commit(5);
    const again = bench.commit(5);
    await quiet();
    expect(bench.writes).toHaveLength(1);
    expect(again.isSettled).toBe(false);
    bench.writes[0]?.commit();
    await quiet();
    expect(again.value?.errorCodes).toEqual([ErrorCode.NONE]);
  });

  it("gives up the group when a write fails: everybody hears it, and the group is read anew when all have settled", async () => {
    const bench = new Bench();
    const first = bench.commit(5);
    const second = bench.commit(6);
    const read = new Watched(bench.read());
    bench.writes[0]?.refuse(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    await quiet();
    const codes = [first, second, read].map(({ error }) => errorCodeOf(error));
    expect(codes).toEqual([ErrorCode.NOT_COORDINATOR, ErrorCode.NOT_COORDINATOR, ErrorCode.NOT_COORDINATOR]);
    expect(bench.vacancies, "the second write may still come through").toEqual([]);
    const early = new Watched(bench.read());
    await quiet();
    expect(errorCodeOf(early.error)).toBe(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS);
    bench.writes[1]?.commit();
    await quiet();
    expect(bench.vacancies).toEqual([true]);
  });

  it("answers nothing without a proof that it coordinates still, but what a commit has proven", async () => {
    const bench = new Bench();
    const commit = bench.commit(5);
    const parked = new Watched(bench.mailbox.ask(joinOf()));
    bench.isProven = false;
    bench.writes[0]?.commit();
    await quiet();
    expect(commit.value?.errorCodes).toEqual([ErrorCode.NONE]);
    await bench.clock.advance(defaultGroupSettings.initialRebalanceDelayMs + 1);
    expect(errorCodeOf(parked.error)).toBe(ErrorCode.NOT_COORDINATOR);
    const heartbeat = { type: "heartbeat", memberId: "m", generation: 1, instanceId: null } as const;
    const asked = [new Watched(bench.mailbox.ask(heartbeat)), new Watched(bench.mailbox.ask({ type: "describe" }))];
    await quiet();
    expect(asked.map(({ error }) => errorCodeOf(error))).toEqual([
      ErrorCode.NOT_COORDINATOR,
      ErrorCode.NOT_COORDINATOR,
    ]);
    bench.isProven = true;
    expect(await bench.read()).toBe(5);
  });

  it("says 15 where the outcome is unknown or the store was too slow", async () => {
    for (const code of [ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_ENOUGH_REPLICAS]) {
      const bench = new Bench();
      const commit = bench.commit(5);
      bench.writes[0]?.refuse(code);
      await quiet();
      expect(errorCodeOf(commit.error)).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    }
  });

  it("tells of a write that failed by a bug, also when nobody waits for it any more", async () => {
    const bench = new Bench();
    const [first, second] = [bench.commit(5), bench.commit(6)];
    bench.writes[0]?.refuse(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    await quiet();
    expect([errorCodeOf(first.error), errorCodeOf(second.error)]).toEqual([
      ErrorCode.NOT_COORDINATOR,
      ErrorCode.NOT_COORDINATOR,
    ]);
    expect(bench.bugs).toEqual([]);
    const bug = new InvariantError("broken");
    bench.writes[1]?.break(bug);
    await quiet();
    expect(bench.bugs).toEqual([bug]);
  });

  it("answers parked members and stops every timer when it is closed", async () => {
    const bench = new Bench();
    const join = new Watched(bench.mailbox.ask(joinOf()));
    await quiet();
    expect(join.isSettled).toBe(false);
    expect(bench.clock.pendingCount).toBeGreaterThan(0);
    bench.mailbox.close(new KafkaError(ErrorCode.NOT_COORDINATOR, "moved"));
    await quiet();
    expect(errorCodeOf(join.error)).toBe(ErrorCode.NOT_COORDINATOR);
    expect(bench.clock.pendingCount).toBe(0);
  });

  it("is vacant after a question about a group nobody knows", async () => {
    const bench = new Bench();
    const reply = await bench.mailbox.ask({ type: "describe" });
    expect(reply.group).toBeUndefined();
    expect(bench.mailbox.isVacant).toBe(true);
    expect(bench.vacancies).toEqual([false]);
  });

  it("never shows an offset that is not committed, whatever the order of requests and commits", async () => {
    const action = fc.constantFrom("commit", "read", "settle");
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 40 }), async (actions) => {
        const bench = new Bench();
        const shown: Promise<void>[] = [];
        let offset = 0;
        let settled = 0;
        for (const next of actions) {
          if (next === "settle" && settled < bench.writes.length) bench.writes[settled++]?.commit();
          const mine = ++offset;
          if (next === "commit") {
            shown.push(
              bench.mailbox.ask(commitOf(mine)).then(() => expect(bench.committed).toBeGreaterThanOrEqual(mine)),
            );
          }
          if (next === "read")
            shown.push(bench.read().then((seen) => expect(bench.committed).toBeGreaterThanOrEqual(seen)));
          await Promise.resolve();
        }
        while (settled < bench.writes.length) bench.writes[settled++]?.commit();
        await Promise.all(shown);
        expect(bench.committed).toBe(await bench.read());
      }),
      { numRuns: 300 },
    );
  });
});
