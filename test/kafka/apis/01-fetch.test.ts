// Fetch as clients see it, at every version: rows of the acceptance list as sentences.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createFetchPartition,
  createFetchRequest,
  createFetchTopic,
  createForgottenTopic,
} from "../../../generated/testing/fetch-request.ts";
import { Compression } from "../../../src/records/compression.ts";
import { iterateMessages } from "../../../src/records/message-set.ts";
import { iterateBatches } from "../../../src/records/record-batch.ts";
import { apis, BrokerWorld, batchOf, produceOf, type TestClient, valuesOf, versionsOf } from "../broker-world.ts";

let world: BrokerWorld;
let client: TestClient;
const ids = new Map<string, string>();

beforeAll(async () => {
  world = await BrokerWorld.start({ fetchPartitionsMax: 20 });
  client = await world.connect();
  for (const [name, partitions] of [
    ["log", 1],
    ["empty", 3],
    ["zstd", 1],
    ["wide", 4],
    ["gone", 1],
    ["live", 2],
  ] as const) {
    ids.set(name, await client.createTopic(name, partitions));
  }
  for (const values of [["a", "b", "c"], ["d", "e"], ["f"]]) await client.produce({ topic: "log" }, batchOf(values));
  await client.produce({ topic: "zstd" }, batchOf(["z"], { compression: Compression.ZSTD }));
  for (let partition = 0; partition < 4; partition++) {
    for (let index = 0; index < 3; index++) {
      await client.produce({ topic: "wide", partition }, batchOf(["x".repeat(1_000)]));
    }
  }
});
afterAll(() => world.stop());

interface Asked {
  topic: string;
  topicId?: string;
  partition?: number;
  offset?: number;
  bytesMax?: number;
  currentLeaderEpoch?: number;
  lastFetchedEpoch?: number;
}

interface Options {
  waitMs?: number;
  minBytes?: number;
  maxBytes?: number;
  sessionId?: number;
  sessionEpoch?: number;
  isolationLevel?: number;
  forgotten?: { topic: string; partitions: number[] }[];
}

function topicIdOf(topic: string): string {
  return ids.get(topic) ?? "AAAAAAAAAAAAAAAAAAAAAQ";
}

function requestOf(version: number, asked: readonly Asked[], options: Options = {}) {
  const named = (topic: string, topicId = topicIdOf(topic)) => (version >= 13 ? { topicId } : { topic });
  const { forgotten = [] } = options;
  return createFetchRequest({
    maxWaitMs: options.waitMs ?? 0,
    minBytes: options.minBytes ?? 1,
    ...(version >= 3 ? { maxBytes: options.maxBytes ?? 1 << 20 } : {}),
    ...(version >= 4 ? { isolationLevel: options.isolationLevel ?? 0 } : {}),
    ...(version >= 7 ? { sessionId: options.sessionId ?? 0, sessionEpoch: options.sessionEpoch ?? -1 } : {}),
    topics: asked.map(({ topic, topicId, partition = 0, offset = 0, bytesMax = 1 << 20, ...epochs }) =>
      createFetchTopic({
        ...named(topic, topicId),
        partitions: [createFetchPartition({ partition, fetchOffset: offset, partitionMaxBytes: bytesMax, ...epochs })],
      }),
    ),
    forgottenTopicsData: forgotten.map(({ topic, partitions }) =>
      createForgottenTopic({ ...named(topic), partitions }),
    ),
  });
}

async function fetch(version: number, asked: readonly Asked[], options: Options = {}) {
  return client.call(apis.fetch, version, requestOf(version, asked, options));
}

/** The answer for the one partition asked for. */
async function fetchOne(version: number, asked: Asked, options: Options = {}) {
  const answer = await fetch(version, [asked], options);
  const partition = answer.responses[0]?.partitions[0];
  if (!partition) throw new Error(`the answer to Fetch has no partition: error ${answer.errorCode}`);
  return partition;
}

