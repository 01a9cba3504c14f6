// Producer ids are never given twice, whatever is lost on the way.
import { describe, expect, it } from "vitest";
import { PRODUCER_ID_BLOCK_SIZE, ProducerIds } from "../../src/cluster/producer-ids.ts";
import { World } from "./world.ts";

async function take(world: World, ids: ProducerIds, count: number): Promise<number[]> {
  const found: number[] = [];
  for (let index = 0; index < count; index += 1) found.push(await world.settled(ids.next(world)));
  return found;
}

describe("producer ids", () => {
  it("are unique among brokers and across restarts, and a restart wastes at most a block", async () => {
    const world = new World();
    const found = [
      ...(await take(world, new ProducerIds(world.components, world), 3)),
      ...(await take(world, new ProducerIds(world.components, world), 3)),
    ];
    expect(found).toEqual([0, 1, 2, 1000, 1001, 1002]);
  });

  it("take one transaction a block, also when many wait at once", async () => {
    const world = new World();
    const ids = new ProducerIds(world.components, world);
    const asked = Array.from({ length: PRODUCER_ID_BLOCK_SIZE + 1 }, () => ids.next(world));
    const found = await world.settled(Promise.all(asked));
    expect(new Set(found).size).toBe(PRODUCER_ID_BLOCK_SIZE + 1);
    expect(world.store.sent).toHaveLength(2);
  });

  it("of a block whose answer was lost are never used", async () => {
    const world = new World();
    world.store.faults.push("answer-lost");
    expect(await take(world, new ProducerIds(world.components, world), 1)).toEqual([1000]);
  });

  it("are taken again when another broker was faster", async () => {
    const world = new World();
    const other = new ProducerIds(world.components, world);
    world.store.before = async () => {
      await other.next(world);
    };
    expect(await take(world, new ProducerIds(world.components, world), 1)).toEqual([1000]);
  });

  it("stop being waited for when the waiter gives up", async () => {
    const world = new World();
    world.store.faults.push(...Array.from({ length: 20 }, () => "lost" as const));
    const giveUp = new AbortController();
    const wait = new ProducerIds(world.components, world).next({ signal: giveUp.signal });
    giveUp.abort(new Error("gave up"));
    await expect(wait).rejects.toThrow("gave up");
  });
});
