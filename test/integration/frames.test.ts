// Frames on a real socket: sizes at their limits, memory that follows what arrived, requests in flight, the byte budget.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createFetchPartition, createFetchRequest, createFetchTopic } from "../../generated/testing/fetch-request.ts";
import { createProduceRequest } from "../../generated/testing/produce-request.ts";
import { apis, batchOf, produceOf } from "../kafka/broker-world.ts";
import { rawFrame } from "../kafka/raw-client.ts";
import { answerOf, framed, frameOf } from "./framed-request.ts";
import { announcement, type RawSocket } from "./raw-socket.ts";
import { type SocketClient, SocketWorld, turn } from "./socket-world.ts";

const MIB = 1024 * 1024;
const budgetBytesUsed = "kafscale_request_budget_used_bytes";

let world: SocketWorld;
let witness: SocketClient;

beforeAll(async () => {
  world = await SocketWorld.start();
  witness = await world.connect("witness");
  expect(await witness.createTopic("log")).toBe(0);
});
afterAll(() => world.stop());

/** What happens to a connection on which `bytes` are all that is sent: the end, or nothing in many turns of the loop. */
async function fate(of: SocketWorld, bytes: Uint8Array): Promise<"open" | "closed"> {
  const socket = await of.dial();
  const frameSizeEnds = of.endedCount("frame size");
  await socket.send(bytes);
  // The broker has read the bytes when it counts them; what it closes is counted too.
  await of.until(() => of.gauge(budgetBytesUsed) > 0 || of.endedCount("frame size") > frameSizeEnds);
  for (let round = 0; round < 5; round++) await turn();
  const isEnded = of.endedCount("frame size") > frameSizeEnds;
  if (isEnded) await socket.closed();
  expect(socket.frames).toEqual([]);
  socket.destroy();
  await of.until(() => of.gauge(budgetBytesUsed) === 0);
  return isEnded ? "closed" : "open";
}

describe("the size of a frame", () => {
  it.each([
    ["-2^31", -0x8000_0000],
    ["-1", -1],
    ["0", 0],
    ["7, which is no header", 7],
    ["100 MiB + 1", 100 * MIB + 1],
    ["2^31 - 1", 0x7fff_ffff],
  ])("of %s closes the connection at its announcement", async (_name, size) => {
    expect(await fate(world, announcement(size))).toBe("closed");
  });

  it.each([
    ["8", 8],
    ["100 MiB", 100 * MIB],
  ])("of %s may be announced", async (_name, size) => {
    expect(await fate(world, announcement(size))).toBe("open");
  });

  it("at the limit is served and one byte more closes, whatever the limit is", async () => {
    const limited = await SocketWorld.start({ kafka: { requestBytesMax: 70_000 } });
    const client = await limited.connect();
    const requestOf = (bytes: number) => {
      const empty = frameOf(apis.produce, 9, produceOf([{ topic: "absent", batch: new Uint8Array(60_000) }], 9));
      const batch = new Uint8Array(60_000 + bytes - (empty.length - 4));
      return frameOf(apis.produce, 9, produceOf([{ topic: "absent", batch }], 9));
    };
    const atLimit = await limited.dial();
    expect(requestOf(70_000).length).toBe(70_004);
    await atLimit.send(requestOf(70_000));
    expect(await atLimit.outcome()).toBe("answered");
    const past = await limited.dial();
    void past.send(requestOf(70_001));
    expect(await past.outcome()).toBe("closed");
    expect(limited.endedCount("frame size")).toBe(1);
    expect(await client.createTopic("alive")).toBe(0);
    await limited.stop();
  });

  it("allocates nothing for 200 announcements of 100 MiB", async () => {
    const before = process.memoryUsage().arrayBuffers;
    const sockets: RawSocket[] = [];
    for (let count = 0; count < 200; count++) sockets.push(await world.dial());
    for (const socket of sockets) await socket.send(announcement(100 * MIB));
    await world.until(() => world.gauge(budgetBytesUsed) === 4 * sockets.length);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * MIB);
    for (const socket of sockets) socket.destroy();
    await world.until(() => world.gauge(budgetBytesUsed) === 0);
  });

  it("grows with the bytes that arrive, in steps of 64 KiB at most", async () => {
    const socket = await world.dial();
    const before = process.memoryUsage().arrayBuffers;
    await socket.send(announcement(100 * MIB), new Uint8Array(1_000_000));
    await world.until(() => world.gauge(budgetBytesUsed) === 1_000_004);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * MIB);
    socket.destroy();
    await world.until(() => world.gauge(budgetBytesUsed) === 0);
  });
});

