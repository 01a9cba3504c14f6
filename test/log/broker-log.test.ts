// What the log promises across appends, restarts, crashes and the deaths of sessions.
import { expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { sleep } from "../../src/host/clock.ts";
import { errorCodeOf } from "../../src/kafka-error.ts";
import { batchOf, type LogProcess, LogWorld } from "./log-world.ts";
import { SlowStore } from "./slow-store.ts";

const signal = new AbortController().signal;

async function codeOf(work: Promise<unknown>): Promise<number | "ok"> {
  try {
    await work;
    return "ok";
  } catch (error) {
    return errorCodeOf(error);
  }
}

it("gives dense offsets in the order of the appends and reads them back", async () => {
  const world = new LogWorld();
  const process = await world.start();
  await process.createTopic("orders");
  const partition = process.partition("orders");
  const appends = ["a", "b", "c"].map((value) => partition.append(batchOf([value, `${value}2`])));
  const results = await world.complete(Promise.all(appends));
  expect(results.map(({ baseOffset }) => baseOffset)).toEqual([0, 2, 4]);
  expect(await process.values("orders")).toEqual(["0:a", "1:a2", "2:b", "3:b2", "4:c", "5:c2"]);
});

it("shows nothing above the committed high watermark", async () => {
  const world = new LogWorld();
  const process = await world.start();
  await process.createTopic("orders");
  const partition = process.partition("orders");
  const append = partition.append(batchOf(["a"]));
  expect(partition.highWatermark).toBe(0);
  expect(partition.availableBytes(0, 100)).toBe(0);
  await world.complete(append);
  expect(partition.highWatermark).toBe(1);
});

it("acknowledges nothing before the WAL object and the head are stored", async () => {
  const world = new LogWorld();
  const process = await world.start();
  await process.createTopic("orders");
  await process.append("orders", ["a"]);
  const { sessionId } = firstSession(process);
  const wal = await world.memoryStore.list(`test/wal/${sessionId}/`, { limit: 10, signal });
  expect(wal.objects.map(({ key }) => key)).toEqual([world.objectKeys.wal(sessionId, 1)]);
  const head = await world.memoryKv.get(world.keys.head(sessionId), { signal });
  expect(head.entry?.modRevision).toBeGreaterThan(head.entry?.createRevision ?? 0);
});

function firstSession(process: LogProcess) {
  const session = [...process.feed.current.claims()][0]?.claim;
  if (!session) throw new Error("nothing is claimed");
  return session;
}

it("keeps every acknowledged record through an orderly restart", async () => {
  const world = new LogWorld();
  const first = await world.start();
  await first.createTopic("orders", 3);
  for (let index = 0; index < 3; index++) await first.append("orders", [`p${index}`], {}, index);
  await first.stop();
  const second = await world.start();
  for (let index = 0; index < 3; index++) expect(await second.values("orders", 0, index)).toEqual([`0:p${index}`]);
  expect(await second.append("orders", ["next"], {}, 1)).toBe(1);
});

it("keeps every acknowledged record through crashes, with and without a checkpoint between", async () => {
  const world = new LogWorld();
  let process = await world.start();
  await process.createTopic("orders");
  const expected: string[] = [];
  for (let life = 0; life < 8; life++) {
    for (let n = 0; n < 3; n++) {
      const value = `${life}-${n}`;
      expected.push(`${await process.append("orders", [value])}:${value}`);
    }
    if (life % 3 === 0) await world.clock.advance(6_000);
    await process.crash();
    process = await world.start();
    expect(await process.values("orders")).toEqual(expected);
  }
  expect(expected.at(-1)).toBe("23:7-2");
});

it("answers a duplicate of an idempotent producer with the first offset, before and after a crash", async () => {
  const world = new LogWorld();
  const first = await world.start();
  await first.createTopic("orders");
  const producer = { producerId: 7, producerEpoch: 0 };
  expect(await first.append("orders", ["a"], { ...producer, baseSequence: 0 })).toBe(0);
  expect(await first.append("orders", ["b", "c"], { ...producer, baseSequence: 1 })).toBe(1);
  expect(await first.append("orders", ["b", "c"], { ...producer, baseSequence: 1 })).toBe(1);
  await first.crash();
  const second = await world.start();
  expect(await second.append("orders", ["b", "c"], { ...producer, baseSequence: 1 })).toBe(1);
  expect(await second.append("orders", ["d"], { ...producer, baseSequence: 3 })).toBe(3);
  const gap = second.partition("orders").append(batchOf(["x"], { ...producer, baseSequence: 9 }));
  expect(await codeOf(world.complete(gap))).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER);
  expect(await second.values("orders")).toEqual(["0:a", "1:b", "2:c", "3:d"]);
});

