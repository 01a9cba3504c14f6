// LeaveGroup as members and administrators see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { createLeaveGroupRequest, createMemberIdentity } from "../../../generated/testing/leave-group-request.ts";
import { apis, BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";
import { complete, GroupMember, stableMember } from "../group-member.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
});
afterAll(() => world.stop());

describe("LeaveGroup", () => {
  it.each(versionsOf(13))(
    "version %i removes a member at once, and answers where the version has its place",
    async (version) => {
      const member = await stableMember(client, `leave-${version}`);
      const left = await complete(client, member.leave(version));
      expect([left.errorCode, left.members.map(({ errorCode }) => errorCode)]).toEqual([0, version >= 3 ? [0] : []]);
      expect(await complete(client, member.heartbeat())).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
      const again = await complete(client, member.leave(version));
      const code = version >= 3 ? again.members[0]?.errorCode : again.errorCode;
      expect(code).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
    },
  );

  it.each(versionsOf(13, 3))(
    "version %i removes several, also by instance id alone, each with its own code",
    async (version) => {
      const group = `many-${version}`;
      const fixed = new GroupMember(client, group, "instance");
      await complete(client, fixed.join());
      const members = [
        createMemberIdentity({ memberId: "stranger" }),
        createMemberIdentity({ memberId: "", groupInstanceId: "nobody" }),
        createMemberIdentity({ memberId: "stranger", groupInstanceId: "instance" }),
        createMemberIdentity({ memberId: "", groupInstanceId: "instance", reason: version >= 5 ? "why not" : null }),
      ];
      const answer = await client.call(apis.leaveGroup, version, createLeaveGroupRequest({ groupId: group, members }));
      expect(answer.errorCode).toBe(0);
      expect(
        answer.members.map(({ memberId, groupInstanceId, errorCode }) => [memberId, groupInstanceId, errorCode]),
      ).toEqual([
        ["stranger", null, ErrorCode.UNKNOWN_MEMBER_ID],
        ["", "nobody", ErrorCode.UNKNOWN_MEMBER_ID],
        ["stranger", "instance", ErrorCode.FENCED_INSTANCE_ID],
        ["", "instance", 0],
      ]);
    },
  );

  it.each(versionsOf(13))("version %i refuses a group id that is none", async (version) => {
    const member = new GroupMember(client, "");
    expect((await complete(client, member.leave(version))).errorCode).toBe(ErrorCode.INVALID_GROUP_ID);
  });
});