function fetchLog(maxWaitMs: number) {
  const partitions = [createFetchPartition({ partition: 0, fetchOffset: 0, partitionMaxBytes: MIB })];
  const topics = [createFetchTopic({ topic: "parked", partitions })];
  return createFetchRequest({ maxWaitMs, minBytes: 1, maxBytes: MIB, sessionEpoch: -1, topics });
}

describe("the requests of a connection", () => {
  it("are 100 in flight at most: the 101st starts when one is answered", async () => {
    expect(await witness.createTopic("parked")).toBe(0);
    const started = world.requestCount("Fetch");
    const socket = await world.dial();
    const frames = Array.from({ length: 101 }, (_, correlationId) =>
      frameOf(apis.fetch, 11, fetchLog(600_000), { correlationId }),
    );
    await socket.send(...frames);
    await world.until(() => world.requestCount("Fetch") - started >= 100);
    for (let round = 0; round < 20; round++) await turn();
    expect(world.requestCount("Fetch") - started).toBe(100);
    await witness.call(apis.produce, 9, produceOf([{ topic: "parked", batch: batchOf(["news"]) }], 9));
    await socket.frame(100);
    const ids = socket.frames.map((frame) => answerOf(apis.fetch, 11, frame).correlationId);
    expect(ids).toEqual(frames.map((_, index) => index));
    socket.destroy();
  });

  it("are not read further while their bytes are past the connection's bound, and none is lost", async () => {
    const small = await SocketWorld.start({ kafka: { connectionBytesMax: 300_000 } });
    const client = await small.connect();
    await client.createTopic("log");
    const socket = await small.dial();
    const batch = batchOf(["x".repeat(100_000)]);
    const frames = Array.from({ length: 20 }, (_, correlationId) =>
      frameOf(apis.produce, 9, produceOf([{ topic: "log", batch }], 9), { correlationId }),
    );
    void socket.send(...frames);
    let highest = 0;
    while (socket.frames.length < 20) {
      highest = Math.max(highest, small.gauge(budgetBytesUsed));
      await turn();
    }
    // Three requests of 100 KB, and what one read of the socket brings.
    expect(highest).toBeLessThan(300_000 + 2 * 128 * 1024);
    const offsets = socket.frames.map((frame) => {
      const { response } = answerOf(apis.produce, 9, frame);
      return response.responses[0]?.partitionResponses[0]?.baseOffset;
    });
    expect(offsets).toEqual(Array.from({ length: 20 }, (_, index) => index));
    await small.stop();
  });

  it("are appended in the order in which they were sent, and answered so", async () => {
    expect(await witness.createTopic("ordered")).toBe(0);
    const socket = await world.dial();
    const frames = Array.from({ length: 300 }, (_, correlationId) =>
      frameOf(apis.produce, 9, produceOf([{ topic: "ordered", batch: batchOf([`${correlationId}`]) }], 9), {
        correlationId,
      }),
    );
    // Cut where no frame ends, so that the broker meets every kind of chunk.
    const bytes = Buffer.concat(frames);
    for (let start = 0; start < bytes.length; start += 1_777) void socket.send(bytes.subarray(start, start + 1_777));
    await socket.frame(299);
    const answers = socket.frames.map((frame) => {
      const { correlationId, response } = answerOf(apis.produce, 9, frame);
      return [correlationId, response.responses[0]?.partitionResponses[0]?.baseOffset];
    });
    expect(answers).toEqual(frames.map((_, index) => [index, index]));
    socket.destroy();
  });
});

