// Heartbeat as members see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";
import { complete, GroupMember, stableMember } from "../group-member.ts";

let world: BrokerWorld;
let client: TestClient;
let other: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
  other = await world.connect();
});
afterAll(() => world.stop());

describe("Heartbeat", () => {
  it.each(versionsOf(12))("version %i keeps a session alive and says why it does not", async (version) => {
    const member = await stableMember(client, `beat-${version}`);
    for (let beat = 0; beat < 4; beat++) {
      await world.clock.run({ untilMs: world.clock.monotonicMs() + 9_000 });
      expect(await complete(client, member.heartbeat(version))).toBe(0);
    }
    member.generation++;
    expect(await complete(client, member.heartbeat(version))).toBe(ErrorCode.ILLEGAL_GENERATION);
    member.generation--;
    await world.clock.run({ untilMs: world.clock.monotonicMs() + 10_001 });
    expect(await complete(client, member.heartbeat(version))).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
    member.memberId = "";
    expect(await complete(client, member.heartbeat(version))).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
  });

  it.each(versionsOf(12))("version %i tells a member of a rebalance", async (version) => {
    const member = await stableMember(client, `rebalance-${version}`);
    const second = new GroupMember(other, member.groupId);
    const joining = second.join();
    await world.clock.run({ untilMs: world.clock.monotonicMs() + 100 });
    expect(await complete(client, member.heartbeat(version))).toBe(ErrorCode.REBALANCE_IN_PROGRESS);
    const joined = await complete(client, Promise.all([member.join(), joining]));
    expect(joined.map(({ generationId }) => generationId)).toEqual([2, 2]);
    expect(await complete(client, member.heartbeat(version))).toBe(0);
  });

  it("writes nothing", async () => {
    const member = await stableMember(client, "quiet");
    await world.clock.run({ untilMs: world.clock.monotonicMs() + 1_000 });
    const before = flushCount();
    expect(before, "the join and the assignment were written").toBeGreaterThan(0);
    for (let beat = 0; beat < 5; beat++) expect(await complete(client, member.heartbeat())).toBe(0);
    expect(flushCount()).toBe(before);
  });
});

function flushCount(): number {
  return world.metrics.counter("kafscale_flushes_total", "").value;
}