/** The values of an answer of any version, with offsets. */
function readable(version: number, records: readonly Uint8Array[] | null): string[] {
  if (version >= 4) return valuesOf(records);
  const values: string[] = [];
  for (const bytes of records ?? []) {
    for (const { offset, value, magic } of iterateMessages(bytes)) {
      expect(magic).toBe(version >= 2 ? 1 : 0);
      values.push(`${offset}:${Buffer.from(value ?? new Uint8Array(0)).toString()}`);
    }
  }
  return values;
}

describe("Fetch", () => {
  it.each(versionsOf(1))(
    "version %i gives every record from the offset on, in the format of the version",
    async (version) => {
      const partition = await fetchOne(version, { topic: "log" });
      expect(partition.errorCode).toBe(0);
      expect(readable(version, partition.records)).toEqual(["0:a", "1:b", "2:c", "3:d", "4:e", "5:f"]);
      expect(partition.highWatermark).toBe(6);
      expect(partition.lastStableOffset).toBe(version >= 4 ? 6 : -1);
      expect(partition.logStartOffset).toBe(version >= 5 ? 0 : -1);
    },
  );

  it.each(versionsOf(1, 4))(
    "version %i gives the whole batch that contains an offset in its middle",
    async (version) => {
      const partition = await fetchOne(version, { topic: "log", offset: 1 });
      expect(valuesOf(partition.records)[0]).toBe("0:a");
      const [first] = iterateBatches((partition.records ?? [])[0] as Uint8Array);
      expect(first?.baseOffset).toBe(0);
    },
  );

  it.each(versionsOf(1))("version %i answers an empty partition with no bytes and its watermarks", async (version) => {
    const partition = await fetchOne(version, { topic: "empty" });
    expect(partition.errorCode).toBe(0);
    expect(partition.records).toEqual([]);
    expect(partition.highWatermark).toBe(0);
    expect(partition.logStartOffset).toBe(version >= 5 ? 0 : -1);
    expect(partition.preferredReadReplica).toBe(-1);
  });

  it.each(versionsOf(1))(
    "version %i answers the end with nothing, and what lies past it as out of range",
    async (version) => {
      expect((await fetchOne(version, { topic: "log", offset: 6 })).errorCode).toBe(0);
      const beyond = await fetchOne(version, { topic: "log", offset: 7 });
      expect(beyond.errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE);
      expect(beyond.records).toEqual([]);
      const before = await fetchOne(version, { topic: "log", offset: -1 });
      expect(before.errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE);
    },
  );

  it.each(versionsOf(1))("version %i answers unknown topics and partitions per partition", async (version) => {
    const topic = await fetchOne(version, { topic: "nowhere" });
    const unknown = version >= 13 ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    expect(topic.errorCode).toBe(unknown);
    const partition = await fetchOne(version, { topic: "log", partition: 1 });
    expect(partition.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  });

  it.each(versionsOf(1, 4))("version %i knows zstd from 10 on", async (version) => {
    const partition = await fetchOne(version, { topic: "zstd" });
    expect(partition.errorCode).toBe(version >= 10 ? 0 : ErrorCode.UNSUPPORTED_COMPRESSION_TYPE);
    expect(valuesOf(partition.records)).toEqual(version >= 10 ? ["0:z"] : []);
  });

  it.each(versionsOf(1, 9))("version %i compares the client's leader epoch with ours", async (version) => {
    expect((await fetchOne(version, { topic: "log", currentLeaderEpoch: 1 })).errorCode).toBe(0);
    const fenced = await fetchOne(version, { topic: "log", currentLeaderEpoch: 0 });
    expect(fenced.errorCode).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    const unknown = await fetchOne(version, { topic: "log", currentLeaderEpoch: 2 });
    expect(unknown.errorCode).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH);
  });

  it.each(versionsOf(1, 12))(
    "version %i says where a log that went on in an unknown epoch parts from ours",
    async (version) => {
      const same = await fetchOne(version, { topic: "log", offset: 3, lastFetchedEpoch: 1 });
      expect(same.divergingEpoch.endOffset).toBe(-1);
      expect(valuesOf(same.records).length).toBe(3);
      const beyond = await fetchOne(version, { topic: "log", offset: 9, lastFetchedEpoch: 1 });
      expect(beyond.errorCode).toBe(0);
      expect(beyond.divergingEpoch).toMatchObject({ epoch: 1, endOffset: 6 });
      expect(beyond.records).toEqual([]);
    },
  );

  it.each(versionsOf(1, 4))("version %i lists aborted transactions only for read_committed", async (version) => {
    const uncommitted = await fetchOne(version, { topic: "log" });
    const committed = await fetchOne(version, { topic: "log" }, { isolationLevel: 1 });
    expect(uncommitted.abortedTransactions).toBeNull();
    expect(committed.abortedTransactions).toEqual([]);
    expect(valuesOf(committed.records)).toEqual(valuesOf(uncommitted.records));
  });

  it.each(versionsOf(1))(
    "version %i refuses more partitions than the limit, and takes exactly that many",
    async (version) => {
      const asked = (count: number) => Array.from({ length: count }, () => ({ topic: "empty" }));
      expect((await fetch(version, asked(20))).responses[0]?.partitions[0]?.errorCode).toBe(0);
      const answer = await fetch(version, asked(21));
      const code = version >= 7 ? answer.errorCode : answer.responses[0]?.partitions[0]?.errorCode;
      expect(code).toBe(ErrorCode.INVALID_REQUEST);
    },
  );

  it("refuses the replica ids of brokers", async () => {
    const request = { ...requestOf(11, [{ topic: "log" }]), replicaId: 1 };
    expect((await client.call(apis.fetch, 11, request)).errorCode).toBe(ErrorCode.CLUSTER_AUTHORIZATION_FAILED);
  });
});

