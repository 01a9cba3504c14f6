// JoinGroup as members see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";
import { complete, GroupMember, stableMember } from "../group-member.ts";

let world: BrokerWorld;
let client: TestClient;
let other: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect("first");
  other = await world.connect("second");
});
afterAll(() => world.stop());

describe("JoinGroup", () => {
  it.each(versionsOf(11))(
    "version %i tells the leader of everybody, with what they sent, and followers of nobody",
    async (version) => {
      const [a, b] = [new GroupMember(client, `two-${version}`), new GroupMember(other, `two-${version}`)];
      const protocols = (n: number) => ({ range: Uint8Array.of(n), sticky: Uint8Array.of(n, n) });
      const joins = [a.join({ version, protocols: protocols(1) }), b.join({ version, protocols: protocols(2) })];
      const [first, second] = await complete(client, Promise.all(joins));
      expect([first?.errorCode, second?.errorCode, first?.generationId, second?.generationId]).toEqual([0, 0, 1, 1]);
      expect([first?.protocolName, second?.leader]).toEqual(["range", first?.leader]);
      const [leader, follower] = first?.memberId === first?.leader ? [first, second] : [second, first];
      const told = new Map(leader?.members.map(({ memberId, metadata }) => [memberId, metadata[0]]));
      expect(told).toEqual(
        new Map([
          [a.memberId, 1],
          [b.memberId, 2],
        ]),
      );
      expect(follower?.members).toEqual([]);
      expect(a.memberId).toMatch(/^first-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      if (version >= 7) expect(first?.protocolType).toBe("consumer");
    },
  );

  it.each(versionsOf(11))("version %i gives a newcomer its id first from 4 on, at once before", async (version) => {
    const member = new GroupMember(client, `id-${version}`);
    const first = await complete(client, member.joinOnce({ version }));
    expect(first.errorCode).toBe(version >= 4 ? ErrorCode.MEMBER_ID_REQUIRED : 0);
    expect(first.memberId).not.toBe("");
    if (version >= 4) expect((await complete(client, member.joinOnce({ version }))).memberId).toBe(first.memberId);
  });

  it.each(versionsOf(11))("version %i refuses with its own answer", async (version) => {
    const codeOf = async (groupId: string, fields: object, memberId = "") => {
      const member = new GroupMember(client, groupId);
      member.memberId = memberId;
      const answer = await complete(client, member.joinOnce({ version, ...fields }));
      expect([answer.generationId, answer.memberId, answer.members]).toEqual([-1, memberId, []]);
      return answer.errorCode;
    };
    const group = `refused-${version}`;
    expect(await codeOf(group, { sessionTimeoutMs: 5_999 })).toBe(ErrorCode.INVALID_SESSION_TIMEOUT);
    expect(await codeOf(group, { sessionTimeoutMs: 1_800_001 })).toBe(ErrorCode.INVALID_SESSION_TIMEOUT);
    expect(await codeOf("", {})).toBe(ErrorCode.INVALID_GROUP_ID);
    expect(await codeOf("x".repeat(250), {})).toBe(ErrorCode.INVALID_GROUP_ID);
    expect(await codeOf(group, { protocols: {} })).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    expect(await codeOf(group, { protocolType: "" })).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    expect(await codeOf(group, {}, "stranger")).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
    expect(await codeOf(group, { protocols: { range: new Uint8Array(1024 * 1024) } })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await codeOf(group, {}, "m".repeat(256))).toBe(ErrorCode.INVALID_REQUEST);
  });

  it("waits in version 0 as long as a session lasts for members that do not come back", async () => {
    const first = await stableMember(client, "v0", { version: 0, sessionTimeoutMs: 20_000 });
    const second = new GroupMember(other, "v0");
    const beganMs = world.clock.monotonicMs();
    const joined = await complete(client, second.join({ version: 0, sessionTimeoutMs: 20_000 }));
    expect([joined.errorCode, joined.generationId]).toEqual([0, 2]);
    expect(world.clock.monotonicMs() - beganMs).toBeGreaterThanOrEqual(19_000);
    expect(await complete(client, first.heartbeat())).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  });

  it.each(versionsOf(11, 5))(
    "version %i lets a static member restart without a rebalance, and fences its former self",
    async (version) => {
      const group = `static-${version}`;
      const before = new GroupMember(client, group, "instance");
      await complete(client, before.join({ version }));
      await complete(client, before.sync({ [before.memberId]: Uint8Array.of(5) }));
      const after = new GroupMember(other, group, "instance");
      const joined = await complete(client, after.join({ version }));
      expect([joined.errorCode, joined.generationId]).toEqual([0, 1]);
      expect(after.memberId).not.toBe(before.memberId);
      expect(joined.skipAssignment).toBe(version >= 9);
      expect(joined.leader).toBe(version >= 9 ? after.memberId : before.memberId);
      expect(joined.members.map(({ groupInstanceId }) => groupInstanceId)).toEqual(version >= 9 ? ["instance"] : []);
      expect((await complete(client, after.sync())).assignment).toEqual(Uint8Array.of(5));
      expect(await complete(client, before.heartbeat())).toBe(ErrorCode.FENCED_INSTANCE_ID);
    },
  );
});
