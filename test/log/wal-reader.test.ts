// Reading behind the tail as a whole: the same answers whatever the settings, few GETs, and damage that stays where it is.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { errorCodeOf } from "../../src/kafka-error.ts";
import { type ColdReadSettings, objectStoreColdReads } from "../../src/log/cold-reads.ts";
import type { Extent } from "../../src/log/extents.ts";
import { embeddedLogSettings, type LogSettings } from "../../src/log/log-settings.ts";
import { PartitionLog } from "../../src/log/partition-log.ts";
import { ShardPlaces } from "../../src/log/shard-places.ts";
import { WalReader } from "../../src/log/wal-reader.ts";
import type { SegmentEntry } from "../../src/objects/checkpoint-lists.ts";
import { ObjectKeys } from "../../src/objects/object-keys.ts";
import { encodeSegment } from "../../src/objects/segment.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { iterateBatches } from "../../src/records/record-batch.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { sampleSegment } from "./sample-segments.ts";
import { type GetFate, SlowStore } from "./slow-store.ts";

const sessionId = "0123456789abcdef01234567";
const keys = new ObjectKeys("test");

interface Shape {
  /** Flushes, and the records of each partition in each of them; 0 is none. */
  readonly flushes: readonly (readonly number[])[];
  readonly valueBytes: number;
}

/** A store with WAL objects of that shape, and the extents of each partition. */
async function storeOf(clock: SimClock, { flushes, valueBytes }: Shape, fateOf?: (nth: number) => GetFate) {
  const signal = new AbortController().signal;
  const store = new SlowStore(clock, fateOf);
  const partitions: Extent[][] = (flushes[0] ?? []).map(() => []);
  for (const [index, counts] of flushes.entries()) {
    const parts: Uint8Array[] = [];
    let position = 0;
    for (const [partition, count] of counts.entries()) {
      const extents = partitions[partition];
      if (!extents || count === 0) continue;
      const baseOffset = extents.at(-1)?.endOffset ?? 0;
      const bytes = batchesFrom(baseOffset, count, valueBytes);
      extents.push({
        sessionId,
        flush: index + 1,
        position,
        length: bytes.length,
        crc32c: crc32c(bytes),
        baseOffset,
        endOffset: baseOffset + count,
        leaderEpoch: 1,
        firstTimestampMs: 1,
        lastTimestampMs: 1,
        maxTimestampMs: 1,
        tailBytes: null,
      });
      parts.push(bytes);
      position += bytes.length;
    }
    // What stands behind the extents in a real object.
    parts.push(new Uint8Array(50));
    await store.put(keys.wal(sessionId, index + 1), parts, { ifAbsent: true, signal });
  }
  return { store, partitions };
}

/** A batch per record. */
function batchesFrom(baseOffset: number, count: number, valueBytes: number): Uint8Array {
  const value = new Uint8Array(valueBytes).fill(baseOffset);
  const batches = Array.from({ length: count }, (_, index) =>
    encodeBatch([{ timestampMs: 1, key: null, value }], { baseOffset: baseOffset + index }),
  );
  return new Uint8Array(Buffer.concat(batches));
}

function readerOf(
  clock: SimClock,
  store: SlowStore,
  coldReads: Partial<ColdReadSettings>,
  settings: Partial<LogSettings> = {},
) {
  const metrics = new UnexportedMetrics();
  const walReader = new WalReader({
    store,
    clock,
    log: silentLog,
    metrics,
    objectKeys: keys,
    producedBytes: () => 0,
    settings: {
      ...embeddedLogSettings,
      ...settings,
      coldReads: { ...objectStoreColdReads, bytesPerSecond: 0, hedgeMsMin: Number.POSITIVE_INFINITY, ...coldReads },
    },
  });
  const logOf = (extents: readonly Extent[], segments: readonly SegmentEntry[] = []) => {
    const term = {
      leaderEpoch: 1,
      requireWritable() {},
      requireReadable() {},
      enqueue() {},
      reads: walReader,
      places: new ShardPlaces(() => {}),
      monotonicMs: () => clock.monotonicMs(),
    };
    const log = new PartitionLog({ topicId: "AAECAwQFBgcICQoLDA0ODw", partition: 0, isInternal: false }, term);
    log.restore(0, { extents, segments }, (extents.at(-1) ?? segments.at(-1))?.endOffset ?? 0);
    return log;
  };
  return { logOf, metrics, walReader };
}

