// What a shard has dropped is remembered until its deletion is confirmed, whoever owns it by then.
import { expect, it } from "vitest";
import { shardOf } from "../../src/cluster/placement.ts";
import { DroppedObjects } from "../../src/log/dropped-objects.ts";
import { type LogProcess, LogWorld } from "./log-world.ts";

function shardOfOrders(process: LogProcess) {
  const topicId = process.feed.current.topic("orders")?.topicId ?? "";
  const sessionLog = process.brokerLog.serving;
  const shardLog = sessionLog?.shard(shardOf(topicId, 0));
  if (!sessionLog || !shardLog) throw new Error("the shard is not owned");
  return { sessionLog, shardLog };
}

it("tells of each change, and of none where a key is confirmed that it does not know", () => {
  let changes = 0;
  const dropped = new DroppedObjects(() => changes++);
  dropped.restore(["a"]);
  expect([changes, dropped.version, dropped.size]).toEqual([0, 0, 1]);
  dropped.add("b");
  dropped.confirmed("c");
  dropped.confirmed("a");
  expect([changes, dropped.version, ...dropped]).toEqual([2, 2, "b"]);
  expect(() => dropped.add("b")).toThrow("dropped twice");
});

it("keeps a dropped key through crash and orderly restart until its deletion is confirmed, and not after", async () => {
  const world = new LogWorld();
  let process = await world.start();
  await process.createTopic("orders");
  await process.append("orders", ["a"]);
  shardOfOrders(process).shardLog.dropped.add("one");
  shardOfOrders(process).shardLog.dropped.add("two");
  await world.pass(6_000);
  await process.crash();
  process = await world.start();
  expect([...shardOfOrders(process).shardLog.dropped]).toEqual(["one", "two"]);
  shardOfOrders(process).shardLog.dropped.confirmed("one");
  await process.stop();
  process = await world.start();
  expect([...shardOfOrders(process).shardLog.dropped]).toEqual(["two"]);
  await process.stop();
});

it("offers a key for deletion only once a checkpoint in force lists it, without any commit in between", async () => {
  const world = new LogWorld();
  const process = await world.start();
  await process.createTopic("orders");
  await process.append("orders", ["a"]);
  await world.pass(6_000);
  const { sessionLog, shardLog } = shardOfOrders(process);
  shardLog.dropped.add("one");
  expect(sessionLog.droppedInForce(shardLog)).toEqual([]);
  await world.pass(6_000);
  expect(sessionLog.droppedInForce(shardLog)).toEqual(["one"]);
  await process.stop();
});

it("gives no shard away as empty that has dropped objects", async () => {
  const world = new LogWorld();
  const process = await world.start();
  await process.createTopic("orders");
  const { shardLog } = shardOfOrders(process);
  expect(shardLog.isEmpty).toBe(true);
  shardLog.dropped.add("one");
  expect(shardLog.isEmpty).toBe(false);
  await process.stop();
});
