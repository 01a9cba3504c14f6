// Requests on a real socket that cannot be read or are not served: keys, versions, tagged fields, array counts, mutated
// bodies. The connection ends as in Kafka, one counter moves, and nobody else notices.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { createApiVersionsRequest } from "../../generated/testing/api-versions-request.ts";
import { createFetchPartition, createFetchRequest, createFetchTopic } from "../../generated/testing/fetch-request.ts";
import { createJoinGroupRequest, createJoinGroupRequestProtocol } from "../../generated/testing/join-group-request.ts";
import { createMetadataRequest, createMetadataRequestTopic } from "../../generated/testing/metadata-request.ts";
import { handlers } from "../../src/kafka/handlers.ts";
import { Reader } from "../../src/wire/reader.ts";
import { apis, batchOf, produceOf } from "../kafka/broker-world.ts";
import { rawFrame } from "../kafka/raw-client.ts";
import { answerOf, framed, frameOf, tagSection, uvarint } from "./framed-request.ts";
import { type SocketClient, SocketWorld } from "./socket-world.ts";

const KIB = 1024;

let world: SocketWorld;
let witness: SocketClient;

beforeAll(async () => {
  world = await SocketWorld.start();
  witness = await world.connect("witness");
  expect(await witness.createTopic("log")).toBe(0);
});
afterAll(async () => {
  expect(world.endedCount("bug")).toBe(0);
  await world.stop();
});

/** What one frame on a connection of its own leads to, and how many connections ended for `reason` meanwhile. */
async function send(frame: Uint8Array, reason = "unreadable request") {
  const before = world.endedCount(reason);
  const socket = await world.dial();
  await socket.send(frame);
  const outcome = await socket.outcome();
  const [answer] = socket.frames;
  const ended = world.endedCount(reason) - before;
  socket.destroy();
  return { outcome, ended, answer };
}

const answered = { outcome: "answered", ended: 0 };
const closed = { outcome: "closed", ended: 1 };

describe("API keys and versions", () => {
  it("closes for every key that is not served, -1 and 32767 among them", async () => {
    const served = new Set<number>(handlers.map(({ apiKey }) => apiKey));
    const keys = [-32_768, -1, ...Array.from({ length: 100 }, (_, key) => key), 32_767];
    for (const key of keys.filter((each) => !served.has(each))) {
      expect([key, await send(rawFrame(key, 0, 1), "unknown api key")]).toMatchObject([key, closed]);
    }
  });

  it("closes one below the lowest and one above the highest version of every key but ApiVersions", async () => {
    for (const { apiKey, minVersion, maxVersion } of handlers.filter((handler) => handler.apiKey !== 18)) {
      for (const version of [minVersion - 1, maxVersion + 1, 32_767]) {
        const sent = await send(rawFrame(apiKey, version, 1), "unsupported version");
        expect([apiKey, version, sent]).toMatchObject([apiKey, version, closed]);
      }
    }
  });

  it.each([5, 99, 32_767])("answers ApiVersions %i with version 0, error 35 and key 18 alone", async (version) => {
    const { answer, outcome } = await send(rawFrame(18, version, 77, Buffer.from("nobody can read this")));
    expect(outcome).toBe("answered");
    const { correlationId, response } = answerOf(apis.apiVersions, 0, answer as Uint8Array);
    expect(correlationId).toBe(77);
    expect(response.errorCode).toBe(ErrorCode.UNSUPPORTED_VERSION);
    expect(response.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, minVersion, maxVersion])).toEqual([
      [18, 0, 4],
    ]);
  });
});

const versions = createApiVersionsRequest({ clientSoftwareName: "a", clientSoftwareVersion: "1" });
const aTopic = createMetadataRequest({ topics: [createMetadataRequestTopic({ name: "log" })] });

/** Replaces the tag section that ends a body. */
function lastTags(tags: Uint8Array) {
  return (body: Uint8Array) => Buffer.concat([body.subarray(0, -1), tags]);
}

