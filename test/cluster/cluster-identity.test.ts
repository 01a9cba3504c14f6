// The identity of a cluster is made once.
import { describe, expect, it } from "vitest";
import { ensureClusterIdentity } from "../../src/cluster/cluster-identity.ts";
import { newUuid } from "../../src/cluster/new-uuid.ts";
import { World } from "./world.ts";

describe("the identity of a cluster", () => {
  it("is created by the first start and read by the next", async () => {
    const world = new World();
    const first = await ensureClusterIdentity(world.components, world);
    const second = await ensureClusterIdentity(world.components, world);
    expect(first).toMatchObject({ generation: 1, isNew: true });
    expect(second).toMatchObject({ clusterId: first.clusterId, generation: 1, isNew: false });
    expect(first.clusterId).toMatch(/^[A-Za-z0-9_-]{22}$/);
  });

  it("is the one that landed when the answer was lost", async () => {
    const world = new World();
    world.store.faults.push("answer-lost");
    const identity = await world.settled(ensureClusterIdentity(world.components, world));
    expect(identity.isNew).toBe(true);
    expect((await ensureClusterIdentity(world.components, world)).clusterId).toBe(identity.clusterId);
  });
});

describe("fresh uuids", () => {
  it("are version 4 and never begin with a dash", () => {
    const { random } = new World();
    for (let count = 0; count < 500; count += 1) {
      const uuid = newUuid(random);
      expect(uuid).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/);
      expect((Buffer.from(uuid, "base64url")[6] ?? 0) >> 4).toBe(4);
    }
  });
});
