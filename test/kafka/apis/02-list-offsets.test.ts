// ListOffsets as clients see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  createListOffsetsPartition,
  createListOffsetsRequest,
  createListOffsetsTopic,
} from "../../../generated/testing/list-offsets-request.ts";
import { Compression } from "../../../src/records/compression.ts";
import { apis, BrokerWorld, batchOf, type TestClient, versionsOf } from "../broker-world.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
  await client.createTopic("log", 2);
  // Offsets 0-2 at 1000-1002, 3-4 at 2000-2001, 5-7 at 1500-1502.
  await client.produce({ topic: "log" }, batchOf(["a", "b", "c"], { timestampMs: 1_000 }));
  await client.produce({ topic: "log" }, batchOf(["d", "e"], { timestampMs: 2_000 }));
  const compressed = { timestampMs: 1_500, compression: Compression.GZIP };
  await client.produce({ topic: "log" }, batchOf(["f", "g", "h"], compressed));
});
afterAll(() => world.stop());

interface Asked {
  topic?: string;
  partition?: number;
  timestamp: bigint;
  currentLeaderEpoch?: number;
  isolationLevel?: number;
  maxNumOffsets?: number;
}

async function list(version: number, asked: readonly Asked[]) {
  const request = createListOffsetsRequest({
    replicaId: -1,
    ...(asked[0]?.isolationLevel ? { isolationLevel: asked[0].isolationLevel } : {}),
    topics: asked.map(({ topic = "log", partition = 0, timestamp, currentLeaderEpoch, maxNumOffsets }) =>
      createListOffsetsTopic({
        name: topic,
        partitions: [
          createListOffsetsPartition({
            partitionIndex: partition,
            timestamp,
            ...(currentLeaderEpoch === undefined ? {} : { currentLeaderEpoch }),
            ...(maxNumOffsets === undefined ? {} : { maxNumOffsets }),
          }),
        ],
      }),
    ),
  });
  const answer = await client.call(apis.listOffsets, version, request);
  return answer.topics.flatMap(({ partitions }) => partitions);
}

async function listOne(version: number, asked: Asked) {
  const [partition] = await list(version, [asked]);
  if (!partition) throw new Error("the answer to ListOffsets has no partition");
  return partition;
}

describe("ListOffsets", () => {
  it.each(versionsOf(2, 1))("version %i answers the end and the start without a timestamp", async (version) => {
    const latest = await listOne(version, { timestamp: -1n });
    expect(latest).toMatchObject({ errorCode: 0, offset: 8, timestamp: -1 });
    const earliest = await listOne(version, { timestamp: -2n });
    expect(earliest).toMatchObject({ errorCode: 0, offset: 0, timestamp: -1 });
    expect(latest.leaderEpoch).toBe(version >= 4 ? 1 : -1);
  });

  it("version 0 answers a list of offsets, the newest first, as many as were asked for", async () => {
    expect((await listOne(0, { timestamp: -1n, maxNumOffsets: 5 })).oldStyleOffsets).toEqual([8, 0]);
    expect((await listOne(0, { timestamp: -1n, maxNumOffsets: 1 })).oldStyleOffsets).toEqual([8]);
    expect((await listOne(0, { timestamp: -2n, maxNumOffsets: 5 })).oldStyleOffsets).toEqual([0]);
    expect((await listOne(0, { timestamp: 2_000n, maxNumOffsets: 5 })).oldStyleOffsets).toEqual([3]);
  });

  it.each(versionsOf(2, 1))("version %i finds the exact record for a time", async (version) => {
    const cases: [bigint, number, number][] = [
      [0n, 0, 1_000],
      [1_001n, 1, 1_001],
      [1_003n, 3, 2_000],
      [1_501n, 3, 2_000],
      [2_001n, 4, 2_001],
    ];
    for (const [timestamp, offset, found] of cases) {
      expect(await listOne(version, { timestamp })).toMatchObject({ errorCode: 0, offset, timestamp: found });
    }
  });

  it.each(versionsOf(2, 1))("version %i answers -1 and no error for a time after every record", async (version) => {
    const later = await listOne(version, { timestamp: 2_002n });
    expect(later).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
    const last = await listOne(version, { timestamp: 0x7fff_ffff_ffff_ffffn });
    expect(last).toMatchObject({ errorCode: 0, offset: -1 });
  });

  it.each(versionsOf(2, 1))("version %i knows each special time from its own version on", async (version) => {
    const firstVersions: [bigint, number][] = [
      [-3n, 7],
      [-4n, 8],
      [-5n, 9],
      [-6n, 11],
    ];
    for (const [timestamp, firstVersion] of firstVersions) {
      const { errorCode } = await listOne(version, { timestamp });
      expect(errorCode).toBe(version >= firstVersion ? 0 : ErrorCode.UNSUPPORTED_VERSION);
    }
    expect((await listOne(version, { timestamp: -7n })).errorCode).toBe(ErrorCode.UNSUPPORTED_VERSION);
  });

  it.each(versionsOf(2, 7))("version %i finds the record with the largest timestamp", async (version) => {
    expect(await listOne(version, { timestamp: -3n })).toMatchObject({ offset: 4, timestamp: 2_001 });
    const empty = await listOne(version, { timestamp: -3n, partition: 1 });
    expect(empty).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
  });

  it("answers the local start as the start and tiers as absent", async () => {
    expect((await listOne(11, { timestamp: -4n })).offset).toBe(0);
    expect((await listOne(11, { timestamp: -5n })).offset).toBe(-1);
    expect((await listOne(11, { timestamp: -6n })).offset).toBe(-1);
  });

  it.each(versionsOf(2, 2))("version %i answers the last stable offset for read_committed", async (version) => {
    expect((await listOne(version, { timestamp: -1n, isolationLevel: 1 })).offset).toBe(8);
  });

  it.each(versionsOf(2))("version %i answers unknown partitions and topics with 3", async (version) => {
    const topic = await listOne(version, { topic: "nowhere", timestamp: -1n });
    expect(topic.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    const partition = await listOne(version, { partition: 2, timestamp: -1n });
    expect(partition.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  });

  it.each(versionsOf(2))("version %i refuses a partition that is listed twice", async (version) => {
    const answers = await list(version, [{ timestamp: -1n }, { timestamp: -2n }, { partition: 1, timestamp: -1n }]);
    const codes = answers.map(({ errorCode }) => errorCode);
    expect(codes).toEqual([ErrorCode.INVALID_REQUEST, ErrorCode.INVALID_REQUEST, 0]);
  });

  it.each(versionsOf(2, 4))("version %i compares the client's leader epoch with ours", async (version) => {
    const fenced = await listOne(version, { timestamp: -1n, currentLeaderEpoch: 0 });
    expect(fenced.errorCode).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    const unknown = await listOne(version, { timestamp: -1n, currentLeaderEpoch: 5 });
    expect(unknown.errorCode).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH);
  });
});