/** The offsets of everything from `from` on, as a consumer reads it. */
async function consume(log: PartitionLog, from: number, maxBytes: number): Promise<number[]> {
  const signal = new AbortController().signal;
  const offsets: number[] = [];
  let next = from;
  while (next < log.highWatermark) {
    for (const part of await log.read(next, { maxBytes, atLeastOneBatch: true, signal })) {
      for (const batch of iterateBatches(part)) {
        if (batch.computeCrc() !== batch.crc) throw new Error(`the batch at ${batch.baseOffset} is damaged`);
        offsets.push(batch.baseOffset);
        next = batch.nextOffset;
      }
    }
  }
  return offsets;
}

function countFrom(from: number, end: number): number[] {
  return Array.from({ length: end - from }, (_, index) => from + index);
}

const evenShape = (flushes: number, partitions: number, records: number): Shape => ({
  flushes: Array.from({ length: flushes }, () => Array.from({ length: partitions }, () => records)),
  valueBytes: 100,
});

describe("reading behind the tail", () => {
  it("gives every consumer the same records, whatever is cached, chunked, hedged or read ahead", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.nat(4), { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 12 }),
        fc.constantFrom(0, 200, 1_000, 100_000),
        fc.constantFrom(1, 700, 1_000_000),
        fc.constantFrom(1, 500, 1_000_000),
        fc.constantFrom(0, 400, 100_000),
        fc.array(fc.record({ partition: fc.nat(2), from: fc.nat(10), maxBytes: fc.constantFrom(1, 300, 5_000) }), {
          minLength: 1,
          maxLength: 6,
        }),
        async (flushes, chunkBytes, readCacheBytes, readsInFlightBytes, readAheadBytes, consumers) => {
          const clock = new SimClock({ seed: "same" });
          const { store, partitions } = await storeOf(clock, { flushes, valueBytes: 60 }, (nth) => ({
            ms: (nth * 13) % 90,
          }));
          const coldReads = {
            chunkBytes,
            walChunkBytes: 2 * chunkBytes,
            readAheadBytes,
            hedgeMsMin: 40,
            getsInFlightMax: 4,
          };
          const { logOf } = readerOf(clock, store, coldReads, { readCacheBytes, readsInFlightBytes });
          const logs = partitions.map((extents) => logOf(extents));
          const reads = consumers.map(async ({ partition, from, maxBytes }) => {
            const log = logs[partition];
            if (!log) throw new Error("no such partition");
            const first = Math.min(from, log.highWatermark);
            expect(await consume(log, first, maxBytes)).toEqual(countFrom(first, log.highWatermark));
          });
          await clock.complete(Promise.all(reads));
          await clock.advance(1_000);
          expect(clock.pendingCount).toBe(0);
        },
      ),
      { numRuns: 100 },
    ));

  it("costs consumers of all partitions one GET per write-ahead object, however small other chunks are", async () => {
    const clock = new SimClock({ seed: "all" });
    const { store, partitions } = await storeOf(clock, evenShape(10, 8, 8));
    const { logOf } = readerOf(clock, store, { chunkBytes: 2_000, walChunkBytes: 20_000 });
    const reads = partitions.map((extents) => consume(logOf(extents), 0, 1_000));
    const found = await clock.complete(Promise.all(reads));
    expect(found.every((offsets) => offsets.length === 80)).toBe(true);
    expect(store.ranges).toHaveLength(10);
  });

  it("reads ahead of a sequential consumer, so that he waits for few of the GETs", async () => {
    const timeOf = async (readAheadBytes: number) => {
      const clock = new SimClock({ seed: "ahead" });
      const { store, partitions } = await storeOf(clock, evenShape(40, 1, 8), () => ({ ms: 50 }));
      const { logOf } = readerOf(clock, store, { chunkBytes: 0, readAheadBytes });
      await clock.complete(consume(logOf(partitions[0] ?? []), 0, 1_000));
      return { ms: clock.monotonicMs(), gets: store.ranges.length };
    };
    const without = await timeOf(0);
    const ahead = await timeOf(8_000);
    expect(without.ms).toBe(40 * 50);
    expect(ahead.ms).toBeLessThan(without.ms / 3);
    expect([without.gets, ahead.gets]).toEqual([40, 40]);
  });

  it("answers KAFKA_STORAGE_ERROR for a damaged extent, after three tries, and serves its neighbours in the chunk", async () => {
    const signal = new AbortController().signal;
    const clock = new SimClock({ seed: "damage" });
    const { store, partitions } = await storeOf(clock, evenShape(1, 2, 3));
    const key = keys.wal(sessionId, 1);
    const bytes = await clock.complete(store.get(key, { signal }));
    const damaged = bytes.slice();
    damaged[70] = (damaged[70] ?? 0) ^ 1;
    await store.put(key, [damaged], { ifAbsent: false, signal });
    store.ranges.length = 0;
    const { logOf, metrics } = readerOf(clock, store, { chunkBytes: 10_000, walChunkBytes: 10_000 });
    const [bad, good] = partitions.map((extents) => logOf(extents));
    if (!bad || !good) throw new Error("two partitions are there");
    const refused = await clock.complete(consume(bad, 0, 1_000).catch(errorCodeOf));
    expect(refused).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(metrics.counters.get("kafscale_corrupt_reads_total")?.value).toBe(3);
    expect(store.ranges).toHaveLength(3);
    expect(await clock.complete(consume(good, 0, 1_000))).toEqual([0, 1, 2]);
    await store.put(key, [bytes], { ifAbsent: false, signal });
    expect(await clock.complete(consume(bad, 0, 1_000))).toEqual([0, 1, 2]);
  });

  it("asks for an extent that many wait for once, also when it cannot be had", async () => {
    const clock = new SimClock({ seed: "many" });
    const { store, partitions } = await storeOf(clock, evenShape(1, 1, 3), () => ({ ms: 10, fails: true }));
    const { logOf } = readerOf(clock, store, { chunkBytes: 0 });
    const log = logOf(partitions[0] ?? []);
    const reads = Array.from({ length: 20 }, () => consume(log, 0, 1_000).catch(errorCodeOf));
    const codes = await clock.complete(Promise.all(reads));
    expect(new Set(codes)).toEqual(new Set([ErrorCode.KAFKA_STORAGE_ERROR]));
    expect(store.ranges).toHaveLength(3);
  });
});