describe("unknown tagged fields", () => {
  it.each([
    ["64 of them", tagSection(64), answered],
    ["65 of them", tagSection(65), closed],
    ["64 KiB of them in one", tagSection(1, 64 * KIB), answered],
    ["64 KiB + 1 of them in one", tagSection(1, 64 * KIB + 1), closed],
    ["64 KiB of them in 64", tagSection(64, 64 * KIB), answered],
    ["64 KiB + 1 of them in 64", tagSection(64, 64 * KIB + 1), closed],
    ["100,000 of them", tagSection(100_000), closed],
    ["2^31 - 1 announced", uvarint(0x7fff_ffff), closed],
    // A count past 2^31 is negative in Kafka's loop, which then runs not once.
    ["2^32 - 1 announced", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f), answered],
  ] as const)("in the header, %s", async (_name, headerTags, outcome) => {
    expect(await send(frameOf(apis.apiVersions, 3, versions, { headerTags }))).toMatchObject(outcome);
  });

  it.each([
    ["64 of them", tagSection(64), answered],
    ["65 of them", tagSection(65), closed],
    ["64 KiB of them", tagSection(3, 64 * KIB), answered],
    ["64 KiB + 1 of them", tagSection(3, 64 * KIB + 1), closed],
  ] as const)("in the message, %s", async (_name, tags, outcome) => {
    expect(await send(frameOf(apis.apiVersions, 3, versions, { damage: lastTags(tags) }))).toMatchObject(outcome);
  });

  it.each([
    [64, answered],
    [65, closed],
  ] as const)("in an element of an array, %i of them", async (count, outcome) => {
    const unknownTags = Array.from({ length: count }, (_, tag) => ({ tag: tag + 9, bytes: new Uint8Array(3) }));
    const topics = [createMetadataRequestTopic({ name: "log", unknownTags })];
    expect(await send(frameOf(apis.metadata, 12, createMetadataRequest({ topics })))).toMatchObject(outcome);
  });
});

/** Replaces the int32 array count at `position` of a body. */
function countAt(position: number, count: number) {
  return (body: Uint8Array) => {
    const bytes = Buffer.from(body);
    bytes.writeInt32BE(count, position);
    return bytes;
  };
}

describe("the count of an array", () => {
  it.each([
    ["as many as there are", 1, answered],
    ["one more than there are", 2, closed],
    ["2^31 - 1", 0x7fff_ffff, closed],
    // Any negative count is null, in Kafka too; all topics may be asked for so.
    ["-1, where null is allowed", -1, answered],
    ["-2, where null is allowed", -2, answered],
    ["-2^31, where null is allowed", -0x8000_0000, answered],
  ] as const)("with int32, %s", async (_name, count, outcome) => {
    expect(await send(frameOf(apis.metadata, 1, aTopic, { damage: countAt(0, count) }))).toMatchObject(outcome);
  });

  it.each([-1, -2, -0x8000_0000])("of %i closes where null is not allowed", async (count) => {
    // Metadata 0 has nothing but the array, and no null.
    expect(await send(frameOf(apis.metadata, 0, aTopic, { damage: countAt(0, count) }))).toMatchObject(closed);
  });

  it.each([
    ["as many as there are", uvarint(2), answered],
    ["one more than there are", uvarint(3), closed],
    ["2^28", uvarint(0x1000_0001), closed],
    ["a count of six bytes", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0x01), closed],
  ] as const)("in the compact form, %s", async (_name, count, outcome) => {
    const damage = (body: Uint8Array) => Buffer.concat([count, body.subarray(1)]);
    expect(await send(frameOf(apis.metadata, 9, aTopic, { damage }))).toMatchObject(outcome);
  });

  it.each([
    ["0, which is null", uvarint(0)],
    ["2^32 - 1, which is null too", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f)],
  ] as const)("in the compact form, %s", async (_name, count) => {
    const damage = (body: Uint8Array) => Buffer.concat([count, body.subarray(1)]);
    const all = createMetadataRequest({ topics: [] });
    expect(await send(frameOf(apis.metadata, 9, all, { damage }))).toMatchObject(answered);
  });

  it("inside of an array closes as well, and takes no memory", async () => {
    const partitions = [createFetchPartition({ partition: 0 })];
    const request = createFetchRequest({ topics: [createFetchTopic({ topic: "log", partitions })] });
    // Fetch 4: replica 4, wait 4, min 4, max 4, isolation 1, topics 4, "log" 5, partitions.
    const before = process.memoryUsage().arrayBuffers;
    expect(await send(frameOf(apis.fetch, 4, request, { damage: countAt(26, 0x7fff_ffff) }))).toMatchObject(closed);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * KIB);
  });
});