describe("limits of a Fetch", () => {
  it.each(versionsOf(1, 3))("version %i gives the first batch whole however small the limits", async (version) => {
    const partition = await fetchOne(version, { topic: "wide", bytesMax: 1 }, { maxBytes: 1 });
    expect(readable(version, partition.records).length).toBe(1);
  });

  it.each([0, 1, 2])("version %i never gives more than the partition's limit", async (version) => {
    const partition = await fetchOne(version, { topic: "wide", bytesMax: 300 });
    expect(Buffer.concat(partition.records ?? []).length).toBe(300);
  });

  it.each(versionsOf(1, 4))(
    "version %i gives only the first partition when one batch fills the answer",
    async (version) => {
      const asked = [0, 1, 2].map((partition) => ({ topic: "wide", partition }));
      const answer = await fetch(version, asked, { maxBytes: 500 });
      const counts = answer.responses.flatMap(({ partitions }) =>
        partitions.map(({ records }) => valuesOf(records).length),
      );
      expect(counts).toEqual([1, 0, 0]);
    },
  );

  it("skips an empty partition in favour of the first that has records", async () => {
    const answer = await fetch(11, [{ topic: "empty" }, { topic: "wide" }], { maxBytes: 1 });
    const counts = answer.responses.map(({ partitions }) => valuesOf(partitions[0]?.records ?? []).length);
    expect(counts).toEqual([0, 1]);
  });

  it("shares the bytes of the request among partitions in whole batches", async () => {
    const asked = [0, 1, 2, 3].map((partition) => ({ topic: "wide", partition }));
    const answer = await fetch(11, asked, { maxBytes: 5_500 });
    const partitions = answer.responses.flatMap(({ partitions: each }) => each);
    const bytes = partitions.reduce((sum, { records }) => sum + Buffer.concat(records ?? []).length, 0);
    expect(bytes).toBeLessThanOrEqual(5_500);
    expect(partitions.map(({ records }) => valuesOf(records).length)).toEqual([3, 2, 0, 0]);
  });
});

