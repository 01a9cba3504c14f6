// Both hashes are part of the format: changing one moves every record of a cluster to another shard or owner.
import { describe, expect, it } from "vitest";
import { ownerFor, SHARD_COUNT, shardOf, sweepingShardOf } from "../../src/cluster/placement.ts";

const topicId = "AQIDBAUGBwgJCgsMDQ4PEA";

describe("shards", () => {
  it("are pinned", () => {
    expect([0, 1, 2, 999].map((partition) => shardOf(topicId, partition))).toEqual([590, 600, 58, 694]);
    expect(shardOf("AAAAAAAAAAAAAAAAAAAAAA", 0)).toBe(434);
    expect(shardOf(topicId, 0)).toBe(590);
  });

  it("of dead sessions are pinned: the id modulo 1,024", () => {
    expect(
      ["000000000000000000000000", "0123456789abcdef01234567", "ffffffffffffffffffffffff"].map(sweepingShardOf),
    ).toEqual([0, 0x167, 1023]);
  });

  it("spread partitions over all of them", () => {
    const used = new Set(Array.from({ length: 20_000 }, (_, partition) => shardOf(topicId, partition)));
    expect(used.size).toBe(SHARD_COUNT);
  });
});

describe("owners", () => {
  it("are pinned", () => {
    expect([0, 1, 2, 3, 4, 1023].map((shard) => ownerFor(shard, [1, 2, 3]))).toEqual([1, 3, 2, 2, 2, 1]);
    expect(ownerFor(5, [])).toBeUndefined();
    expect(ownerFor(5, [7])).toBe(7);
  });

  it("do not depend on the order of the brokers", () => {
    for (let shard = 0; shard < 100; shard += 1) {
      expect(ownerFor(shard, [1, 2, 3, 4])).toBe(ownerFor(shard, [4, 2, 1, 3]));
    }
  });

  it("change only for the shards of the broker that left", () => {
    let moved = 0;
    for (let shard = 0; shard < SHARD_COUNT; shard += 1) {
      const before = ownerFor(shard, [1, 2, 3, 4]);
      if (before === 4) moved += 1;
      else expect(ownerFor(shard, [1, 2, 3])).toBe(before);
    }
    expect(moved).toBeGreaterThan(SHARD_COUNT / 5);
    expect(moved).toBeLessThan(SHARD_COUNT / 3);
  });
});
