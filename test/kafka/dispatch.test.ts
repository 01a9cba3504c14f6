// From frames to handlers through a whole broker: what ends a connection, what is counted, and that others do not notice.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { apiTable } from "../../generated/kafka/api-table.ts";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { decodeMetadataResponse } from "../../generated/testing/metadata-response.ts";
import { handlers } from "../../src/kafka/handlers.ts";
import { Reader } from "../../src/wire/reader.ts";
import { BrokerWorld, batchOf, type TestClient } from "./broker-world.ts";
import { RawClient, rawFrame } from "./raw-client.ts";

let world: BrokerWorld;
let witness: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  witness = await world.connect("witness");
  await witness.createTopic("log");
});
afterAll(() => world.stop());

/** Sends bytes on a connection of their own; whether the broker closed it, and the answers. */
async function send(...frames: readonly Uint8Array[]) {
  const client = new RawClient(world.transport);
  for (const frame of frames) client.send(frame);
  await world.clock.advance(500);
  return client;
}

const served = new Set<number>(handlers.map(({ apiKey }) => apiKey));

describe("dispatch", () => {
  it("ends the connection of a request with a key that is not served, and counts it", async () => {
    for (const apiKey of [-1, 4, 17, 36, 71, 94, 32_767].filter((key) => !served.has(key))) {
      const before = world.endedCount("unknown api key");
      const client = await send(rawFrame(apiKey, 0, 1));
      expect(client.isEnded).toBe(true);
      expect(client.frames).toEqual([]);
      expect(world.endedCount("unknown api key")).toBe(before + 1);
    }
  });

  it("ends the connection of a version that is not served, and counts it", async () => {
    for (const { apiKey, maxVersion } of handlers.filter((handler) => handler.apiKey !== 18)) {
      for (const version of [-1, maxVersion + 1]) {
        const before = world.endedCount("unsupported version");
        const client = await send(rawFrame(apiKey, version, 1));
        expect([apiKey, version, client.isEnded, client.frames.length]).toEqual([apiKey, version, true, 0]);
        expect(world.endedCount("unsupported version")).toBe(before + 1);
      }
    }
  });

  it("ends the connection of a body that ends early, at every API and version", async () => {
    for (const { apiKey, minVersion, maxVersion } of handlers) {
      for (let version = minVersion; version <= maxVersion; version++) {
        // ApiVersions 0 to 2, ListGroups 0 to 2 and the like have no body that could be cut.
        const hasFields = apiTable[apiKey]?.decodeRequest[version];
        let isEmptyReadable = true;
        try {
          hasFields?.(new Reader(new Uint8Array(0)));
        } catch {
          isEmptyReadable = false;
        }
        if (isEmptyReadable) continue;
        const before = world.endedCount("unreadable request");
        const flexible = apiTable[apiKey]?.requestHeaderVersions[version] === 2;
        const client = await send(rawFrame(apiKey, version, 1, flexible ? new Uint8Array(1) : undefined));
        expect([apiKey, version, client.isEnded]).toEqual([apiKey, version, true]);
        expect(world.endedCount("unreadable request")).toBe(before + 1);
      }
    }
  });

  it("ends the connection of a header with more unknown tags than the limit", async () => {
    const tags = (count: number) => {
      const bytes = [count];
      for (let tag = 0; tag < count; tag++) bytes.push(tag, 0);
      return Uint8Array.from(bytes);
    };
    // ApiVersions 3: empty header tags would be followed by two compact strings and the tags of the body.
    const body = Buffer.from([2, 0x61, 2, 0x62, 0]);
    expect((await send(rawFrame(18, 3, 1, Buffer.concat([tags(64), body])))).frames.length).toBe(1);
    expect((await send(rawFrame(18, 3, 1, Buffer.concat([tags(65), body])))).isEnded).toBe(true);
  });

  it("answers a client id of 255 characters and refuses one of 256 or with control characters", async () => {
    const none = Buffer.from([0, 0, 0, 0]);
    const codeOf = async (clientId: string) => {
      const client = await send(rawFrame(18, 0, 1, none, clientId));
      const reader = new Reader(client.frames[0] ?? new Uint8Array(8));
      reader.int32();
      return reader.int16();
    };
    expect(await codeOf("x".repeat(255))).toBe(0);
    expect(await codeOf("x".repeat(256))).toBe(ErrorCode.INVALID_REQUEST);
    expect(await codeOf("a\nb")).toBe(ErrorCode.INVALID_REQUEST);
  });

  it("ignores bytes behind a complete request, as Kafka does", async () => {
    const body = Buffer.from("00000000deadbeef", "hex");
    const client = await send(rawFrame(3, 1, 9, body));
    const reader = new Reader(client.frames[0] as Uint8Array);
    expect(reader.int32()).toBe(9);
    expect(decodeMetadataResponse(reader, 1).topics).toEqual([]);
  });

  it("echoes the correlation id of every request, whatever it is", async () => {
    const ids = [0, -1, 0x7fff_ffff, -0x8000_0000];
    const client = await send(...ids.map((id) => rawFrame(18, 0, id)));
    expect(client.frames.map((frame) => new Reader(frame).int32())).toEqual(ids);
  });

  it("survives mutated requests of every API: the connection answers or ends, others live on", async () => {
    const anyRequest = fc.record({
      handler: fc.constantFrom(...handlers),
      versionSeed: fc.nat(),
      body: fc.uint8Array({ maxLength: 200 }),
    });
    await fc.assert(
      fc.asyncProperty(anyRequest, async ({ handler, versionSeed, body }) => {
        const version = handler.minVersion + (versionSeed % (handler.maxVersion - handler.minVersion + 1));
        const bugs = world.endedCount("bug");
        await send(rawFrame(handler.apiKey, version, 1, body));
        expect(world.endedCount("bug")).toBe(bugs);
      }),
      { numRuns: 300 },
    );
    expect((await witness.produce({ topic: "log" }, batchOf(["alive"]))).errorCode).toBe(0);
  });
});
