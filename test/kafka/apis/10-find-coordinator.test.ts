// FindCoordinator as clients see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { createFindCoordinatorRequest } from "../../../generated/testing/find-coordinator-request.ts";
import { createMetadataRequest } from "../../../generated/testing/metadata-request.ts";
import { apis, BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";
import { groupApis } from "../group-member.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
});
afterAll(() => world.stop());

async function find(version: number, keys: readonly string[], keyType = 0) {
  const request = createFindCoordinatorRequest({
    ...(version >= 4 ? { coordinatorKeys: keys } : { key: keys[0] ?? "" }),
    ...(version >= 1 ? { keyType } : {}),
  });
  const answer = await client.call(groupApis.findCoordinator, version, request);
  if (version >= 4) return answer.coordinators;
  return [{ ...answer, key: keys[0] }];
}

describe("FindCoordinator", () => {
  it.each(versionsOf(10))(
    "version %i names this broker, where clients reach it, and makes the internal topic",
    async (version) => {
      const found = await find(version, [`group-${version}`]);
      expect(found).toMatchObject([{ errorCode: 0, nodeId: 0, host: "broker.test", port: 9092 }]);
      const metadata = await client.call(apis.metadata, 9, createMetadataRequest({ topics: null }));
      const [internal] = metadata.topics.filter(({ name }) => name === "__consumer_offsets");
      expect([internal?.isInternal, internal?.partitions.length]).toEqual([true, 50]);
    },
  );

  it.each(versionsOf(10, 1))("version %i refuses what it does not coordinate, with node -1", async (version) => {
    const nobody = { nodeId: -1, host: "", port: -1 };
    const transaction = { errorCode: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ...nobody };
    expect(await find(version, ["tx"], 1)).toMatchObject([transaction]);
    expect(await find(version, ["share"], 2)).toMatchObject([{ errorCode: ErrorCode.INVALID_REQUEST, ...nobody }]);
    const [unknown] = await find(version, ["x"], 9);
    expect(unknown).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST, ...nobody });
    expect(unknown?.errorMessage).toContain("9");
  });

  it.each(versionsOf(10, 4))("version %i answers every key, in order", async (version) => {
    const found = await find(version, ["a", "b", "a"]);
    expect(found.map(({ key, errorCode }) => [key, errorCode])).toEqual([
      ["a", 0],
      ["b", 0],
      ["a", 0],
    ]);
    expect(await find(version, [])).toEqual([]);
  });
});
