// What one request may read, on a real socket: topics of a Metadata, partitions of a Fetch, bytes of its answer, sessions.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { FetchRequest } from "../../generated/kafka/fetch-request.ts";
import type { FetchResponse } from "../../generated/kafka/fetch-response.ts";
import { createFetchPartition, createFetchRequest, createFetchTopic } from "../../generated/testing/fetch-request.ts";
import { createMetadataRequest, createMetadataRequestTopic } from "../../generated/testing/metadata-request.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { iterateBatches } from "../../src/records/record-batch.ts";
import { apis, batchOf, produceOf } from "../kafka/broker-world.ts";
import { type SocketClient, SocketWorld } from "./socket-world.ts";

const MIB = 1024 * 1024;
const INT32_MAX = 0x7fff_ffff;

let world: SocketWorld;
let client: SocketClient;

beforeAll(async () => {
  world = await SocketWorld.start();
  client = await world.connect();
});
afterAll(async () => {
  expect(world.endedCount("bug")).toBe(0);
  expect(client.isOpen).toBe(true);
  await world.stop();
});

describe("a Metadata request", () => {
  const naming = (count: number) => {
    const topics = Array.from({ length: count }, (_, index) => createMetadataRequestTopic({ name: `absent-${index}` }));
    return createMetadataRequest({ topics, allowAutoTopicCreation: false });
  };

  it("names 10,000 topics, each of which is answered", async () => {
    const { topics } = await client.call(apis.metadata, 9, naming(10_000));
    expect(new Set(topics.map(({ errorCode }) => errorCode))).toEqual(new Set([ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]));
    expect(topics.length).toBe(10_000);
  });

  it.each([9, 13])("that names 10,001 is INVALID_REQUEST for all of them in version %i", async (version) => {
    const answer = await client.call(apis.metadata, version, naming(10_001));
    expect(answer.errorCode).toBe(version >= 13 ? ErrorCode.INVALID_REQUEST : ErrorCode.NONE);
    expect(new Set(answer.topics.map(({ errorCode }) => errorCode))).toEqual(new Set([ErrorCode.INVALID_REQUEST]));
  });
});

/** A Fetch of partitions 0 to `partitionCount` - 1 of each topic, from their starts. */
function fetchOf(
  topics: Readonly<Record<string, number>>,
  { partitionMaxBytes = INT32_MAX, ...fields }: Partial<FetchRequest> & { partitionMaxBytes?: number } = {},
): FetchRequest {
  return createFetchRequest({
    maxBytes: INT32_MAX,
    sessionEpoch: -1,
    topics: Object.entries(topics).map(([topic, partitionCount]) =>
      createFetchTopic({
        topic,
        partitions: Array.from({ length: partitionCount }, (_, partition) =>
          createFetchPartition({ partition, partitionMaxBytes }),
        ),
      }),
    ),
    ...fields,
  });
}