describe("a waiting Fetch", () => {
  it("waits its time when there is too little, and answers what there is", async () => {
    const before = world.clock.monotonicMs();
    const partition = await fetchOne(11, { topic: "empty" }, { waitMs: 700 });
    expect(partition.records).toEqual([]);
    expect(world.clock.monotonicMs() - before).toBeGreaterThanOrEqual(700);
    expect(world.clock.monotonicMs() - before).toBeLessThan(800);
  });

  it("answers at once when a record arrives", async () => {
    const other = await world.connect();
    const waiting = client.send(apis.fetch, 11, requestOf(11, [{ topic: "live" }], { waitMs: 30_000 }));
    await world.clock.advance(100);
    const before = world.clock.monotonicMs();
    await other.produce({ topic: "live" }, batchOf(["now"]));
    const answer = await world.clock.complete(waiting);
    expect(valuesOf(answer.responses[0]?.partitions[0]?.records ?? [])).toEqual(["0:now"]);
    expect(world.clock.monotonicMs() - before).toBeLessThan(1_000);
  });

  it("counts the bytes of all partitions towards min_bytes", async () => {
    const other = await world.connect();
    const asked = [
      { topic: "live", offset: 1 },
      { topic: "live", partition: 1 },
    ];
    const waiting = client.send(apis.fetch, 11, requestOf(11, asked, { waitMs: 30_000, minBytes: 1_500 }));
    await other.produce({ topic: "live", partition: 0 }, batchOf(["x".repeat(1_000)]));
    let isAnswered = false;
    void waiting.then(() => (isAnswered = true));
    await world.clock.advance(1_000);
    expect(isAnswered).toBe(false);
    await other.produce({ topic: "live", partition: 1 }, batchOf(["x".repeat(1_000)]));
    await world.clock.complete(waiting, { untilMs: world.clock.monotonicMs() + 1_000 });
    expect(isAnswered).toBe(true);
  });

  it("does not wait when the request names nothing or a partition is refused", async () => {
    const before = world.clock.monotonicMs();
    await fetch(11, [], { waitMs: 30_000 });
    await fetch(11, [{ topic: "empty" }, { topic: "nowhere" }], { waitMs: 30_000 });
    expect(world.clock.monotonicMs() - before).toBeLessThan(5_000);
  });

  it("is answered when its topic is deleted", async () => {
    const other = await world.connect();
    const waiting = client.send(apis.fetch, 13, requestOf(13, [{ topic: "gone" }], { waitMs: 60_000 }));
    await world.clock.advance(100);
    const before = world.clock.monotonicMs();
    await other.call(apis.deleteTopics, 5, { topics: [], topicNames: ["gone"], timeoutMs: 10_000, unknownTags: null });
    const answer = await world.clock.complete(waiting);
    expect([ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]).toContain(
      answer.responses[0]?.partitions[0]?.errorCode,
    );
    expect(world.clock.monotonicMs() - before).toBeLessThan(10_000);
  });

  it("keeps the order of answers: what is asked behind it is answered behind it", async () => {
    const own = await world.connect();
    const order: string[] = [];
    const waiting = own.send(apis.fetch, 11, requestOf(11, [{ topic: "empty" }], { waitMs: 500 }));
    const behind = own.send(apis.fetch, 11, requestOf(11, [{ topic: "log" }]));
    void waiting.then(() => order.push("waiting"));
    void behind.then(() => order.push("behind"));
    await world.clock.complete(Promise.all([waiting, behind]));
    expect(order).toEqual(["waiting", "behind"]);
  });
});

