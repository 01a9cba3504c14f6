// ApiVersions: what clients choose their versions from.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { apiTable } from "../../../generated/kafka/api-table.ts";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { createApiVersionsRequest } from "../../../generated/testing/api-versions-request.ts";
import { decodeApiVersionsResponse } from "../../../generated/testing/api-versions-response.ts";
import { Reader } from "../../../src/wire/reader.ts";
import { apis, BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";
import { RawClient, rawFrame } from "../raw-client.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
});
afterAll(() => world.stop());

async function ask(version: number, clientSoftwareName = "tests", clientSoftwareVersion = "1.0") {
  const fields = version >= 3 ? { clientSoftwareName, clientSoftwareVersion } : {};
  return client.call(apis.apiVersions, version, createApiVersionsRequest(fields));
}

describe("ApiVersions", () => {
  it.each(versionsOf(18))("version %i lists what is served, ascending, within the codecs", async (version) => {
    const { errorCode, apiKeys } = await ask(version);
    expect(errorCode).toBe(0);
    const keys = apiKeys.map(({ apiKey }) => apiKey);
    expect(keys).toEqual([0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 32, 60, 75]);
    for (const { apiKey, minVersion, maxVersion } of apiKeys) {
      const entry = apiTable[apiKey];
      expect(minVersion).toBeGreaterThanOrEqual(entry?.minVersion ?? 0);
      expect(maxVersion).toBeLessThanOrEqual(entry?.maxVersion ?? -1);
    }
  });

  it("starts Produce at 0, without which old librdkafka sends uncompressed", async () => {
    const { apiKeys } = await ask(3);
    expect(apiKeys[0]).toMatchObject({ apiKey: 0, minVersion: 0, maxVersion: 13 });
  });

  it.each(versionsOf(18, 3))(
    "version %i finalises no feature that would switch clients to other paths",
    async (version) => {
      const answer = await ask(version);
      expect(answer).toMatchObject({ supportedFeatures: [], finalizedFeatures: [], finalizedFeaturesEpoch: -1 });
    },
  );

  it.each(versionsOf(18, 3))("version %i refuses software names that are not of Kafka's form", async (version) => {
    for (const name of ["", "-x", "x-", "a b", "a_b"]) {
      expect((await ask(version, name)).errorCode).toBe(ErrorCode.INVALID_REQUEST);
      expect((await ask(version, "ok", name)).errorCode).toBe(ErrorCode.INVALID_REQUEST);
    }
    expect((await ask(version, "apache-kafka-java", "4.1.0")).errorCode).toBe(0);
  });

  it.each([5, 99, 32_767])(
    "answers version %i in the form of version 0 with code 35 and its own row",
    async (version) => {
      const own = new RawClient(world.transport);
      // A body that only a client from the future understands.
      own.send(rawFrame(18, version, 77, Buffer.from("ffffffffff", "hex")));
      own.send(rawFrame(18, 0, 78));
      await world.clock.advance(100);
      const [first, second] = own.frames.map((frame) => new Reader(frame));
      expect(first?.int32()).toBe(77);
      const answer = decodeApiVersionsResponse(first as Reader, 0);
      expect(answer.errorCode).toBe(ErrorCode.UNSUPPORTED_VERSION);
      expect(answer.apiKeys).toMatchObject([{ apiKey: 18, minVersion: 0, maxVersion: 4 }]);
      expect(second?.int32()).toBe(78);
      expect(decodeApiVersionsResponse(second as Reader, 0).errorCode).toBe(0);
    },
  );
});