describe("a Fetch", () => {
  it("asks for 2,000 partitions, and for one more is INVALID_REQUEST", async () => {
    for (const name of ["wide-1", "wide-2", "wide-3"]) {
      expect(await client.createTopic(name, name === "wide-3" ? 1 : 1_000)).toBe(0);
    }
    const allowed = await client.call(apis.fetch, 11, fetchOf({ "wide-1": 1_000, "wide-2": 1_000 }));
    expect(allowed.errorCode).toBe(ErrorCode.NONE);
    expect(allowed.responses.map(({ partitions }) => partitions.length)).toEqual([1_000, 1_000]);
    const request = fetchOf({ "wide-1": 1_000, "wide-2": 1_000, "wide-3": 1 });
    const past = await client.call(apis.fetch, 11, request);
    expect([past.errorCode, past.responses]).toEqual([ErrorCode.INVALID_REQUEST, []]);
    // Before sessions there is no place for the code but each partition.
    const old = await client.call(apis.fetch, 6, request);
    const codes = old.responses.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode));
    expect([codes.length, new Set(codes)]).toEqual([2_001, new Set([ErrorCode.INVALID_REQUEST])]);
  });

  it("gathers no more partitions in a session either", async () => {
    const first = await client.call(apis.fetch, 11, fetchOf({ "wide-1": 1_000, "wide-2": 1_000 }, { sessionEpoch: 0 }));
    expect(first.sessionId).toBeGreaterThan(0);
    const { sessionId } = first;
    const more = await client.call(apis.fetch, 11, fetchOf({ "wide-3": 1 }, { sessionId, sessionEpoch: 1 }));
    expect(more.errorCode).toBe(ErrorCode.INVALID_REQUEST);
    const gone = await client.call(apis.fetch, 11, fetchOf({}, { sessionId, sessionEpoch: 2 }));
    expect(gone.errorCode).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
  });

  it("gets 55 MiB at most, in whole batches, however much it asks for", async () => {
    expect(await client.createTopic("large", 2)).toBe(0);
    const batch = encodeBatch([{ timestampMs: 1, key: null, value: new Uint8Array(1_000_000).fill(7) }]);
    const append = (partition: number) =>
      client.call(apis.produce, 9, produceOf([{ topic: "large", partition, batch }], 9));
    await Promise.all(Array.from({ length: 64 }, (_, index) => append(index % 2)));
    const got = await client.call(apis.fetch, 11, fetchOf({ large: 2 }));
    const sizes = recordBytes(got);
    const wholeBatches = Math.floor((55 * MIB) / batch.length);
    expect(sizes.reduce((sum, bytes) => sum + bytes, 0)).toBe(wholeBatches * batch.length);
    expect(sizes).toEqual([32 * batch.length, (wholeBatches - 32) * batch.length]);
  });

  it("gets exactly what the broker's limit holds, and a byte less one batch less", async () => {
    const batch = batchOf(["x".repeat(1_000)]);
    const gets = async (fetchBytesMax: number) => {
      const limited = await SocketWorld.start({ kafka: { fetchBytesMax } });
      const reader = await limited.connect();
      await reader.createTopic("log", 2);
      const append = (partition: number) =>
        reader.call(apis.produce, 9, produceOf([{ topic: "log", partition, batch }], 9));
      await Promise.all([0, 0, 1, 1].map(append));
      const bytes = recordBytes(await reader.call(apis.fetch, 11, fetchOf({ log: 2 })));
      await limited.stop();
      return bytes.map((each) => each / batch.length);
    };
    expect(await gets(4 * batch.length)).toEqual([2, 2]);
    expect(await gets(4 * batch.length - 1)).toEqual([2, 1]);
    // The first batch is whole however small the limit.
    expect(await gets(batch.length - 1)).toEqual([1, 0]);
    expect(await gets(1)).toEqual([1, 0]);
  });

  it("gets its first batch whole when its own limits are smaller, and then no other", async () => {
    expect(await client.createTopic("oversize", 2)).toBe(0);
    const batch = batchOf(["x".repeat(5_000)]);
    const entries = [0, 1].map((partition) => ({ topic: "oversize", partition, batch }));
    await client.call(apis.produce, 9, produceOf(entries, 9));
    const byPartition = await client.call(apis.fetch, 11, fetchOf({ oversize: 2 }, { partitionMaxBytes: 1 }));
    expect(recordBytes(byPartition)).toEqual([batch.length, 0]);
    const byRequest = await client.call(apis.fetch, 11, fetchOf({ oversize: 2 }, { maxBytes: 1 }));
    expect(recordBytes(byRequest)).toEqual([batch.length, 0]);
    const [only] = [...iterateBatches(byRequest.responses[0]?.partitions[0]?.records?.[0] ?? new Uint8Array(0))];
    expect(only?.computeCrc()).toBe(only?.crc);
  });

  it("as a replica of another broker is refused", async () => {
    const answer = await client.call(apis.fetch, 11, fetchOf({ oversize: 1 }, { replicaId: 1 }));
    expect(answer.errorCode).toBe(ErrorCode.CLUSTER_AUTHORIZATION_FAILED);
  });

  it("with nothing in it is answered at once", async () => {
    const nothing = [
      fetchOf({}),
      fetchOf({ oversize: 0 }),
      createFetchRequest({ maxWaitMs: 600_000, sessionEpoch: -1 }),
    ];
    for (const request of nothing) {
      expect((await client.call(apis.fetch, 11, request)).errorCode).toBe(ErrorCode.NONE);
    }
  });
});

/** The bytes of records in each partition of an answer. */
function recordBytes({ responses }: FetchResponse): number[] {
  return responses.flatMap(({ partitions }) =>
    partitions.map(({ records }) => (records ?? []).reduce((sum, bytes) => sum + bytes.length, 0)),
  );
}

describe("fetch sessions", () => {
  const create = (of: SocketClient) => of.call(apis.fetch, 11, fetchOf({ log: 1 }, { sessionEpoch: 0 }));
  const goOn = async (of: SocketClient, sessionId: number, sessionEpoch = 1) =>
    (await of.call(apis.fetch, 11, fetchOf({}, { sessionId, sessionEpoch }))).errorCode;

  it("are 1,000: one more takes the place of the one used longest ago, whose id is then unknown", async () => {
    const limited = await SocketWorld.start({ kafka: { fetchSessionEvictionMs: 0 } });
    const reader = await limited.connect();
    await reader.createTopic("log");
    const sessions = await Promise.all(Array.from({ length: 1_000 }, () => create(reader)));
    const ids = sessions.map(({ sessionId }) => sessionId);
    expect(new Set(ids).size).toBe(1_000);
    expect(ids).not.toContain(0);
    const [first = 0, second = 0, third = 0] = ids;
    expect(await goOn(reader, first)).toBe(ErrorCode.NONE);
    expect((await create(reader)).sessionId).toBeGreaterThan(0);
    expect(await goOn(reader, second)).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
    expect(await goOn(reader, first, 2)).toBe(ErrorCode.NONE);
    expect(await goOn(reader, third)).toBe(ErrorCode.NONE);
    await limited.stop();
  });

  it("that are all in use are not taken away: the request is served without one", async () => {
    const limited = await SocketWorld.start({ kafka: { fetchSessionsMax: 3 } });
    const reader = await limited.connect();
    await reader.createTopic("log");
    await reader.call(apis.produce, 9, produceOf([{ topic: "log", batch: batchOf(["a"]) }], 9));
    const kept = [await create(reader), await create(reader), await create(reader)];
    const declined = await create(reader);
    expect(declined.sessionId).toBe(0);
    expect(recordBytes(declined)).toEqual(recordBytes(kept[0] as FetchResponse));
    for (const { sessionId } of kept) expect(await goOn(reader, sessionId)).toBe(ErrorCode.NONE);
    await limited.stop();
  });

  it("refuse an id that does not exist and an epoch that is not the next", async () => {
    await client.createTopic("log");
    const { sessionId } = await create(client);
    expect(await goOn(client, sessionId, 2)).toBe(ErrorCode.INVALID_FETCH_SESSION_EPOCH);
    expect(await goOn(client, sessionId === 1 ? 2 : sessionId - 1)).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
    expect(await goOn(client, sessionId, 1)).toBe(ErrorCode.NONE);
  });
});
