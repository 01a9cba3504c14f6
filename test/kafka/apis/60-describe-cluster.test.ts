// DescribeCluster as admin clients see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { createDescribeClusterRequest } from "../../../generated/testing/describe-cluster-request.ts";
import { apis, BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
});
afterAll(() => world.stop());

describe("DescribeCluster", () => {
  it.each(versionsOf(60))("version %i names the brokers, the controller and the cluster", async (version) => {
    const answer = await client.call(apis.describeCluster, version, createDescribeClusterRequest());
    expect(answer).toMatchObject({ errorCode: 0, controllerId: 0, clusterAuthorizedOperations: -2_147_483_648 });
    expect(answer.clusterId).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(answer.brokers).toMatchObject([
      { brokerId: 0, host: "broker.test", port: 9092, rack: null, isFenced: false },
    ]);
  });

  it.each(versionsOf(60))("version %i gives the allowed operations when asked", async (version) => {
    const request = createDescribeClusterRequest({ includeClusterAuthorizedOperations: true });
    const answer = await client.call(apis.describeCluster, version, request);
    expect(answer.clusterAuthorizedOperations).toBeGreaterThan(0);
  });

  it.each(versionsOf(60, 1))("version %i refuses the endpoints of controllers and of nobody", async (version) => {
    const codeOf = async (endpointType: number) =>
      (await client.call(apis.describeCluster, version, createDescribeClusterRequest({ endpointType }))).errorCode;
    expect(await codeOf(1)).toBe(0);
    expect(await codeOf(2)).toBe(ErrorCode.MISMATCHED_ENDPOINT_TYPE);
    expect(await codeOf(3)).toBe(ErrorCode.UNSUPPORTED_ENDPOINT_TYPE);
  });
});