describe("fetch sessions", () => {
  it.each(versionsOf(1, 7))("version %i answers only partitions with news once a session exists", async (version) => {
    const topic = `session-${version}`;
    ids.set(topic, await client.createTopic(topic, 2));
    const asked = [
      { topic, partition: 0 },
      { topic, partition: 1 },
    ];
    const created = await fetch(version, asked, { sessionEpoch: 0 });
    expect(created.sessionId).toBeGreaterThan(0);
    expect(created.responses.flatMap(({ partitions }) => partitions).length).toBe(2);
    const { sessionId } = created;
    const quiet = await fetch(version, [], { sessionId, sessionEpoch: 1 });
    expect(quiet).toMatchObject({ errorCode: 0, sessionId, responses: [] });
    await client.produce({ topic, partition: 1 }, batchOf(["a"]));
    const news = await fetch(version, [], { sessionId, sessionEpoch: 2 });
    const partitions = news.responses.flatMap(({ partitions: each }) => each);
    expect(partitions.map(({ partitionIndex }) => partitionIndex)).toEqual([1]);
    expect(valuesOf(partitions[0]?.records ?? [])).toEqual(["0:a"]);
    const moved = await fetch(version, [{ topic, partition: 1, offset: 1 }], { sessionId, sessionEpoch: 3 });
    expect(moved.responses).toEqual([]);
    const forgot = { sessionId, sessionEpoch: 4, forgotten: [{ topic, partitions: [1] }] };
    await fetch(version, [], forgot);
    await client.produce({ topic, partition: 1 }, batchOf(["b"]));
    expect((await fetch(version, [], { sessionId, sessionEpoch: 5 })).responses).toEqual([]);
  });

  it("answers an unknown session, a wrong epoch and a change to topic ids with their codes and no topics", async () => {
    const unknown = await fetch(12, [], { sessionId: 12_345, sessionEpoch: 1 });
    expect(unknown).toMatchObject({ errorCode: ErrorCode.FETCH_SESSION_ID_NOT_FOUND, sessionId: 0, responses: [] });
    const { sessionId } = await fetch(12, [{ topic: "log" }], { sessionEpoch: 0 });
    const wrong = await fetch(12, [], { sessionId, sessionEpoch: 7 });
    expect(wrong).toMatchObject({ errorCode: ErrorCode.INVALID_FETCH_SESSION_EPOCH, responses: [] });
    const mixed = await fetch(13, [], { sessionId, sessionEpoch: 1 });
    expect(mixed.errorCode).toBe(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR);
  });

  it("keeps an unknown topic id in the session and tells its error", async () => {
    const asked = [{ topic: "log" }, { topic: "nowhere" }];
    const created = await fetch(13, asked, { sessionEpoch: 0 });
    const codes = created.responses.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode));
    expect(codes).toEqual([0, ErrorCode.UNKNOWN_TOPIC_ID]);
    const again = await fetch(13, [{ topic: "log", offset: 6 }], { sessionId: created.sessionId, sessionEpoch: 1 });
    expect(again.responses.map(({ partitions }) => partitions[0]?.errorCode)).toEqual([ErrorCode.UNKNOWN_TOPIC_ID]);
  });
});

describe("a Fetch under memory pressure", () => {
  it("waits for room instead of reading beyond the budget, and answers nothing when none comes", async () => {
    const tight = await BrokerWorld.start({}, { requestBudgetBytes: 4_000 });
    const one = await tight.connect();
    await one.createTopic("log");
    for (let index = 0; index < 6; index++) await one.produce({ topic: "log" }, batchOf(["x".repeat(900)]));
    const answer = await one.call(apis.fetch, 11, requestOf(11, [{ topic: "log" }]));
    const values = valuesOf(answer.responses[0]?.partitions[0]?.records ?? []);
    expect(values.length).toBeGreaterThan(0);
    expect(values.length).toBeLessThan(6);
    await tight.stop();
  });
});

describe("pipelined produce and fetch", () => {
  it("show a record to a fetch that was sent after its acknowledgement", async () => {
    const own = await world.connect();
    await own.createTopic("pipelined");
    await own.call(apis.produce, 9, produceOf([{ topic: "pipelined", batch: batchOf(["a"]) }], 9));
    const partition = await fetchOne(11, { topic: "pipelined" });
    expect(valuesOf(partition.records)).toEqual(["0:a"]);
  });
});