/** Puts segments that follow each other, of the batches given, and tells their entries. */
async function putSegments(store: SlowStore, partition: number, segments: readonly (readonly number[])[]) {
  const signal = new AbortController().signal;
  const entries: SegmentEntry[] = [];
  for (const valueBytes of segments) {
    const baseOffset = entries.at(-1)?.endOffset ?? 0;
    const { entry, index, object } = sampleSegment(`${partition}/${baseOffset}.kfs`, baseOffset, valueBytes);
    await store.put(entry.key, [object], { ifAbsent: true, signal });
    await store.put(`${entry.key}.index`, [index], { ifAbsent: true, signal });
    entries.push(entry);
  }
  return entries;
}

describe("reading segments", () => {
  const valueBytes = fc.constantFrom(0, 40, 700, 3_000);

  it("gives every consumer the same records, wherever he begins, whatever is cached, looked at or read ahead", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(valueBytes, { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 4 }),
        fc.constantFrom(0, 500, 2_000, 100_000),
        fc.constantFrom(1, 3_000, 1_000_000),
        fc.constantFrom(1, 2_000, 1_000_000),
        fc.constantFrom(0, 4_000, 100_000),
        fc.array(fc.record({ from: fc.nat(60), maxBytes: fc.constantFrom(1, 300, 5_000) }), {
          minLength: 1,
          maxLength: 5,
        }),
        async (segments, chunkBytes, readCacheBytes, readsInFlightBytes, readAheadBytes, consumers) => {
          const clock = new SimClock({ seed: "segments" });
          const store = new SlowStore(clock, (nth) => ({ ms: (nth * 13) % 90 }));
          const entries = await putSegments(store, 0, segments);
          const coldReads = { chunkBytes, walChunkBytes: chunkBytes, readAheadBytes, getsInFlightMax: 4 };
          const { logOf, metrics } = readerOf(clock, store, coldReads, { readCacheBytes, readsInFlightBytes });
          const log = logOf([], entries);
          const reads = consumers.map(async ({ from, maxBytes }) => {
            const first = Math.min(from, log.highWatermark);
            expect(await consume(log, first, maxBytes)).toEqual(countFrom(first, log.highWatermark));
          });
          await clock.complete(Promise.all(reads));
          await clock.advance(1_000);
          expect(clock.pendingCount).toBe(0);
          expect(metrics.counters.get("kafscale_corrupt_reads_total")?.value).toBe(0);
        },
      ),
      { numRuns: 150 },
    ));

  it("costs readers who take turns hardly more than a GET for each run, and no index, though their runs fill the cache", async () => {
    const clock = new SimClock({ seed: "turns" });
    const store = new SlowStore(clock);
    const partitions = 16;
    const chunkBytes = 16 * 1_100;
    const settings = { readCacheBytes: partitions * chunkBytes * 1.35, readsInFlightBytes: 1e6 };
    const { logOf } = readerOf(clock, store, { chunkBytes, readAheadBytes: 4 * chunkBytes }, settings);
    const readers: { log: PartitionLog; next: number }[] = [];
    for (let partition = 0; partition < partitions; partition++) {
      const segments = Array.from({ length: 4 }, () => Array.from({ length: 40 }, () => 1_000));
      readers.push({ log: logOf([], await putSegments(store, partition, segments)), next: 0 });
    }
    const options = { maxBytes: 4 * 1_100, atLeastOneBatch: true, signal: new AbortController().signal };
    while (readers.some(({ log, next }) => next < log.highWatermark)) {
      for (const reader of readers) {
        const parts = await clock.complete(reader.log.read(reader.next, options));
        for (const part of parts) for (const { nextOffset } of iterateBatches(part)) reader.next = nextOffset;
      }
    }
    expect(store.ranges.filter(({ key }) => key.endsWith(".index"))).toEqual([]);
    // What is read ahead for one takes room that another could have filled with a whole run.
    const runs = partitions * 4 * 2;
    expect(store.ranges.length).toBeGreaterThanOrEqual(runs);
    expect(store.ranges.length).toBeLessThanOrEqual(runs * 1.15);
  });

  it("gives no batch under another offset than its own, though no checksum of a batch covers that", async () => {
    for (const length of [2_000, 300]) {
      for (let nth = 0; nth < 12; nth++) {
        const clock = new SimClock({ seed: "another offset" });
        const store = new SlowStore(clock);
        const [entry] = await putSegments(store, 0, [Array.from({ length: 12 }, () => length)]);
        if (!entry) throw new Error("there is a segment");
        const damaged = await clock.complete(store.get(entry.key, { signal: new AbortController().signal }));
        const batches = [...iterateBatches(damaged.subarray(32, damaged.length - 16))];
        const lowest = (batches[nth]?.bytes.byteOffset ?? 0) - damaged.byteOffset + 7;
        damaged[lowest] = (damaged[lowest] ?? 0) ^ (nth % 2 === 0 ? 1 : 2);
        await store.put(entry.key, [damaged], { ifAbsent: false, signal: new AbortController().signal });
        const { logOf } = readerOf(clock, store, { chunkBytes: 20_000 });
        const log = logOf([], [entry]);
        const offsets: number[] = [];
        const reading = async () => {
          for (let next = 0; next < 12; ) {
            const options = { maxBytes: 1, atLeastOneBatch: true, signal: new AbortController().signal };
            for (const part of await log.read(next, options)) {
              for (const batch of iterateBatches(part)) {
                offsets.push(batch.baseOffset);
                next = batch.nextOffset;
              }
            }
          }
        };
        const refused = await clock.complete(reading().catch(errorCodeOf));
        expect([nth, refused, offsets]).toEqual([nth, ErrorCode.KAFKA_STORAGE_ERROR, countFrom(0, offsets.length)]);
        expect(offsets.length).toBeLessThanOrEqual(nth);
      }
    }
  });

  it("gives all batches of a segment with gaps, which compaction may leave, from any offset", async () => {
    const clock = new SimClock({ seed: "gaps" });
    const store = new SlowStore(clock);
    const kept = [0, 1, 5, 6, 7, 20, 21, 40];
    const batchAt = (baseOffset: number) =>
      encodeBatch([{ timestampMs: 1, key: null, value: new Uint8Array(900) }], { baseOffset });
    const { summary, segment, index } = encodeSegment(kept.map(batchAt));
    const form = { type: "segment", indexKey: "gaps.index", indexBytes: index.length } as const;
    const { endOffset, maxTimestampMs, bytes } = summary;
    const entry: SegmentEntry = { key: "gaps.kfs", baseOffset: 0, endOffset, maxTimestampMs, bytes, form };
    const { signal } = new AbortController();
    await store.put(entry.key, segment, { ifAbsent: true, signal });
    await store.put(form.indexKey, [index], { ifAbsent: true, signal });
    for (const chunkBytes of [0, 2_000, 20_000]) {
      const log = readerOf(clock, store, { chunkBytes }).logOf([], [entry]);
      for (let from = 0; from < endOffset; from++) {
        const expected = kept.filter((offset) => offset >= from);
        expect(await clock.complete(consume(log, from, 1_000))).toEqual(expected);
      }
    }
  });

  it("serves what lies behind damage to who has come to it as he read on", async () => {
    const clock = new SimClock({ seed: "behind damage" });
    const store = new SlowStore(clock);
    const [entry] = await putSegments(store, 0, [Array.from({ length: 600 }, () => 20)]);
    if (!entry) throw new Error("there is a segment");
    const damaged = await clock.complete(store.get(entry.key, { signal: new AbortController().signal }));
    const middle = Math.floor(damaged.length / 2);
    damaged[middle] = (damaged[middle] ?? 0) ^ 1;
    await store.put(entry.key, [damaged], { ifAbsent: false, signal: new AbortController().signal });
    const { logOf } = readerOf(clock, store, { chunkBytes: entry.bytes });
    const log = logOf([], [entry]);
    expect(await clock.complete(consume(log, 0, 1_000).catch(errorCodeOf))).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(await clock.complete(consume(log, 599, 1_000))).toEqual([599]);
  });

  it("answers KAFKA_STORAGE_ERROR for damage, after three tries, and serves what lies before and behind it", async () => {
    const signal = new AbortController().signal;
    const clock = new SimClock({ seed: "damaged segment" });
    const store = new SlowStore(clock);
    const [entry] = await putSegments(store, 0, [Array.from({ length: 600 }, () => 20)]);
    if (!entry) throw new Error("there is a segment");
    const bytes = await clock.complete(store.get(entry.key, { signal }));
    const damaged = bytes.slice();
    const middle = Math.floor(bytes.length / 2);
    damaged[middle] = (damaged[middle] ?? 0) ^ 1;
    await store.put(entry.key, [damaged], { ifAbsent: false, signal });
    const { logOf, metrics } = readerOf(clock, store, { chunkBytes: 30_000 });
    const log = logOf([], [entry]);
    const last = await clock.complete(consume(log, 599, 1_000));
    expect(last).toEqual([599]);
    const before: number[] = [];
    const reading = async () => {
      for (let next = 0; ; next++) {
        await log.read(next, { maxBytes: 1, atLeastOneBatch: true, signal });
        before.push(next);
      }
    };
    expect(await clock.complete(reading().catch(errorCodeOf))).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(before.length).toBeGreaterThan(100);
    expect(before.length).toBeLessThan(400);
    expect(metrics.counters.get("kafscale_corrupt_reads_total")?.value).toBeGreaterThanOrEqual(3);
    await store.put(entry.key, [bytes], { ifAbsent: false, signal });
    expect(await clock.complete(consume(log, 0, 1_000))).toEqual(countFrom(0, 600));
  });
});

