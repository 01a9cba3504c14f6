// ListGroups as tools see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createListGroupsRequest } from "../../../generated/testing/list-groups-request.ts";
import { BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";
import { complete, GroupMember, groupApis, stableMember } from "../group-member.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
});
afterAll(() => world.stop());

async function list(version: number, fields: { statesFilter?: string[]; typesFilter?: string[] } = {}) {
  const answer = await client.call(groupApis.listGroups, version, createListGroupsRequest(fields));
  expect(answer.errorCode).toBe(0);
  return [...answer.groups].sort((a, b) => (a.groupId < b.groupId ? -1 : 1));
}

describe("ListGroups", () => {
  it("is empty before there is any group", async () => {
    expect(await list(5)).toEqual([]);
  });

  it.each(versionsOf(16))("version %i names every group with its protocol type, state and type", async (version) => {
    await client.createTopic(`t${version}`);
    await stableMember(client, `members-${version}`, { sessionTimeoutMs: 1_800_000 });
    await complete(client, new GroupMember(client, `offsets-${version}`).commit(`t${version}`, 1));
    const groups = (await list(version)).filter(({ groupId }) => groupId.endsWith(`-${version}`));
    const groupType = version >= 5 ? "classic" : "";
    expect(groups).toMatchObject([
      { protocolType: "consumer", groupState: version >= 4 ? "Stable" : "", groupType },
      { protocolType: "", groupState: version >= 4 ? "Empty" : "", groupType },
    ]);
  });

  it.each(versionsOf(16, 4))("version %i filters by state, whatever the case", async (version) => {
    const stable = await list(version, { statesFilter: ["sTABLE"] });
    expect(stable.length).toBeGreaterThan(0);
    expect(new Set(stable.map(({ groupState }) => groupState))).toEqual(new Set(["Stable"]));
    expect(await list(version, { statesFilter: ["Dead"] })).toEqual([]);
    const both = await list(version, { statesFilter: ["Stable", "Empty"] });
    expect(both).toEqual(await list(version));
  });

  it("filters by type from version 5 on", async () => {
    expect(await list(5, { typesFilter: ["Classic", "share"] })).toEqual(await list(5));
    expect(await list(5, { typesFilter: ["consumer"] })).toEqual([]);
  });
});
