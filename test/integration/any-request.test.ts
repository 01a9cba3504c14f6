// Well-formed requests of every API at every version with any content, and with none, on real sockets: each is answered
// in its own format or closes its own connection, and none of them finds a bug.
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { apiTable } from "../../generated/kafka/api-table.ts";
import { type MessageCodec, messageCodecs } from "../../generated/testing/messages.ts";
import { handlers } from "../../src/kafka/handlers.ts";
import { Reader } from "../../src/wire/reader.ts";
import { encodeToBytes } from "../generated/codec-runs.ts";
import { apis, batchOf, produceOf } from "../kafka/broker-world.ts";
import { rawFrame } from "../kafka/raw-client.ts";
import { answerOf, frameOf } from "./framed-request.ts";
import { type SocketClient, SocketWorld } from "./socket-world.ts";

const SENTINEL = 0x5ea1;

let world: SocketWorld;
let witness: SocketClient;
let bugs: unknown[];

beforeAll(async () => {
  world = await SocketWorld.start({ group: { initialRebalanceDelayMs: 0 } });
  bugs = [];
  world.broker.failed.catch((error: unknown) => bugs.push(error));
  witness = await world.connect("witness");
  expect(await witness.createTopic("log")).toBe(0);
});
afterAll(async () => {
  expect([world.endedCount("bug"), bugs]).toEqual([0, []]);
  await world.stop();
});

function codecOf(name: string): MessageCodec {
  const codec = messageCodecs.find((each) => each.name === name);
  if (!codec) throw new Error(`there is no codec for ${name}`);
  return codec;
}

/** Where a request would wait, or touch nothing because nothing has its name, it is led to what is there. */
function led(value: unknown, key = ""): unknown {
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map((each) => led(each, key));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, led(field, name)]));
  }
  if (key === "maxWaitMs") return 0;
  if (typeof value === "string" && /^(name|topic)$/.test(key) && value.length % 2 === 1) return "log";
  if (typeof value === "string" && key === "groupId" && value.length % 2 === 1) return "group";
  if (typeof value === "number" && /^(partition|index|partitionIndex)$/.test(key) && value % 2 === 0) return 0;
  return value;
}

/** Sends a request and ApiVersions behind it: the answers before that one's, or the end. */
async function send(apiKey: number, version: number, body: Uint8Array) {
  const socket = await world.dial();
  const request = { apiKey, encode: () => {} };
  await socket.send(frameOf(request, version, null, { damage: () => body }), rawFrame(18, 0, SENTINEL));
  const isOver = () => {
    const last = socket.frames.at(-1);
    return socket.isClosed || (last !== undefined && new Reader(last).int32() === SENTINEL);
  };
  for (let index = 0; !isOver(); index = socket.frames.length) await socket.outcome(index);
  const answers = socket.frames.filter((frame) => new Reader(frame).int32() !== SENTINEL);
  const { isClosed } = socket;
  socket.destroy();
  return { answers, isClosed };
}

const served = handlers.map(({ apiKey, minVersion, maxVersion }) => ({
  name: apiTable[apiKey]?.name ?? "",
  apiKey,
  versions: Array.from({ length: maxVersion - minVersion + 1 }, (_, index) => minVersion + index),
}));

describe.each(served)("$name", ({ name, apiKey, versions }) => {
  const request = codecOf(`${name}Request`);
  const response = codecOf(`${name}Response`);

  async function expectAnswer(message: unknown, version: number): Promise<void> {
    const { answers, isClosed } = await send(apiKey, version, encodeToBytes(request, message, version));
    const isUnanswered = apiKey === 0 && (message as { acks: number }).acks === 0;
    expect([isClosed, answers.length]).toEqual(isUnanswered ? [isClosed, 0] : [false, 1]);
    const [answer] = answers;
    if (!answer) return;
    const decode = (reader: Reader) => {
      const decoded = response.decode(reader, version);
      expect(reader.remaining).toBe(0);
      return decoded;
    };
    expect(answerOf({ apiKey, decode }, version, answer).correlationId).toBe(1);
  }

  it("answers any content in the format of its version", async () => {
    for (const version of versions) {
      const anything = request.arbitrary(version);
      await fc.assert(
        fc.asyncProperty(anything, (message) => expectAnswer(led(message), version)),
        { numRuns: 15 },
      );
    }
    expect(witness.isOpen).toBe(true);
  });
});

describe("what all of these leave behind", () => {
  it("is a broker that takes and gives records", async () => {
    const answer = await witness.call(apis.produce, 9, produceOf([{ topic: "log", batch: batchOf(["alive"]) }], 9));
    expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(0);
  });
});