it("reads the end of an object, in one read after another small one, whatever their sizes", async () => {
  const { signal } = new AbortController();
  const endBytes = 64 * 1024;
  const bytes = fc.constantFrom(1, 50, endBytes - 1, endBytes, endBytes + 1, 3 * endBytes);
  await fc.assert(
    fc.asyncProperty(fc.array(bytes, { minLength: 1, maxLength: 6 }), async (sizes) => {
      const clock = new SimClock({ seed: "ends" });
      const store = new SlowStore(clock);
      const { walReader } = readerOf(clock, store, {});
      let isSmallBefore = true;
      for (const [index, size] of sizes.entries()) {
        const content = Uint8Array.from({ length: size }, (_, at) => at * 7);
        await store.put(`${index}`, [content], { ifAbsent: true, signal });
        const readsBefore = store.ranges.length;
        const end = await clock.complete(walReader.readEnd(`${index}`, signal));
        const position = Math.max(0, size - endBytes);
        expect([end.objectBytes, end.position]).toEqual([size, position]);
        expect(Buffer.from(end.bytes).equals(content.subarray(position))).toBe(true);
        // The beginning of a large one is read for nothing once, where a small one was read before.
        expect(store.ranges.length - readsBefore).toBe(isSmallBefore && size >= endBytes ? 2 : 1);
        isSmallBefore = size < endBytes;
      }
    }),
    { numRuns: 30 },
  );
});
