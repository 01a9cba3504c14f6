// What clients are told is the same before and after records moved into segments and groups, and whatever happens between
// the reading of pending extents and the listing of what was made of them.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shardOf } from "../../src/cluster/placement.ts";
import { sleep } from "../../src/host/clock.ts";
import { silentLog } from "../../src/host/log.ts";
import { embeddedLogSettings, type LogSettings } from "../../src/log/log-settings.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { decodeSegment } from "../../src/objects/segment.ts";
import { Compression } from "../../src/records/compression.ts";
import { withCalls } from "./counted-calls.ts";
import { batchOf, type LogProcess, LogWorld } from "./log-world.ts";

const { signal } = new AbortController();
const AGE_MS = 5_000;

/** Reconciles nothing for its size; what is some seconds old goes into groups or, with `groupBytes` 0, into segments. */
function settingsWith(reconcile: Partial<LogSettings["reconcile"]>): Partial<LogSettings> {
  const settings = { ...embeddedLogSettings.reconcile, intervalMs: 500, pendingAgeMs: AGE_MS, ...reconcile };
  return { reconcile: settings, tailBytes: 0, retentionIntervalMs: 1e9 };
}

/** As on a bucket: objects are fetched in chunks, and what one chunk holds needs no index. */
function inChunks(settings: Partial<LogSettings>): Partial<LogSettings> {
  const chunks = { chunkBytes: 3_000, walChunkBytes: 6_000, readAheadBytes: 9_000 };
  return { ...settings, coldReads: { ...embeddedLogSettings.coldReads, ...chunks } };
}

/** As on embedded stores. */
function whole(settings: Partial<LogSettings>): Partial<LogSettings> {
  return settings;
}

interface Sent {
  readonly count: number;
  readonly valueBytes: number;
  readonly timestampMs: number;
  readonly compression: Compression;
}

const sent = fc.record({
  count: fc.integer({ min: 1, max: 4 }),
  valueBytes: fc.constantFrom(1, 30, 2_000),
  timestampMs: fc.integer({ min: 0, max: 50 }),
  compression: fc.constantFrom<Compression>(Compression.NONE, Compression.GZIP, Compression.LZ4),
});

function textOf(index: number, { count, valueBytes }: Sent): string[] {
  return Array.from({ length: count }, (_, at) => `${index}.${at}`.padEnd(valueBytes, "x"));
}

/** Everything that a client can ask of a log, and the answers. */
async function answersOf(world: LogWorld, log: PartitionLog): Promise<unknown> {
  const found: unknown[] = [log.logStart, log.highWatermark];
  for (let offset = log.logStart; offset < log.highWatermark; offset++) {
    for (const maxBytes of [1, 500, 5_000, 1_000_000]) {
      const options = { maxBytes, atLeastOneBatch: maxBytes === 1, signal };
      const parts = await world.complete(log.read(offset, options));
      found.push(Buffer.concat(parts).toString("base64"));
    }
    expect(log.availableBytes(offset, 1_000_000)).toBeGreaterThan(0);
  }
  for (let timestampMs = -1; timestampMs < 60; timestampMs += 3) {
    found.push(await world.complete(log.findByTimestamp(timestampMs, { signal })));
  }
  found.push(await world.complete(log.findMaxTimestamp({ signal })));
  for (let epoch = 0; epoch < 4; epoch++) found.push(log.endOffsetForEpoch(epoch));
  found.push(await world.complete(log.read(log.highWatermark, { maxBytes: 10, atLeastOneBatch: true, signal })));
  found.push(log.availableBytes(log.highWatermark, 10));
  return found;
}

async function keysOf(world: LogWorld, prefix: string): Promise<string[]> {
  const { objects } = await world.memoryStore.list(`test/${prefix}`, { limit: 1000, signal });
  return objects.map(({ key }) => key);
}

function shardLogOf(process: LogProcess, name: string) {
  const topicId = process.feed.current.topic(name)?.topicId ?? "";
  const shardLog = process.brokerLog.serving?.shard(shardOf(topicId, 0));
  if (!shardLog) throw new Error("the shard is not owned");
  return shardLog;
}

