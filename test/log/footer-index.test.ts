// Footers read once and split by shard.
import { expect, it } from "vitest";
import { shardOf } from "../../src/cluster/placement.ts";
import { FooterIndex } from "../../src/log/footer-index.ts";
import type { WalExtent, WalFooter } from "../../src/objects/wal-object.ts";

const topicId = "AAAAAAAAAAAAAAAAAAAAAQ";

function footerOf(flush: number): WalFooter {
  const extent: WalExtent = {
    topicId,
    partition: flush % 3,
    shardEpoch: 1,
    baseOffset: flush,
    offsetCount: 1,
    position: 0,
    length: 1,
    firstTimestampMs: 0,
    lastTimestampMs: 0,
    maxTimestampMs: 0,
    crc32c: 0,
  };
  return { extents: [extent], producerBatches: [], logStarts: [] };
}

it("reads each footer once, whatever ranges its shards ask for", async () => {
  const read: number[] = [];
  const index = new FooterIndex(async (flush) => {
    read.push(flush);
    return footerOf(flush);
  });
  const flushesOf = async (partition: number, from: number, to: number) =>
    (await index.of(shardOf(topicId, partition), from, to)).map(({ flush }) => flush);
  const found = await Promise.all([
    flushesOf(0, 10, 40),
    flushesOf(1, 5, 20),
    flushesOf(2, 38, 45),
    flushesOf(0, 3, 2),
  ]);
  expect(found).toEqual([[12, 15, 18, 21, 24, 27, 30, 33, 36, 39], [7, 10, 13, 16, 19], [38, 41, 44], []]);
  expect(read.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 41 }, (_, offset) => 5 + offset));
});

it("has learned nothing from a read that failed, and tries again", async () => {
  let isBroken = true;
  const index = new FooterIndex(async (flush) => {
    if (isBroken && flush === 2) throw new Error("no such object");
    return footerOf(flush);
  });
  const shard = shardOf(topicId, 0);
  await expect(index.of(shard, 1, 3)).rejects.toThrow("no such object");
  isBroken = false;
  expect((await index.of(shard, 1, 3)).map(({ flush }) => flush)).toEqual([3]);
});