describe("client ids", () => {
  it.each([
    ["255 characters", "x".repeat(255), ErrorCode.NONE],
    ["256 characters", "x".repeat(256), ErrorCode.INVALID_REQUEST],
    ["no characters", "", ErrorCode.NONE],
    ["a line feed", "a\nb", ErrorCode.INVALID_REQUEST],
    ["a control character of Latin 1", "a\u0085b", ErrorCode.INVALID_REQUEST],
  ])("of %s", async (_name, clientId, code) => {
    const { answer } = await send(frameOf(apis.apiVersions, 3, versions, { clientId }));
    expect(answerOf(apis.apiVersions, 3, answer as Uint8Array).response.errorCode).toBe(code);
  });
});

/** A Metadata request of version 1 that names `count` topics without a name: two bytes each. */
function nameless(count: number): Uint8Array {
  const body = Buffer.alloc(4 + 2 * count);
  body.writeInt32BE(count);
  return rawFrame(3, 1, 1, body);
}

describe("the elements of all arrays of a message together", () => {
  it.each([
    [100_000, answered],
    [100_001, closed],
    [40_000_000, closed],
  ] as const)("may be 100,000: %i in one array", async (count, outcome) => {
    const before = process.memoryUsage().heapUsed;
    const frame = nameless(count);
    expect(await send(frame)).toMatchObject(outcome);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(128 * 1024 * KIB);
  });

  it.each([
    [331, answered],
    [332, closed],
  ] as const)("count over nested arrays: 300 partitions and 1 for each of %i topics", async (topics, outcome) => {
    const partitions = Array.from({ length: 301 }, (_, partition) => createFetchPartition({ partition }));
    const request = createFetchRequest({
      topics: Array.from({ length: topics }, () => createFetchTopic({ topic: "", partitions })),
    });
    expect(await send(frameOf(apis.fetch, 4, request))).toMatchObject(outcome);
  });

  it("count unknown tagged fields too", async () => {
    const unknownTags = Array.from({ length: 64 }, (_, tag) => ({ tag: tag + 9, bytes: new Uint8Array(0) }));
    const naming = (count: number) =>
      createMetadataRequest({
        topics: Array.from({ length: count }, () => createMetadataRequestTopic({ name: "log", unknownTags })),
      });
    // 65 for each topic.
    expect(await send(frameOf(apis.metadata, 12, naming(1_538)))).toMatchObject(answered);
    expect(await send(frameOf(apis.metadata, 12, naming(1_539)))).toMatchObject(closed);
  });
});

/** One damage: a bit turned, a byte replaced, bytes cut out or put in, an int32 made extreme. */
const anyDamage = fc.record({
  kind: fc.constantFrom("bit", "byte", "cut", "insert", "int32"),
  place: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  value: fc.nat({ max: 255 }),
});