describe("a reconciled log", () => {
  it.each([
    ["segments", { groupBytes: 0 }, whole],
    ["several segments", { groupBytes: 0, segmentBytes: 4_000, pendingBytes: 100 }, whole],
    ["several segments that are read in chunks", { groupBytes: 0, segmentBytes: 4_000, pendingBytes: 100 }, inChunks],
    ["groups", { groupBytes: 1_000_000 }, whole],
    ["segments of merged groups", { groupBytes: 1_000_000, mergedCountMin: 2, segmentBytes: 1_000_000 }, whole],
  ])(
    "answers as before once its records lie in %s, before and after a restart",
    async (_what, reconcile, reading) => {
      await fc.assert(
        fc.asyncProperty(fc.array(sent, { minLength: 2, maxLength: 9 }), fc.nat(100), async (list, cut) => {
          const world = new LogWorld();
          const settings = reading(settingsWith({ mergedCountMin: 1_000, ...reconcile }));
          let process = await world.start(reading(settingsWith({ ...reconcile, intervalMs: 10_000_000 })));
          await process.createTopic("orders");
          const half = Math.ceil(list.length / 2);
          const appendAll = async (from: number, to: number) => {
            for (const [index, one] of list.slice(from, to).entries()) {
              const { timestampMs, compression } = one;
              const batch = batchOf(textOf(from + index, one), { compression }, timestampMs);
              await world.complete(process.partition("orders").append(batch));
            }
          };
          await appendAll(0, half);
          await process.stop();
          process = await world.start(settings);
          // The first half is reconciled before the second one comes, so that there is something to merge.
          await world.pass(2 * AGE_MS);
          await appendAll(half, list.length);
          const log = process.partition("orders");
          await world.complete(log.moveLogStart(Math.floor((log.highWatermark * cut) / 200)));
          const before = await answersOf(world, log);
          expect(log.extents.all.length).toBeGreaterThan(0);
          await world.pass(3 * AGE_MS);
          expect(log.extents.all).toEqual([]);
          expect(await answersOf(world, log)).toEqual(before);
          await process.crash();
          process = await world.start(settings);
          const recovered = process.partition("orders");
          const forms = recovered.stored.segments.all.map(({ form }) => form.type);
          expect(forms.length).toBeGreaterThan(0);
          const after = (await answersOf(world, recovered)) as unknown[];
          expect(after.slice(0, -6)).toEqual((before as unknown[]).slice(0, -6));
          await process.stop();
        }),
        { numRuns: 3 },
      );
    },
    120_000,
  );

  it("keeps a long list of segments through restarts, while it grows and is cut and merged", async () => {
    const world = new LogWorld();
    const settings = {
      ...settingsWith({ groupBytes: 0, pendingBytes: 1, segmentBytes: 1_000, intervalMs: 50, mergedCountMin: 1e6 }),
      checkpointIntervalMs: 500,
    };
    let process = await world.start(settings);
    await process.createTopic("orders");
    const expected: string[] = [];
    const appendMore = async (count: number) => {
      for (let n = 0; n < count; n++) {
        const value = `v${expected.length}`;
        expected.push(`${await process.append("orders", [value])}:${value}`);
        await world.pass(60);
      }
      await world.pass(600);
    };
    const restart = async (others: Partial<LogSettings> = {}) => {
      await process.crash();
      process = await world.start({ ...settings, ...others });
      const log = process.partition("orders");
      expect(await process.values("orders", log.logStart)).toEqual(expected.slice(log.logStart));
      return log.stored.segments.all.length;
    };
    await appendMore(30);
    expect(await restart()).toBe(30);
    await appendMore(5);
    expect(await restart()).toBe(35);
    await world.complete(process.partition("orders").moveLogStart(7));
    await appendMore(1);
    expect(await restart()).toBe(29);
    expect(shardLogOf(process, "orders").dropped.size).toBe(14);
    const merging = settingsWith({ groupBytes: 0, pendingBytes: 1, segmentBytes: 2_000, intervalMs: 50 });
    await restart(merging);
    await world.pass(10_000);
    expect(await restart()).toBeLessThan(8);
    expect(shardLogOf(process, "orders").dropped.size).toBeGreaterThan(14 + 2 * 20);
    await process.stop();
  });

  it("puts nothing any more once everything is reconciled, and needs none of the write-ahead objects", async () => {
    const world = new LogWorld();
    const settings = settingsWith({ groupBytes: 100 });
    const process = await world.start(settings);
    await process.createTopic("orders");
    await process.createTopic("few");
    await process.append("orders", ["a".repeat(300)]);
    await process.append("few", ["b"]);
    await world.pass(3 * AGE_MS);
    expect(await keysOf(world, "orders/")).toHaveLength(2);
    expect(await keysOf(world, "grp/")).toHaveLength(1);
    const before = await keysOf(world, "");
    await world.pass(60 * AGE_MS);
    expect(await keysOf(world, "")).toEqual(before);
    await world.memoryStore.delete(await keysOf(world, "wal/"), { signal });
    expect(await process.values("orders")).toEqual([`0:${"a".repeat(300)}`]);
    await process.crash();
    const next = await world.start(settings);
    expect(await next.values("orders")).toEqual([`0:${"a".repeat(300)}`]);
    expect(await next.values("few")).toEqual(["0:b"]);
    expect(shardLogOf(next, "orders").claim.claim.prev).toEqual([]);
    await next.stop();
  });

  it.each([
    ["segments", { groupBytes: 0, heldBytes: 1e9 }, 1],
    ["groups", { groupBytes: 1e9, heldBytes: 1e9 }, 1],
    ["segments, a third of the partitions at a time,", { groupBytes: 0, heldBytes: 3_000, segmentBytes: 4_000 }, 3],
  ])(
    "takes each write-ahead object into %s by one GET for all partitions that are held together",
    async (_what, reconcile, turns) => {
      const world = new LogWorld();
      const gets: string[] = [];
      const { memoryStore } = world;
      world.store = withCalls(memoryStore, (call, key, run) => {
        if (call === "get" && key.includes("/wal/")) gets.push(key);
        return run();
      });
      const process = await world.start(settingsWith({ pendingAgeMs: 20_000, mergedCountMin: 1_000, ...reconcile }));
      const indexes = Array.from({ length: 12 }, (_, index) => index);
      await process.createTopic("orders", indexes.length);
      const flushes = 10;
      for (let flush = 0; flush < flushes; flush++) {
        const appendTo = (index: number) => process.partition("orders", index).append(batchOf([`${flush}`]));
        await world.complete(Promise.all(indexes.map(appendTo)));
      }
      gets.length = 0;
      await world.pass(60_000);
      expect(indexes.every((index) => process.partition("orders", index).extents.all.length === 0)).toBe(true);
      expect(new Set(gets).size).toBe(flushes);
      expect(gets).toHaveLength(flushes * turns);
      for (const index of indexes) expect(await process.values("orders", 0, index)).toHaveLength(flushes);
      await process.stop();
    },
  );

  it("is written byte for byte as the format says, with the largest timestamp as its time of creation", async () => {
    const world = new LogWorld();
    const process = await world.start(settingsWith({ groupBytes: 0 }));
    await process.createTopic("orders");
    await world.complete(process.partition("orders").append(batchOf(["a", "b"], {}, 5_000)));
    await world.pass(3 * AGE_MS);
    const key = (await keysOf(world, "orders/")).find((candidate) => candidate.endsWith(".kfs")) ?? "";
    const { summary } = decodeSegment(await world.memoryStore.get(key, { signal }));
    expect(summary).toMatchObject({ baseOffset: 0, endOffset: 2, recordCount: 2, maxTimestampMs: 5_001 });
    await process.stop();
  });
});

