// The limits of a claim transaction, whatever the claims hold.
import { describe, expect, it } from "vitest";
import { writeClaims } from "../../src/cluster/claim-txn.ts";
import { World } from "./world.ts";

describe("writing claims", () => {
  it("splits by bytes where claims name very many earlier terms", async () => {
    const world = new World();
    const session = await world.session();
    const prev = Array.from({ length: 2000 }, (_, index) => ({
      sessionId: index.toString(16).padStart(24, "0"),
      epoch: index + 1,
      from: 1,
      to: 1_000_000,
    }));
    const planned = [1, 2, 3, 4, 5].map((shard) => ({
      shard,
      modRevision: 0,
      dead: undefined,
      claim: { sessionId: session.sessionId, epoch: 2001, base: undefined, prev },
    }));
    const sentBefore = world.store.sent.length;
    const { written, lost } = await writeClaims(session, planned, world);
    expect({ written: written.length, lost }).toEqual({ written: 5, lost: [] });
    const sizes = world.store.sent.slice(sentBefore).map((txn) => txn.then.length);
    expect(sizes).toEqual([2, 2, 1]);
  });

  it("sends nothing for nothing", async () => {
    const world = new World();
    const session = await world.session();
    const sentBefore = world.store.sent.length;
    expect(await writeClaims(session, [], world)).toEqual({ written: [], lost: [] });
    expect(world.store.sent.length).toBe(sentBefore);
  });
});
