// What record batches cost: checksums, validation, iteration, and the longest single steps at the bounds of
// compression.ts. Prints figures of this machine; nothing fails here. Run: npx tsx bench/records.ts
import { gzipSync } from "node:zlib";
import { compressSync } from "snappy";
import { Compression, compress, DECOMPRESSED_BYTES_MAX, decompress } from "../src/records/compression.ts";
import { COMPRESSED_BLOCKS_MAX } from "../src/records/compression-limits.ts";
import { type BatchRecord, encodeBatch } from "../src/records/encode-batch.ts";
import { joinBytes } from "../src/records/join-bytes.ts";
import { CONVERTED_RECORDS_MAX, downConvert, upConvert } from "../src/records/old-formats.ts";
import { BATCH_RECORDS_MAX, RecordBatchView } from "../src/records/record-batch.ts";
import { iterateRecords } from "../src/records/record-iterator.ts";
import { restamp } from "../src/records/restamp.ts";
import { type ProduceRules, validateProducedBatch } from "../src/records/validate.ts";
import { crc32c, crc32cNative, crc32cSliced } from "../src/wire/crc32c.ts";

const MIB = 1024 * 1024;
const SEGMENTS = 7;
const rules: ProduceRules = {
  messageBytesMax: 1024 * MIB,
  requiresKeys: false,
  timestampType: "CreateTime",
  timestampBeforeMaxMs: Number.POSITIVE_INFINITY,
  timestampAfterMaxMs: 3_600_000,
  nowMs: 1_700_000_000_000,
  allowZstd: true,
  fromClient: true,
};

/** Nanoseconds per call, best of some segments of about 40 ms. */
function nanosPerCall(action: () => unknown): number {
  let calls = 1;
  let best = Number.POSITIVE_INFINITY;
  for (let segment = 0; segment < SEGMENTS; ) {
    const start = performance.now();
    for (let call = 0; call < calls; call += 1) action();
    const elapsedMs = performance.now() - start;
    if (elapsedMs < 40 && segment === 0) {
      calls *= 2;
      continue;
    }
    best = Math.min(best, (elapsedMs / calls) * 1e6);
    segment += 1;
  }
  return best;
}

/** Milliseconds of the slowest of five single calls after one to warm up, and what it answers if it refuses. */
function longestStep(name: string, action: () => unknown): void {
  let outcome = "";
  let slowestMs = 0;
  for (let run = 0; run < 6; run += 1) {
    const start = performance.now();
    try {
      action();
    } catch (error) {
      outcome = `  refused: ${(error as Error).message.slice(0, 100)}`;
    }
    if (run > 0) slowestMs = Math.max(slowestMs, performance.now() - start);
  }
  console.log(`${slowestMs.toFixed(1).padStart(9)} ms  ${name}${outcome}`);
}

function recordsOf(count: number, valueBytes: number): BatchRecord[] {
  const text = '{"id":12345,"user":"u4711","action":"click","at":"2026-11-21T15:34:52Z"},'.repeat(valueBytes / 50 + 2);
  return Array.from({ length: count }, (_, index) => ({
    timestampMs: rules.nowMs + index,
    key: Buffer.from(`k${index}`),
    value: Buffer.from(text.slice(index % 50, (index % 50) + valueBytes)),
  }));
}