it("lets a duplicate of an uncommitted batch wait for that commit instead of appending it twice", async () => {
  const world = new LogWorld();
  const process = await world.start();
  await process.createTopic("orders");
  const batch = batchOf(["a"], { producerId: 7, producerEpoch: 0, baseSequence: 0 });
  const partition = process.partition("orders");
  const [once, twice] = await world.complete(Promise.all([partition.append(batch), partition.append(batch)]));
  expect([once?.baseOffset, twice?.baseOffset, partition.highWatermark]).toEqual([0, 0, 1]);
});

it("refuses what was never committed when its session is fenced, and serves again under a new session", async () => {
  const world = new LogWorld();
  const process = await world.start();
  await process.createTopic("orders");
  await process.append("orders", ["kept"]);
  const before = process.partition("orders");
  const { sessionId } = firstSession(process);
  const key = world.keys.session(sessionId);
  await world.memoryKv.txn({ compare: [], then: [{ type: "delete", key }] }, { signal });
  const lost = before.append(batchOf(["lost"]));
  expect(await codeOf(world.complete(lost))).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
  expect(await codeOf(before.append(batchOf(["later"])))).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
  await world.clock.run({ until: () => process.brokerLog.isServing });
  expect(process.partition("orders").leaderEpoch).toBeGreaterThan(before.leaderEpoch);
  expect(await process.append("orders", ["after"])).toBe(1);
  expect(await process.values("orders")).toEqual(["0:kept", "1:after"]);
});

it("learns without any traffic that its session was fenced", async () => {
  const world = new LogWorld();
  const process = await world.start();
  const { sessionId } = firstSession(process);
  const key = world.keys.session(sessionId);
  await world.memoryKv.txn({ compare: [], then: [{ type: "delete", key }] }, { signal });
  await world.clock.run({ until: () => !process.brokerLog.isServing });
  await world.clock.run({ until: () => process.brokerLog.isServing });
  expect(firstSession(process).sessionId).not.toBe(sessionId);
  expect(world.clock.monotonicMs()).toBeLessThan(2_000);
});

it("ends the older of two processes with one broker id, naming both, and leaves the newer one alone", async () => {
  const world = new LogWorld();
  const older = await world.start();
  const end = older.ended.then(
    () => "in order",
    (error: unknown) => String(error),
  );
  const newer = await world.start();
  await newer.createTopic("orders");
  expect(await world.complete(end)).toMatch(
    /broker 1 at localhost:9091 was replaced by another process with this broker id at localhost:9091: give each/,
  );
  await world.clock.advance(30_000);
  expect(older.brokerLog.isServing).toBe(false);
  expect(await newer.append("orders", ["a"])).toBe(0);
});

it("gives a re-created topic a log of its own that begins at offset 0", async () => {
  const world = new LogWorld();
  const process = await world.start();
  await process.createTopic("orders");
  await process.append("orders", ["old"]);
  await world.complete(process.topics.delete({ name: "orders" }, { signal }));
  await process.createTopic("orders");
  expect(await process.append("orders", ["new"])).toBe(0);
  await process.crash();
  const second = await world.start();
  expect(await second.values("orders")).toEqual(["0:new"]);
});

it("moves the log start with a flush, for ever", async () => {
  const world = new LogWorld();
  const first = await world.start();
  await first.createTopic("orders");
  for (const value of ["a", "b", "c"]) await first.append("orders", [value]);
  expect(await world.complete(first.partition("orders").moveLogStart(2))).toBe(2);
  await first.crash();
  const second = await world.start();
  expect(second.partition("orders").logStart).toBe(2);
  expect(await second.values("orders", 2)).toEqual(["2:c"]);
});

