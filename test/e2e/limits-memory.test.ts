// What many bad peers together make a broker hold: its memory is that of its budget, and everybody is served in the end.
// Needs only Node, and Linux for the look at the other process's memory.
import { afterEach, describe, expect, it } from "vitest";
import { createFetchPartition, createFetchRequest, createFetchTopic } from "../../generated/testing/fetch-request.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { answerOf, frameOf } from "../integration/framed-request.ts";
import { announcement, RawSocket } from "../integration/raw-socket.ts";
import { SocketClient } from "../integration/socket-world.ts";
import { apis, produceOf } from "../kafka/broker-world.ts";
import { LimitedBroker } from "./limited-broker.ts";

const MIB = 1024 * 1024;
const BUDGET_MIB = 64;

let broker: LimitedBroker;
const sockets: RawSocket[] = [];

async function start(): Promise<void> {
  broker = await LimitedBroker.start({ requestBudgetBytes: BUDGET_MIB * MIB, kafka: {} });
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await broker.stop();
});

async function dial(): Promise<RawSocket> {
  const socket = await RawSocket.open({ host: "127.0.0.1", port: broker.port });
  sockets.push(socket);
  return socket;
}

async function dialMany(count: number): Promise<RawSocket[]> {
  const dialled = [];
  for (let index = 0; index < count; index++) dialled.push(await dial());
  return dialled;
}

/** Connects, serves one request on each connection, so that it is warm, and forgets the peak of memory so far. */
async function warmUp(count: number): Promise<{ dialled: RawSocket[]; beforeMib: number }> {
  const dialled = await dialMany(count);
  const ask = frameOf(apis.apiVersions, 0, { clientSoftwareName: "", clientSoftwareVersion: "", unknownTags: null });
  for (const socket of dialled) {
    void socket.send(ask);
    await socket.frame(0);
  }
  broker.resetPeak();
  return { dialled, beforeMib: broker.memory().nowMib };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("a broker with a budget of 64 MiB", () => {
  it("allocates nothing for 1,000 connections that announce 100 MiB each and send nothing", async () => {
    await start();
    const { dialled, beforeMib } = await warmUp(1_000);
    await Promise.all(dialled.map((socket) => socket.send(announcement(100 * MIB))));
    const witness = new SocketClient(await dial(), "witness");
    expect(await witness.createTopic("alive")).toBe(0);
    const { peakMib } = broker.memory();
    console.log(`1,000 announcements: ${beforeMib.toFixed(0)} MiB before, ${peakMib.toFixed(0)} MiB at most`);
    expect(peakMib - beforeMib).toBeLessThan(64);
  });

  it("completes 1,000 connections with half of a 1 MiB frame each", async () => {
    await start();
    const { dialled, beforeMib } = await warmUp(1_000);
    const batch = encodeBatch([{ timestampMs: 1, key: null, value: new Uint8Array(MIB - 200) }]);
    // A topic that is not there: the request is read and answered, and nothing of it is kept.
    const frame = frameOf(apis.produce, 9, produceOf([{ topic: "absent", batch }], 9));
    const half = frame.length >> 1;
    for (const socket of dialled) void socket.send(frame.subarray(0, half));
    await pause(2_000);
    const halfway = broker.memory();
    for (const socket of dialled) void socket.send(frame.subarray(half));
    const answers = await Promise.all(dialled.map((socket) => socket.frame(1)));
    const codes = answers.map(
      (answer) => answerOf(apis.produce, 9, answer).response.responses[0]?.partitionResponses[0]?.errorCode,
    );
    expect(codes).toEqual(dialled.map(() => 3));
    const { peakMib } = broker.memory();
    console.log(
      `1,000 half frames: ${beforeMib.toFixed(0)} MiB before, ${halfway.nowMib.toFixed(0)} halfway, ${peakMib.toFixed(0)} at most`,
    );
    expect(await broker.ends()).toEqual({});
    // The budget, a read buffer of 128 KiB for each connection, and frames that are served and not collected yet.
    expect(peakMib - beforeMib).toBeLessThan(BUDGET_MIB + 128 + 320);
  });

  it("serves 500 slow readers of large fetches within its budget, and goes on reading requests", async () => {
    await start();
    const writer = new SocketClient(await dial(), "writer");
    expect(await writer.createTopic("large")).toBe(0);
    const batch = encodeBatch([{ timestampMs: 1, key: null, value: new Uint8Array(MIB - 200).fill(7) }]);
    for (let count = 0; count < 64; count++)
      await writer.call(apis.produce, 9, produceOf([{ topic: "large", batch }], 9));
    const { dialled, beforeMib } = await warmUp(500);
    // Every tenth asks for more than the kernel takes over for a peer that does not read.
    const fetchFor = (reader: number) => {
      const maxBytes = (reader % 10 === 0 ? 24 : 2) * MIB;
      const partitions = [createFetchPartition({ fetchOffset: reader % 40, partitionMaxBytes: maxBytes })];
      const topics = [createFetchTopic({ topic: "large", partitions })];
      const request = { maxWaitMs: 500, minBytes: 1, maxBytes, sessionEpoch: -1, topics };
      return frameOf(apis.fetch, 11, createFetchRequest(request));
    };
    for (const [reader, socket] of dialled.entries()) {
      socket.stopReading();
      void socket.send(fetchFor(reader));
    }
    await pause(3_000);
    const stalled = broker.memory();
    expect(await writer.createTopic("beside")).toBe(0);
    for (const socket of dialled) socket.readOn();
    const askUntilServed = async (socket: RawSocket, reader: number) => {
      for (let index = 1; ; index++) {
        const { response } = answerOf(apis.fetch, 11, await socket.frame(index));
        const records = response.responses[0]?.partitions[0]?.records ?? [];
        if (records.length > 0) return records.reduce((sum, bytes) => sum + bytes.length, 0);
        void socket.send(fetchFor(reader));
      }
    };
    const got = await Promise.all(dialled.map(askUntilServed));
    expect(Math.min(...got)).toBeGreaterThanOrEqual(batch.length);
    const { peakMib } = broker.memory();
    console.log(
      `500 slow readers: ${beforeMib.toFixed(0)} MiB before, ${stalled.nowMib.toFixed(0)} stalled, ${peakMib.toFixed(0)} at most`,
    );
    expect(await broker.ends()).toEqual({});
    expect(peakMib - beforeMib).toBeLessThan(BUDGET_MIB + 128);
  });
});