/** Bytes of which about one in `ratio` is noise: they compress by somewhat less than that. */
function noisy(length: number, ratio: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = 1;
  for (let index = 0; index < length; index += 1) {
    if (index % (ratio * 16) >= 16) continue;
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

function benchChecksums(): void {
  console.log("CRC-32C, ns per call and GB/s");
  for (const length of [64, 256, 1024, 16 * 1024, MIB]) {
    const bytes = noisy(length, 1);
    const row = [crc32c, crc32cSliced, crc32cNative].map((checksum) => {
      if (checksum === undefined) return "missing".padStart(18);
      const nanos = nanosPerCall(() => checksum(bytes));
      return `${nanos.toFixed(0).padStart(9)} ${(length / nanos).toFixed(2).padStart(8)}`;
    });
    console.log(`${String(length).padStart(9)} B  used${row[0]}  sliced${row[1]}  native${row[2]}`);
  }
}

function benchBatches(): void {
  console.log("\nA produced batch: validation with CRC, restamp, iteration (ns per batch; ns per record)");
  for (const [count, valueBytes] of [
    [1, 100],
    [10, 100],
    [150, 100],
    [2500, 100],
  ] as const) {
    const bytes = encodeBatch(recordsOf(count, valueBytes));
    const validateNs = nanosPerCall(() => validateProducedBatch(bytes, rules));
    const restampNs = nanosPerCall(() => restamp(bytes, { baseOffset: 0, leaderEpoch: 3 }));
    const view = new RecordBatchView(bytes);
    const iterateNs = nanosPerCall(() => {
      for (const record of iterateRecords(view)) if (record.offset < 0) throw new Error("impossible");
    });
    console.log(
      `${String(bytes.length).padStart(9)} B  validate ${validateNs.toFixed(0)} (${(bytes.length / validateNs).toFixed(2)} GB/s)  ` +
        `restamp ${restampNs.toFixed(0)}  iterate ${iterateNs.toFixed(0)} (${(iterateNs / count).toFixed(0)})`,
    );
  }
}

function benchBounds(): void {
  console.log("\nThe longest single steps at the bounds (slowest of five)");
  for (const [name, codec] of Object.entries(Compression)) {
    if (codec === Compression.NONE) continue;
    for (const ratio of [4, 60]) {
      const body = compress(codec, noisy(DECOMPRESSED_BYTES_MAX, ratio));
      longestStep(`${name}: ${(body.length / MIB).toFixed(1)} MiB into 64 MiB`, () => decompress(codec, body));
    }
    const bomb = compress(codec, new Uint8Array(512 * MIB));
    longestStep(`${name}: ${(bomb.length / MIB).toFixed(2)} MiB that would become 512 MiB`, () =>
      decompress(codec, bomb),
    );
  }
  const tinyBlock = compressSync(Uint8Array.of(1)) as Uint8Array;
  const framed = joinBytes([Uint8Array.of(0, 0, 0, tinyBlock.length), tinyBlock]);
  const header = compress(Compression.SNAPPY, new Uint8Array());
  const blocks = joinBytes([header, ...Array.from({ length: COMPRESSED_BLOCKS_MAX }, () => framed)]);
  longestStep(`SNAPPY: ${COMPRESSED_BLOCKS_MAX} blocks of one byte`, () => decompress(Compression.SNAPPY, blocks));
  const member = gzipSync(Uint8Array.of(1));
  const members = joinBytes(Array.from({ length: (MIB / member.length) | 0 }, () => member));
  longestStep("GZIP: 1 MiB of members of one byte", () => decompress(Compression.GZIP, members));
  for (const codec of [Compression.LZ4, Compression.ZSTD]) {
    const frame = compress(codec, Buffer.from("abcdabcdabcdabcdabcdabcdabcd"));
    const frames = joinBytes(Array.from({ length: COMPRESSED_BLOCKS_MAX / 2 }, () => frame));
    longestStep(`codec ${codec}: ${COMPRESSED_BLOCKS_MAX / 2} tiny frames`, () => decompress(codec, frames));
  }
}

function benchRecordBounds(): void {
  const many = recordsOf(1, 0)[0] as BatchRecord;
  const records = Array.from({ length: BATCH_RECORDS_MAX }, () => many);
  for (const codec of [Compression.NONE, Compression.GZIP]) {
    const batch = encodeBatch(records, { compression: codec });
    const name = `${(batch.length / MIB).toFixed(2)} MiB with a million records, codec ${codec}`;
    longestStep(`validate ${name}, keys needed`, () => validateProducedBatch(batch, { ...rules, requiresKeys: true }));
    longestStep(`iterate ${name}`, () => {
      for (const record of iterateRecords(new RecordBatchView(batch)))
        if (record.offset < 0) throw new Error("impossible");
    });
  }
  const convertible = encodeBatch(records.slice(0, CONVERTED_RECORDS_MAX));
  const set = downConvert([convertible], { magic: 1, fetchOffset: 0 });
  longestStep(`down-convert ${CONVERTED_RECORDS_MAX} records`, () =>
    downConvert([convertible], { magic: 1, fetchOffset: 0 }),
  );
  longestStep(`up-convert ${CONVERTED_RECORDS_MAX} messages`, () => upConvert(set));
  const usual = encodeBatch(recordsOf(9000, 100));
  longestStep(`validate ${(usual.length / MIB).toFixed(2)} MiB, 9000 records, not compressed`, () =>
    validateProducedBatch(usual, rules),
  );
  longestStep("down-convert the same", () => downConvert([usual], { magic: 1, fetchOffset: 0 }));
}

benchChecksums();
benchBatches();
benchBounds();
benchRecordBounds();