function damaged(bytes: Uint8Array, damages: readonly { kind: string; place: number; value: number }[]): Uint8Array {
  let result = Buffer.from(bytes);
  for (const { kind, place, value } of damages) {
    const position = Math.floor(place * result.length);
    const [head, tail] = [result.subarray(0, position), result.subarray(position)];
    if (kind === "cut") result = Buffer.concat([head, tail.subarray(1 + (value % 8))]);
    else if (kind === "insert") result = Buffer.concat([head, new Uint8Array(1 + (value % 8)).fill(value), tail]);
    else if (kind === "int32" && tail.length >= 4)
      result.writeInt32BE(value % 2 === 0 ? 0x7fff_ffff : -value, position);
    else if (tail.length > 0)
      result[position] = kind === "bit" ? (result[position] as number) ^ (1 << (value % 8)) : value;
  }
  return result;
}

/** Requests that are answered at once when they are whole. The key and version of a header are left as they are. */
const wholeRequests = [
  frameOf(apis.produce, 9, produceOf([{ topic: "mutated", batch: batchOf(["a", "b"]) }], 9)),
  frameOf(apis.produce, 3, produceOf([{ topic: "mutated", batch: batchOf(["a", "b"]) }], 3)),
  frameOf(apis.metadata, 12, aTopic),
  frameOf(
    apis.fetch,
    11,
    createFetchRequest({ topics: [createFetchTopic({ topic: "mutated", partitions: [createFetchPartition()] })] }),
  ),
  frameOf(
    apis.joinGroup,
    9,
    createJoinGroupRequest({
      groupId: "mutated",
      sessionTimeoutMs: 6_000,
      protocolType: "consumer",
      protocols: [createJoinGroupRequestProtocol({ name: "range", metadata: new Uint8Array(20) })],
    }),
  ),
  frameOf(apis.apiVersions, 3, versions),
].map((frame) => frame.subarray(4));

describe("mutated requests", () => {
  it("are answered or close their connection, are counted, and nobody else notices", async () => {
    expect(await witness.createTopic("mutated")).toBe(0);
    const [before, sent, opened] = [countEnds(), { count: 0 }, world.gauge("kafscale_connections")];
    const cases = fc.record({
      whole: fc.constantFrom(...wholeRequests),
      damages: fc.array(anyDamage, { minLength: 1, maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ whole, damages }) => {
        const frame = framed(Buffer.concat([whole.subarray(0, 8), damaged(whole.subarray(8), damages)]));
        const socket = await world.dial();
        // The second request tells a request that waits, or has no answer, from one that was never noticed.
        await socket.send(frame, rawFrame(18, 0, 4_711));
        socket.endSending();
        await socket.closed();
        sent.count += 1;
        for (const answer of socket.frames) expect(answer.length).toBeGreaterThanOrEqual(4);
      }),
      { numRuns: 400 },
    );
    await world.until(() => world.gauge("kafscale_connections") === opened);
    expect(countEnds() - before).toBe(sent.count);
    expect(world.endedCount("bug")).toBe(0);
    expect(witness.isOpen).toBe(true);
    const answer = await witness.call(apis.produce, 9, produceOf([{ topic: "log", batch: batchOf(["alive"]) }], 9));
    expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(0);
  });

  it("with bytes behind their end are served as if these were not there, as in Kafka", async () => {
    const damage = (body: Uint8Array) => Buffer.concat([body, Buffer.from("garbage")]);
    const { answer } = await send(frameOf(apis.metadata, 12, aTopic, { damage, correlationId: 5 }));
    const { correlationId, response } = answerOf(apis.metadata, 12, answer as Uint8Array);
    expect([correlationId, response.topics[0]?.name]).toEqual([5, "log"]);
  });

  it("after whole ones lose no answer of these", async () => {
    const socket = await world.dial();
    const unreadable = frameOf(apis.metadata, 1, aTopic, { damage: countAt(0, 5) });
    await socket.send(rawFrame(18, 0, 1), rawFrame(18, 0, 2), unreadable, rawFrame(18, 0, 3));
    await socket.closed();
    expect(socket.frames.map((frame) => new Reader(frame).int32())).toEqual([1, 2]);
  });
});

function countEnds(): number {
  let count = 0;
  for (const [name, { value }] of world.metrics.counters)
    if (name.startsWith("kafscale_connections_ended")) count += value;
  return count;
}
