// DescribeGroups as tools see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { createDescribeGroupsRequest } from "../../../generated/testing/describe-groups-request.ts";
import { BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";
import { complete, GroupMember, groupApis, stableMember } from "../group-member.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect("tool");
  await client.createTopic("t");
});
afterAll(() => world.stop());

async function ask(version: number, groups: readonly string[], includeAuthorizedOperations = false) {
  const request = createDescribeGroupsRequest({
    groups,
    ...(version >= 3 ? { includeAuthorizedOperations } : {}),
  });
  return (await client.call(groupApis.describeGroups, version, request)).groups;
}

describe("DescribeGroups", () => {
  it.each(versionsOf(15))(
    "version %i shows a stable group with its members, where they are and what they have",
    async (version) => {
      const member = await stableMember(client, `stable-${version}`);
      expect(await ask(version, [member.groupId])).toMatchObject([
        {
          errorCode: 0,
          groupId: member.groupId,
          groupState: "Stable",
          protocolType: "consumer",
          protocolData: "range",
          members: [
            {
              memberId: member.memberId,
              clientId: "tool",
              clientHost: expect.stringMatching(/^\/[^/]/),
              memberMetadata: Uint8Array.of(1),
              memberAssignment: Uint8Array.of(7),
            },
          ],
          authorizedOperations: -2_147_483_648,
        },
      ]);
    },
  );

  it.each(versionsOf(15))(
    "version %i calls a group dead that nobody knows: an error only from version 6 on",
    async (version) => {
      await complete(client, new GroupMember(client, `offsets-${version}`).commit("t", 1));
      const [unknown, offsetsOnly] = await ask(version, ["nobody", `offsets-${version}`]);
      expect(unknown).toMatchObject({ groupState: "Dead", errorCode: version >= 6 ? ErrorCode.GROUP_ID_NOT_FOUND : 0 });
      if (version >= 6) expect(unknown?.errorMessage).toBe("Group nobody not found.");
      expect(offsetsOnly).toMatchObject({ groupState: "Empty", protocolType: "", errorCode: 0, members: [] });
    },
  );

  it.each(versionsOf(15))("version %i refuses one group without the others", async (version) => {
    const groups = await ask(version, ["x".repeat(250), `offsets-${version}`]);
    expect(groups.map(({ errorCode }) => errorCode)).toEqual([ErrorCode.INVALID_GROUP_ID, 0]);
  });

  it("shows no metadata while a rebalance is under way", async () => {
    const member = new GroupMember(client, "rebalancing");
    await complete(client, member.join());
    const [group] = await ask(6, ["rebalancing"]);
    expect(group).toMatchObject({ groupState: "CompletingRebalance", protocolData: "" });
    expect(group?.members[0]?.memberMetadata).toEqual(new Uint8Array(0));
  });

  it("says what is allowed when asked: to read, delete and describe", async () => {
    const member = await stableMember(client, "operations");
    const [group] = await ask(3, [member.groupId], true);
    expect(group?.authorizedOperations).toBe((1 << 3) | (1 << 6) | (1 << 8));
  });
});
