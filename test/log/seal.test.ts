// Seal: what an extent of many batches says of its bytes.
import { expect, it } from "vitest";
import { crc32c } from "../../src/wire/crc32c.ts";
import { batchOf, LogWorld } from "./log-world.ts";

it.each([
  ["with the producer's times", -1],
  ["with the broker's time stamped into each batch", 5_000],
])(
  "gives an extent the checksum of its bytes, whatever the sizes of its batches, %s",
  async (_name, logAppendTimeMs) => {
    const world = new LogWorld();
    const process = await world.start();
    await process.createTopic("mixed");
    const partition = process.partition("mixed");
    const sizes = [10, 40_000, 100_000, 20, 30, 16_384, 5];
    const batches = sizes.map((size, index) => batchOf(["v".repeat(size) + index]));
    await world.complete(Promise.all(batches.map((batch) => partition.append(batch, { logAppendTimeMs }))));
    expect(partition.extents.all).toHaveLength(1);
    for (const extent of partition.extents.all) {
      expect(extent.tailBytes?.length).toBe(extent.length);
      expect(crc32c(extent.tailBytes ?? new Uint8Array())).toBe(extent.crc32c);
    }
  },
);

it("lays partitions in one order, whatever the order of their appends, so that neighbours lie side by side", async () => {
  const world = new LogWorld();
  const process = await world.start();
  await process.createTopic("orders", 12);
  for (const order of [
    [3, 11, 0, 7],
    [7, 3, 0, 11],
  ]) {
    const appends = order.map((index) => process.partition("orders", index).append(batchOf([`v${index}`])));
    await world.complete(Promise.all(appends));
  }
  const positions = [0, 3, 7, 11].map((index) =>
    process.partition("orders", index).extents.all.map((at) => at.position),
  );
  expect(positions.map((of) => of.length)).toEqual([2, 2, 2, 2]);
  for (const flush of [0, 1]) {
    const inFlush = positions.map((of) => of[flush] ?? -1);
    expect(inFlush).toEqual(inFlush.toSorted((left, right) => left - right));
  }
});