describe("reconciling", () => {
  /** A world in which one record is pending and `onPut` is called with the key of each object put, before it is. */
  async function pendingWorld(onPut: (key: string, process: LogProcess) => Promise<void> | void) {
    const world = new LogWorld();
    const { memoryStore } = world;
    let started: LogProcess | undefined;
    world.store = {
      put: async (key, parts, options) => {
        if (started) await onPut(key, started);
        return memoryStore.put(key, parts, options);
      },
      get: (key, options) => memoryStore.get(key, options),
      head: (key, options) => memoryStore.head(key, options),
      list: (prefix, options) => memoryStore.list(prefix, options),
      delete: (keys, options) => memoryStore.delete(keys, options),
    };
    const process = await world.start(settingsWith({ groupBytes: 0 }));
    started = process;
    await process.createTopic("orders");
    await process.append("orders", ["a"]);
    await process.append("orders", ["b"]);
    return { world, process };
  }

  it("drops what it put when the log start has passed it meanwhile", async () => {
    let moved: Promise<number> | undefined;
    const { world, process } = await pendingWorld((key, running) => {
      if (key.endsWith(".kfs")) moved ??= running.partition("orders").moveLogStart(2);
      return key.endsWith(".index") ? moved?.then(() => {}) : undefined;
    });
    await world.pass(3 * AGE_MS);
    const { dropped } = shardLogOf(process, "orders");
    expect([...dropped].sort()).toEqual(await keysOf(world, "orders/"));
    expect(dropped.size).toBe(2);
    const { stored, logStart } = process.partition("orders");
    expect([stored.segments.all, stored.extents.all, logStart]).toEqual([[], [], 2]);
    await process.stop();
  });

  it("lists a segment in which the log start came to lie meanwhile", async () => {
    let moved: Promise<number> | undefined;
    const { world, process } = await pendingWorld((key, running) => {
      if (key.endsWith(".kfs")) moved ??= running.partition("orders").moveLogStart(1);
      return key.endsWith(".index") ? moved?.then(() => {}) : undefined;
    });
    await world.pass(3 * AGE_MS);
    expect(process.partition("orders").stored.segments.all).toHaveLength(1);
    expect(await process.values("orders", 1)).toEqual(["1:b"]);
    await process.stop();
  });

  it("drops what it put for a topic that was deleted meanwhile, and everything the topic had", async () => {
    const { world, process } = await pendingWorld(async (key, running) => {
      if (!key.includes("segment-00000000000000000002.index")) return;
      const shardLog = shardLogOf(running, "orders");
      await running.topics.delete({ name: "orders" }, { signal });
      while (shardLog.partitions.size > 0) await sleep(world.clock, 10, signal);
    });
    await world.pass(3 * AGE_MS);
    const shardLog = shardLogOf(process, "orders");
    await process.append("orders", ["c"]);
    await world.pass(3 * AGE_MS);
    expect(shardLog.partitions.size).toBe(0);
    expect([...shardLog.dropped].sort()).toEqual(await keysOf(world, "orders/"));
    expect(shardLog.dropped.size).toBe(4);
    expect(shardLog.pendingFlushes.lowest(process.brokerLog.serving?.session.sessionId ?? "")).toBeUndefined();
    await process.stop();
  });

  it("takes over what stands at the plain names only when it is the same, and else writes under its own", async () => {
    for (const isSame of [true, false]) {
      const keys: string[] = [];
      const { world, process } = await pendingWorld(async (key) => {
        if (!key.endsWith(".kfs") || keys.length > 0) return;
        keys.push(key);
        if (!isSame) await world.memoryStore.put(key, [new Uint8Array([1])], { ifAbsent: true, signal });
      });
      await world.pass(3 * AGE_MS);
      const [segment] = process.partition("orders").stored.segments.all;
      expect(segment?.key === keys[0]).toBe(isSame);
      expect([...shardLogOf(process, "orders").dropped]).toHaveLength(isSame ? 0 : 2);
      expect(await process.values("orders")).toEqual(["0:a", "1:b"]);
      await process.stop();
    }
  });

  it("adopts the segment that an earlier session wrote and never listed", async () => {
    const { world, process } = await pendingWorld((key, running) => {
      if (key.endsWith(".index")) running.brokerLog.abandon();
    });
    await world.pass(2 * AGE_MS);
    await process.crash();
    const next = await world.start(settingsWith({ groupBytes: 0 }));
    await world.pass(3 * AGE_MS);
    expect(next.partition("orders").stored.segments.all).toHaveLength(1);
    expect((await keysOf(world, "orders/")).every((key) => /\.(kfs|index)$/.test(key))).toBe(true);
    expect(await next.values("orders")).toEqual(["0:a", "1:b"]);
    await next.stop();
  });

  it("lets a reader find a record where it lies now when its object is gone, and tells when it is nowhere", async () => {
    const { world, process } = await pendingWorld(() => {});
    const log = process.partition("orders");
    await world.pass(3 * AGE_MS);
    const [segment] = log.stored.segments.all;
    await world.memoryStore.delete([segment?.key ?? ""], { signal });
    const read = world.complete(log.read(0, { maxBytes: 100, atLeastOneBatch: true, signal }));
    await expect(read).rejects.toThrow(segment?.key);
    await expect(read).rejects.toMatchObject({ cause: expect.any(ObjectStoreError) as unknown });
    await process.append("orders", ["c"]);
    expect(await process.values("orders", 2)).toEqual(["2:c"]);
    await process.stop();
  });

  it.each([true, false])(
    "tells of an input that is gone unless its topic is (%s) gone as well",
    async (isTopicGone) => {
      const world = new LogWorld();
      const errors: string[] = [];
      world.log = { ...silentLog, error: (text) => void errors.push(text) };
      const { memoryStore } = world;
      let onBackgroundGet = () => Promise.resolve();
      world.store = {
        put: (key, parts, options) => memoryStore.put(key, parts, options),
        get: async (key, options) => {
          if (options.isBackground) await onBackgroundGet();
          return memoryStore.get(key, options);
        },
        head: (key, options) => memoryStore.head(key, options),
        list: (prefix, options) => memoryStore.list(prefix, options),
        delete: (keys, options) => memoryStore.delete(keys, options),
      };
      const process = await world.start(settingsWith({ groupBytes: 0, mergedCountMin: 2 }));
      await process.createTopic("orders");
      const shardLog = shardLogOf(process, "orders");
      for (const value of ["a", "b"]) {
        await process.append("orders", [value]);
        if (value === "b") {
          onBackgroundGet = async () => {
            const { objects } = await memoryStore.list("test/orders/", { limit: 100, signal });
            if (objects.length < 4) return;
            onBackgroundGet = () => Promise.resolve();
            if (isTopicGone) await process.topics.delete({ name: "orders" }, { signal });
            while (isTopicGone && shardLog.partitions.size > 0) await sleep(world.clock, 10, signal);
            await memoryStore.delete(
              objects.map(({ key }) => key),
              { signal },
            );
          };
        }
        await world.pass(2 * AGE_MS);
      }
      const told = errors.filter((text) => text === "records refer to an object that is gone");
      expect(told).toHaveLength(isTopicGone ? 0 : 1);
      await process.stop();
    },
  );

  /** Two partitions of a topic of 200 that lie in one shard. */
  function neighboursIn(topicId: string): readonly [number, number] {
    const shards = Array.from({ length: 200 }, (_, index) => shardOf(topicId, index));
    const first = shards.findIndex((shard, index) => shards.indexOf(shard, index + 1) > 0);
    return [first, shards.indexOf(shards[first] ?? 0, first + 1)];
  }

  it("leaves out of a group whose records expire while those of another are read for it", async () => {
    const world = new LogWorld();
    const { memoryStore } = world;
    let onBackgroundGet: (() => Promise<unknown>) | undefined;
    world.store = {
      put: (key, parts, options) => memoryStore.put(key, parts, options),
      get: async (key, options) => {
        const waited = options.isBackground ? onBackgroundGet : undefined;
        if (waited) onBackgroundGet = undefined;
        await waited?.();
        return memoryStore.get(key, options);
      },
      head: (key, options) => memoryStore.head(key, options),
      list: (prefix, options) => memoryStore.list(prefix, options),
      delete: (keys, options) => memoryStore.delete(keys, options),
    };
    const process = await world.start(settingsWith({ groupBytes: 1_000_000 }));
    const [kept, expired] = neighboursIn((await process.createTopic("orders", 200)).topicId);
    await process.append("orders", ["kept"], {}, kept);
    await process.append("orders", ["expired"], {}, expired);
    onBackgroundGet = () => process.partition("orders", expired).moveLogStart(1);
    await world.pass(60_000);
    expect(process.bugs).toEqual([]);
    expect(process.partition("orders", kept).stored.segments.all).toHaveLength(1);
    expect(await process.values("orders", 0, kept)).toEqual(["0:kept"]);
    await process.stop();
  });

  it("groups what can be read although a neighbour in the shard cannot", async () => {
    const world = new LogWorld();
    const process = await world.start(settingsWith({ groupBytes: 1_000_000 }));
    const [bad, good] = neighboursIn((await process.createTopic("orders", 200)).topicId);
    await process.append("orders", ["lost"], {}, bad);
    await process.append("orders", ["kept"], {}, good);
    const [extent] = process.partition("orders", bad).extents.all;
    const key = world.objectKeys.wal(extent?.sessionId ?? "", extent?.flush ?? 0);
    await world.memoryStore.delete([key], { signal });
    await world.pass(60_000);
    expect(process.partition("orders", good).stored.segments.all).toHaveLength(1);
    expect(process.partition("orders", bad).extents.all).toHaveLength(1);
    expect(await process.values("orders", 0, good)).toEqual(["0:kept"]);
    await process.stop();
  });

  it("merges the parts of groups that can be read although a neighbour in the shard cannot", async () => {
    const world = new LogWorld();
    const process = await world.start(settingsWith({ groupBytes: 1_000_000, mergedCountMin: 2 }));
    const [bad, good] = neighboursIn((await process.createTopic("orders", 200)).topicId);
    const bad0 = process.partition("orders", bad);
    await process.append("orders", ["lost"], {}, bad);
    await world.until(() => bad0.stored.segments.all.length === 1);
    const [part] = bad0.stored.segments.all;
    await world.memoryStore.delete([part?.key ?? ""], { signal });
    await process.append("orders", ["a"], {}, good);
    await world.until(() => process.partition("orders", good).stored.segments.all.length === 1);
    await process.append("orders", ["lost too"], {}, bad);
    await process.append("orders", ["b", "c"], {}, good);
    await world.pass(60_000);
    const [segment, ...others] = process.partition("orders", good).stored.segments.all;
    expect([segment?.form.type, segment?.endOffset, others]).toEqual(["group", 3, []]);
    expect(bad0.stored.segments.all).toHaveLength(2);
    expect(await process.values("orders", 0, good)).toEqual(["0:a", "1:b", "2:c"]);
    expect(process.bugs).toEqual([]);
    await process.stop();
  });

  it.each([".kfs", ".index"])("serves nothing of a damaged %s object, and everything else", async (ending) => {
    const { world, process } = await pendingWorld(() => {});
    await process.createTopic("others");
    await process.append("others", ["x"]);
    await world.pass(3 * AGE_MS);
    const key = (await keysOf(world, "orders/")).find((candidate) => candidate.endsWith(ending)) ?? "";
    const bytes = await world.memoryStore.get(key, { signal });
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await world.memoryStore.put(key, [bytes], { ifAbsent: false, signal });
    const read = process.partition("orders").read(0, { maxBytes: 100, atLeastOneBatch: true, signal });
    await expect(world.complete(read)).rejects.toThrow("KAFKA_STORAGE_ERROR");
    expect(await process.values("others")).toEqual(["0:x"]);
    await process.append("orders", ["c"]);
    expect(await process.values("orders", 2)).toEqual(["2:c"]);
    await process.stop();
  });

  it("gives a reader nothing rather than what comes next when the log start has just moved past him", async () => {
    const { world, process } = await pendingWorld(() => {});
    const log = process.partition("orders");
    await world.complete(log.moveLogStart(1));
    const options = { maxBytes: 1_000, atLeastOneBatch: true, signal };
    expect(await world.complete(log.read(0, options))).toEqual([]);
    await world.pass(3 * AGE_MS);
    expect(log.stored.segments.all).toHaveLength(1);
    expect(await world.complete(log.read(0, options))).toEqual([]);
    await process.stop();
  });

  it("lets no claim grow for ever, however often the process is restarted before anything is old enough", async () => {
    const world = new LogWorld();
    const settings = settingsWith({ pendingAgeMs: 1e9 });
    let process = await world.start(settings);
    await process.createTopic("orders");
    let termsMax = 0;
    for (let session = 0; session < 20; session++) {
      await process.append("orders", [`v${session}`]);
      await process.crash();
      process = await world.start(settings);
      termsMax = Math.max(termsMax, shardLogOf(process, "orders").claim.claim.prev.length);
      await world.pass(session < 16 ? 100 : 7_000);
    }
    expect(termsMax).toBe(17);
    expect(shardLogOf(process, "orders").claim.claim.prev.length).toBeLessThan(5);
    expect(await process.values("orders")).toEqual(Array.from({ length: 20 }, (_, offset) => `${offset}:v${offset}`));
    await process.stop();
  });
});