describe("the byte budget of the broker", () => {
  it("lets 40 half frames that are three budgets together complete, and counts down to nothing", async () => {
    const small = await SocketWorld.start({ requestBudgetBytes: MIB });
    const client = await small.connect();
    await client.createTopic("log");
    const batch = batchOf(["x".repeat(150_000)]);
    const frame = frameOf(apis.produce, 9, produceOf([{ topic: "log", batch }], 9));
    const half = frame.length >> 1;
    const sockets = await Promise.all(Array.from({ length: 40 }, () => small.dial()));
    for (const socket of sockets) void socket.send(frame.subarray(0, half));
    await small.until(() => small.gauge(budgetBytesUsed) >= MIB);
    for (const socket of sockets) void socket.send(frame.subarray(half));
    const answers = await Promise.all(sockets.map((socket) => socket.frame(0)));
    const codes = answers.map(
      (answer) => answerOf(apis.produce, 9, answer).response.responses[0]?.partitionResponses[0]?.errorCode,
    );
    expect(codes).toEqual(sockets.map(() => 0));
    await small.until(() => small.gauge(budgetBytesUsed) === 0);
    await small.stop();
  });
});

describe("a connection that ends", () => {
  it("takes with it nothing but itself: what others have open and ask goes on", async () => {
    const other = await world.dial();
    await other.send(rawFrame(18, 0, 1));
    await other.frame(0);
    for (const bytes of [announcement(-1), rawFrame(18, 9, 1).subarray(0, 20), rawFrame(99, 0, 1)]) {
      const socket = await world.dial();
      await socket.send(bytes);
      socket.destroy();
    }
    await other.send(rawFrame(18, 0, 2));
    await other.frame(1);
    expect(other.isClosed).toBe(false);
    other.destroy();
  });

  it("by acks 0 and a batch that is refused closes, and by one that is taken does not", async () => {
    const socket = await world.dial();
    const before = world.endedCount("refused");
    await socket.send(frameOf(apis.produce, 9, produceOf([{ topic: "log", batch: batchOf(["a"]) }], 9, 0)));
    await socket.send(rawFrame(18, 0, 7));
    expect(answerOf(apis.apiVersions, 0, await socket.frame(0)).correlationId).toBe(7);
    await socket.send(frameOf(apis.produce, 9, produceOf([{ topic: "absent", batch: batchOf(["a"]) }], 9, 0)));
    await socket.closed();
    expect(socket.frames.length).toBe(1);
    expect(world.endedCount("refused")).toBe(before + 1);
  });

  it("by acks that do not exist is none: each partition says so", async () => {
    for (const acks of [2, -2]) {
      const answer = await witness.call(apis.produce, 9, produceOf([{ topic: "log", batch: batchOf(["a"]) }], 9, acks));
      expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(21);
    }
  });

  it("by its client's half close appends what was sent before, and is gone", async () => {
    expect(await witness.createTopic("half")).toBe(0);
    const connections = world.gauge("kafscale_connections");
    const socket = await world.dial();
    const partly = frameOf(apis.produce, 9, createProduceRequest({ acks: 1 })).subarray(0, 10);
    await socket.send(
      frameOf(apis.produce, 9, produceOf([{ topic: "half", batch: batchOf(["last words"]) }], 9, 0)),
      partly,
    );
    socket.endSending();
    await socket.closed();
    await world.until(() => world.gauge("kafscale_connections") === connections);
    const answer = await witness.call(apis.fetch, 11, {
      ...fetchLog(10_000),
      topics: [createFetchTopic({ topic: "half", partitions: [createFetchPartition({ partitionMaxBytes: MIB })] })],
    });
    expect(answer.responses[0]?.partitions[0]?.highWatermark).toBe(1);
  });

  it("in silence after half a frame is not waited for by anybody", async () => {
    const socket = await world.dial();
    await socket.send(framed(new Uint8Array(100)).subarray(0, 50));
    expect(await witness.createTopic("beside")).toBe(0);
    socket.destroy();
  });
});