it("keeps the newest record per key of an internal partition as its fold, through restarts", async () => {
  const world = new LogWorld();
  const first = await world.start();
  await world.complete(first.topics.ensureInternal("__consumer_offsets", { signal }));
  await first.append("__consumer_offsets", ["a", "b"]);
  await first.append("__consumer_offsets", ["a"]);
  await first.crash();
  const second = await world.start();
  const keys = (process: LogProcess) =>
    [...process.partition("__consumer_offsets").fold()].map(({ key }) => new TextDecoder().decode(key)).sort();
  expect(keys(second)).toEqual(["key-a", "key-b"]);
  await second.stop();
  const third = await world.start();
  expect(keys(third)).toEqual(["key-a", "key-b"]);
});

it("finds the exact record by time, before and after a restart", async () => {
  const world = new LogWorld();
  const first = await world.start();
  await first.createTopic("orders");
  const at = (timestampMs: number) => batchOf(["x", "y", "z"], {}, timestampMs);
  for (const timestampMs of [1000, 2000, 3000]) await world.complete(first.partition("orders").append(at(timestampMs)));
  const ask = async (process: LogProcess) => {
    const partition = process.partition("orders");
    const times = [0, 1001, 1500, 3002, 3003];
    const hits = times.map((timestampMs) => partition.findByTimestamp(timestampMs, { signal }));
    const found = await world.complete(Promise.all([...hits, partition.findMaxTimestamp({ signal })]));
    return found.map((hit) => hit?.offset);
  };
  expect(await ask(first)).toEqual([0, 1, 3, 8, undefined, 8]);
  await first.crash();
  expect(await ask(await world.start())).toEqual([0, 1, 3, 8, undefined, 8]);
});

it("finds by time what is left of a log whose start moves while it is searched", async () => {
  const world = new LogWorld();
  let getMs = 10;
  world.store = new SlowStore(world.clock, () => ({ ms: getMs }));
  const first = await world.start();
  await first.createTopic("orders");
  const at = (timestampMs: number) => batchOf(["x", "y", "z"], {}, timestampMs);
  for (const timestampMs of [3000, 1000, 2000]) await world.complete(first.partition("orders").append(at(timestampMs)));
  await first.crash();
  const partition = (await world.start()).partition("orders");
  getMs = 3_000;
  const hits = Promise.all([partition.findByTimestamp(2_500, { signal }), partition.findMaxTimestamp({ signal })]);
  await world.complete(partition.moveLogStart(3));
  expect((await world.complete(hits)).map((hit) => hit?.offset)).toEqual([undefined, 8]);
});

async function damage(world: LogWorld, key: string, position: number): Promise<void> {
  const bytes = await world.memoryStore.get(key, { signal });
  const at = position < 0 ? bytes.length + position : position;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await world.memoryStore.put(key, [bytes], { ifAbsent: false, signal });
}

it("answers KAFKA_STORAGE_ERROR for damaged records and serves every other partition", async () => {
  const world = new LogWorld();
  const first = await world.start();
  await first.createTopic("bad");
  await first.createTopic("good");
  await first.append("good", ["kept"]);
  await first.append("bad", ["lost"]);
  const { sessionId } = firstSession(first);
  await first.crash();
  await damage(world, world.objectKeys.wal(sessionId, 2), 70);
  const second = await world.start();
  expect(await codeOf(second.values("bad"))).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
  expect(await second.values("good")).toEqual(["0:kept"]);
});

it("fails a shard whose footer is damaged rather than serve a shorter log, and goes on when it is mended", async () => {
  const world = new LogWorld();
  const first = await world.start();
  await first.createTopic("orders");
  await first.append("orders", ["a"]);
  const { sessionId } = firstSession(first);
  await first.crash();
  const key = world.objectKeys.wal(sessionId, 1);
  await damage(world, key, -20);
  const second = await world.start();
  const partition = Promise.resolve().then(() => second.partition("orders"));
  expect(await codeOf(partition)).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
  await damage(world, key, -20);
  await world.clock.advance(61_000);
  expect(await second.values("orders")).toEqual(["0:a"]);
});

