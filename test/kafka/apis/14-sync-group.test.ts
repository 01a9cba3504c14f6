// SyncGroup as members see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";
import { complete, GroupMember } from "../group-member.ts";

let world: BrokerWorld;
let client: TestClient;
let other: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
  other = await world.connect();
});
afterAll(() => world.stop());

/** Two members whose join was answered: the leader first. */
async function joinedPair(groupId: string): Promise<[GroupMember, GroupMember]> {
  const [a, b] = [new GroupMember(client, groupId), new GroupMember(other, groupId)];
  const [first] = await complete(client, Promise.all([a.join(), b.join()]));
  return first?.leader === a.memberId ? [a, b] : [b, a];
}

describe("SyncGroup", () => {
  it.each(versionsOf(14))(
    "version %i hands out the leader's assignments byte for byte, to whoever was waiting and comes later",
    async (version) => {
      const [leader, follower] = await joinedPair(`pair-${version}`);
      const assignments = { [leader.memberId]: Uint8Array.of(1, 0, 255), [follower.memberId]: Uint8Array.of(2) };
      const syncs = [follower.sync({}, version), leader.sync(assignments, version)];
      const [second, first] = await complete(client, Promise.all(syncs));
      expect([first?.errorCode, first?.assignment, second?.errorCode, second?.assignment]).toEqual([
        0,
        Uint8Array.of(1, 0, 255),
        0,
        Uint8Array.of(2),
      ]);
      expect((await complete(client, follower.sync({}, version))).assignment).toEqual(Uint8Array.of(2));
      if (version >= 5) expect([first?.protocolType, first?.protocolName]).toEqual(["consumer", "range"]);
    },
  );

  it.each(versionsOf(14))("version %i gives nothing to a member the leader left out", async (version) => {
    const [leader, follower] = await joinedPair(`left-out-${version}`);
    const syncs = [leader.sync({ [leader.memberId]: Uint8Array.of(1) }, version), follower.sync({}, version)];
    const [, second] = await complete(client, Promise.all(syncs));
    expect([second?.errorCode, second?.assignment]).toEqual([0, new Uint8Array(0)]);
  });

  it.each(versionsOf(14))(
    "version %i refuses other generations, strangers and assignments over their limit",
    async (version) => {
      const [leader, follower] = await joinedPair(`refused-${version}`);
      const codeOf = async (promise: ReturnType<GroupMember["sync"]>) => {
        const { errorCode, assignment } = await complete(client, promise);
        expect(assignment).toEqual(new Uint8Array(0));
        return errorCode;
      };
      follower.generation++;
      expect(await codeOf(follower.sync({}, version))).toBe(ErrorCode.ILLEGAL_GENERATION);
      follower.memberId = "stranger";
      expect(await codeOf(follower.sync({}, version))).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
      const mebibyte = new Uint8Array(1024 * 1024);
      const oneByteMore = new Uint8Array(1024 * 1024 + 1);
      expect(await codeOf(leader.sync({ [leader.memberId]: oneByteMore }, version))).toBe(ErrorCode.INVALID_REQUEST);
      const nine = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`m${n}`, mebibyte]));
      expect(await codeOf(leader.sync(nine, version))).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
      if (version >= 5) {
        expect(await codeOf(leader.sync({}, version, "sticky"))).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
      }
      const { errorCode } = await complete(client, leader.sync({ [leader.memberId]: mebibyte }, version));
      expect(errorCode).toBe(0);
    },
  );

  it("makes a group durable that is as large as it may be", async () => {
    const protocols = { range: new Uint8Array(1024 * 1024 - 64).fill(1) };
    const connections = await Promise.all(Array.from({ length: 8 }, () => world.connect()));
    const members = connections.map((connection) => new GroupMember(connection, "large"));
    const joins = await complete(client, Promise.all(members.map((member) => member.join({ protocols }))));
    expect(joins.map(({ errorCode }) => errorCode)).toEqual(Array.from({ length: 8 }, () => 0));
    const leader = members.find(({ memberId }) => memberId === joins[0]?.leader);
    const assignments = Object.fromEntries(
      members.map(({ memberId }) => [memberId, new Uint8Array(1024 * 1024).fill(2)]),
    );
    const syncs = members.map((member) => member.sync(member === leader ? assignments : {}));
    const synced = await complete(client, Promise.all(syncs));
    expect(synced.map(({ errorCode, assignment }) => [errorCode, assignment.length])).toEqual(
      Array.from({ length: 8 }, () => [0, 1024 * 1024]),
    );
  });

  it("ends the wait of a follower when the rebalance starts over", async () => {
    const [leader, follower] = await joinedPair("again");
    const waiting = follower.sync();
    await world.clock.run({ untilMs: world.clock.monotonicMs() + 100 });
    const left = await complete(client, leader.leave());
    expect(left.errorCode).toBe(0);
    expect((await complete(client, waiting)).errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
  });
});
