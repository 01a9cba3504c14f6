// Fetch sessions by themselves: creation, eviction, epochs and fairness.
import { beforeEach, describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import {
  type FetchNews,
  type FetchPartition,
  FetchSessions,
  type FetchTarget,
} from "../../src/kafka/fetch-sessions.ts";
import { ZERO_TOPIC_ID } from "../../src/topic-partition.ts";
import { SimRandom } from "../sim/sim-random.ts";
import { ManualClock } from "./manual-clock.ts";

const settings = { fetchSessionsMax: 2, fetchSessionEvictionMs: 1_000, fetchPartitionsMax: 3 };
let clock: ManualClock;
let sessions: FetchSessions;

beforeEach(() => {
  clock = new ManualClock();
  sessions = new FetchSessions({ clock, random: new SimRandom("sessions") }, settings);
});

function partitionOf(partition: number, fetchOffset = 0): FetchPartition {
  const epochs = { currentLeaderEpoch: -1, lastFetchedEpoch: -1 };
  return { topic: "t", topicId: ZERO_TOPIC_ID, partition, fetchOffset, partitionBytesMax: 1_000, ...epochs };
}

function newsOf(fields: Partial<FetchNews> = {}): FetchNews {
  return { highWatermark: 0, logStart: 0, isNoteworthy: false, isError: false, ...fields };
}

interface Asked {
  sessionId?: number;
  epoch: number;
  partitions?: readonly FetchPartition[];
  forgotten?: readonly FetchTarget[];
  usesTopicIds?: boolean;
}

function open({ sessionId = 0, epoch, partitions = [], forgotten = [], usesTopicIds = false }: Asked) {
  return sessions.open({ sessionId, sessionEpoch: epoch, usesTopicIds, partitions, forgotten });
}

/** Answers everything with the same news; the session id of the answer and the partitions it mentions. */
function answer(asked: Asked, news: (partition: number) => FetchNews = () => newsOf()) {
  const scope = open(asked);
  const told = scope.partitions.filter((partition) => scope.tell(partition, news(partition.partition)));
  return { sessionId: scope.close(), told: told.map(({ partition }) => partition) };
}

function create(...partitions: number[]): number {
  return answer({ epoch: 0, partitions: partitions.map((partition) => partitionOf(partition)) }).sessionId;
}

describe("fetch sessions", () => {
  it("make no session for epoch -1, nor for a request without partitions", () => {
    expect(answer({ epoch: -1, partitions: [partitionOf(0)] })).toEqual({ sessionId: 0, told: [0] });
    expect(answer({ epoch: 0 })).toEqual({ sessionId: 0, told: [] });
    expect(sessions.sessionCount).toBe(0);
  });

  it("decline the session past the limit while all are in use, and evict the least recently used old one", async () => {
    const first = create(0);
    await clock.advance(600);
    const second = create(0);
    expect(create(0)).toBe(0);
    answer({ sessionId: first, epoch: 1 });
    await clock.advance(1_000);
    const third = create(0);
    expect(third).toBeGreaterThan(0);
    expect(() => open({ sessionId: second, epoch: 1 })).toThrow("FETCH_SESSION_ID_NOT_FOUND");
    expect(answer({ sessionId: first, epoch: 2 }).sessionId).toBe(first);
  });

  it("close the old session when a request asks for a new one or for none", () => {
    const first = create(0);
    const again = answer({ sessionId: first, epoch: 0, partitions: [partitionOf(1)] });
    expect(again.sessionId).not.toBe(first);
    expect(sessions.sessionCount).toBe(1);
    expect(answer({ sessionId: again.sessionId, epoch: -1, partitions: [partitionOf(1)] }).sessionId).toBe(0);
    expect(sessions.sessionCount).toBe(0);
  });

  it("refuse an epoch that is not the next, and stay usable at the right one", () => {
    const sessionId = create(0);
    for (const epoch of [2, 5, 0x7fff_ffff]) expect(() => open({ sessionId, epoch })).toThrow("FETCH_SESSION_EPOCH");
    expect(answer({ sessionId, epoch: 1 }).sessionId).toBe(sessionId);
    expect(() => open({ sessionId, epoch: 1 })).toThrow("FETCH_SESSION_EPOCH");
  });

  it("mention a partition for data, an error, a moved watermark or a moved start, and else not", () => {
    const sessionId = create(0, 1);
    const next = (epoch: number, news: FetchNews) =>
      answer({ sessionId, epoch }, (p) => (p === 1 ? news : newsOf())).told;
    expect(next(1, newsOf())).toEqual([]);
    expect(next(2, newsOf({ highWatermark: 5 }))).toEqual([1]);
    expect(next(3, newsOf({ highWatermark: 5 }))).toEqual([]);
    expect(next(4, newsOf({ highWatermark: 5, logStart: 2 }))).toEqual([1]);
    expect(next(5, newsOf({ highWatermark: 5, logStart: 2, isNoteworthy: true }))).toEqual([1]);
    expect(next(6, newsOf({ highWatermark: -1, logStart: -1, isNoteworthy: true, isError: true }))).toEqual([1]);
    expect(next(7, newsOf({ highWatermark: 5, logStart: 2 }))).toEqual([1]);
    expect(next(8, newsOf({ highWatermark: 5, logStart: 2 }))).toEqual([]);
  });

  it("serve partitions that had records after those that had none", () => {
    const sessionId = create(0, 1, 2);
    answer({ sessionId, epoch: 1 }, (partition) => newsOf({ isNoteworthy: partition === 0, highWatermark: 1 }));
    expect(open({ sessionId, epoch: 2 }).partitions.map(({ partition }) => partition)).toEqual([1, 2, 0]);
  });

  it("take changed and forgotten partitions into account before they are evaluated", () => {
    const sessionId = create(0, 1);
    const scope = open({
      sessionId,
      epoch: 1,
      partitions: [partitionOf(0, 7), partitionOf(2)],
      forgotten: [{ topic: "t", topicId: ZERO_TOPIC_ID, partition: 1 }],
    });
    expect(scope.partitions.map(({ partition, fetchOffset }) => [partition, fetchOffset])).toEqual([
      [0, 7],
      [2, 0],
    ]);
  });

  it("drop a session that has become empty", () => {
    const sessionId = create(0);
    const forgotten = [{ topic: "t", topicId: ZERO_TOPIC_ID, partition: 0 }];
    expect(answer({ sessionId, epoch: 1, forgotten })).toEqual({ sessionId: 0, told: [] });
    expect(sessions.sessionCount).toBe(0);
  });

  it("hold exactly the limit of partitions, and end at one more with INVALID_REQUEST", () => {
    const sessionId = create(0, 1, 2);
    expect(answer({ sessionId, epoch: 1, partitions: [partitionOf(2)] }).sessionId).toBe(sessionId);
    try {
      open({ sessionId, epoch: 2, partitions: [partitionOf(3)] });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: ErrorCode.INVALID_REQUEST });
    }
    expect(sessions.sessionCount).toBe(0);
  });
});