it("splits a buffer above the flush size into flushes of even size, in order", async () => {
  const world = new LogWorld();
  const process = await world.start({ flushBytes: 1_000 });
  await process.createTopic("orders");
  const partition = process.partition("orders");
  const values = Array.from({ length: 40 }, (_, index) => `value-${index}`);
  await world.complete(Promise.all(values.map((value) => partition.append(batchOf([value])))));
  expect(await process.values("orders")).toEqual(values.map((value, index) => `${index}:${value}`));
  const { sessionId } = firstSession(process);
  const { objects } = await world.memoryStore.list(`test/wal/${sessionId}/`, { limit: 100, signal });
  expect(objects.length).toBeGreaterThan(3);
  const sizes = objects.map(({ bytes }) => bytes);
  expect(Math.max(...sizes)).toBeLessThan(2 * Math.min(...sizes));
});

it("keeps a buffer of up to one and a half flush sizes in one object: two of half the size would cost twice as much", async () => {
  const world = new LogWorld();
  const process = await world.start({ flushBytes: 1_000 });
  await process.createTopic("orders");
  const partition = process.partition("orders");
  const values = Array.from({ length: 5 }, (_, index) => `${index}`.repeat(100));
  await world.complete(Promise.all(values.map((value) => partition.append(batchOf([value])))));
  const { sessionId } = firstSession(process);
  const { objects } = await world.memoryStore.list(`test/wal/${sessionId}/`, { limit: 100, signal });
  expect(objects.map(({ bytes }) => bytes > 1_000)).toEqual([true]);
});

it("ends the broker, not only the session, when a broken invariant stands behind the session's end", async () => {
  const world = new LogWorld();
  const process = await world.start();
  await process.createTopic("orders");
  const { sessionId } = firstSession(process);
  // Somebody else's bytes at a key that only this session writes: nothing can be trusted any more.
  const foreign = [new Uint8Array([1])];
  await world.memoryStore.put(world.objectKeys.wal(sessionId, 1), foreign, { ifAbsent: false, signal });
  process
    .partition("orders")
    .append(batchOf(["a"]))
    .catch(() => {});
  await expect(world.complete(process.ended)).rejects.toThrow("holds other bytes");
});

it("writes no checkpoint that refers to one still under way, so that a stop in the middle loses nothing", async () => {
  const world = new LogWorld();
  const { memoryStore, clock } = world;
  let isSlow = false;
  // A store that takes two seconds for a checkpoint, and forgets it when its caller gives up before.
  world.store = {
    put: async (key, parts, options) => {
      if (isSlow && key.includes("/ckpt/")) {
        isSlow = false;
        await sleep(clock, 2_000, options.signal);
      }
      return memoryStore.put(key, parts, options);
    },
    get: (key, options) => memoryStore.get(key, options),
    head: (key, options) => memoryStore.head(key, options),
    list: (prefix, options) => memoryStore.list(prefix, options),
    delete: (keys, options) => memoryStore.delete(keys, options),
  };
  const first = await world.start({ checkpointIntervalMs: 100 });
  await first.createTopic("orders");
  await first.createTopic("payments");
  await first.append("orders", ["one"]);
  isSlow = true;
  await clock.advance(150);
  expect(isSlow).toBe(false);
  await first.append("payments", ["two"]);
  await first.stop();
  const second = await world.start();
  expect([await second.values("orders"), await second.values("payments")]).toEqual([["0:one"], ["0:two"]]);
});

it("gives a reader of many small extents the first ones, rather than fetch them all before it answers", async () => {
  const world = new LogWorld();
  const { memoryStore } = world;
  let gets = 0;
  world.store = {
    put: (key, parts, options) => memoryStore.put(key, parts, options),
    get: (key, options) => {
      gets++;
      return memoryStore.get(key, options);
    },
    head: (key, options) => memoryStore.head(key, options),
    list: (prefix, options) => memoryStore.list(prefix, options),
    delete: (keys, options) => memoryStore.delete(keys, options),
  };
  const process = await world.start({ tailBytes: 0 });
  await process.createTopic("orders");
  for (let n = 0; n < 40; n++) await process.append("orders", [`v${n}`]);
  gets = 0;
  const options = { maxBytes: 1_000_000, atLeastOneBatch: true, signal };
  const parts = await world.complete(process.partition("orders").read(0, options));
  expect([parts.length, gets]).toEqual([17, 17]);
  expect(await process.values("orders")).toEqual(Array.from({ length: 40 }, (_, n) => `${n}:v${n}`));
});
