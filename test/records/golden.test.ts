// Bytes made by Kafka's own classes, with what those read in them (golden/GoldenBatches.java): this room reads the same.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Compression } from "../../src/records/compression.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { downConvert, upConvert } from "../../src/records/old-formats.ts";
import { firstMagic, iterateBatches, RecordBatchView } from "../../src/records/record-batch.ts";
import { iterateRecords, type KafkaRecord } from "../../src/records/record-iterator.ts";
import { validateProducedBatch } from "../../src/records/validate.ts";
import { openRules } from "./sample-batches.ts";

interface GoldenRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly { readonly key: string; readonly value: string | null }[];
}

interface GoldenBatch {
  readonly magic: number;
  readonly compression: Compression;
  readonly records: readonly GoldenRecord[];
  readonly [field: string]: unknown;
}

interface Golden {
  readonly name: string;
  readonly hex: string;
  readonly batches: readonly GoldenBatch[];
}

const goldens = JSON.parse(readFileSync(new URL("golden/batches.json", import.meta.url), "utf8")) as Golden[];
const batches = goldens.filter(({ batches: [first] }) => first?.magic === 2);
const messageSets = goldens.filter(({ batches: [first] }) => first?.magic !== 2);

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

function hexOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString("hex");
}

function readable(record: KafkaRecord): GoldenRecord {
  const headers = record.headers.map(({ key, value }) => ({ key, value: hexOf(value) }));
  return { ...record, key: hexOf(record.key), value: hexOf(record.value), headers };
}

describe.each(batches)("$name", ({ hex, batches: [expected] }) => {
  const bytes = bytesOf(hex);

  it("has the header and the records that Kafka sees", () => {
    const [batch, ...more] = [...iterateBatches(bytes)];
    const { records, ...header } = expected as GoldenBatch;
    expect(more).toEqual([]);
    for (const [field, value] of Object.entries(header))
      expect([field, batch?.[field as "crc"]]).toEqual([field, value]);
    expect(batch?.computeCrc()).toBe(batch?.crc);
    expect([...iterateRecords(batch as RecordBatchView)].map(readable)).toEqual(records);
  });

  it("is made byte for byte by encodeBatch where no compressor has a say and no time is lost", () => {
    const batch = new RecordBatchView(bytes);
    const records = [...iterateRecords(batch)];
    if (batch.compression !== 0 || batch.timestampType === "LogAppendTime") {
      expect(records.length).toBeGreaterThan(0);
      return;
    }
    const { baseOffset, timestampType, isTransactional, isControl, producerId, producerEpoch, baseSequence } = batch;
    const options = { baseOffset, timestampType, isTransactional, isControl, producerId, producerEpoch, baseSequence };
    const { partitionLeaderEpoch } = batch;
    expect(hexOf(encodeBatch(records, { ...options, partitionLeaderEpoch }))).toBe(hex);
  });

  it("is accepted from a client unless it is what only a broker writes", () => {
    const batch = new RecordBatchView(bytes);
    const isBrokers = batch.isControl || batch.timestampType === "LogAppendTime" || batch.baseOffset !== 0;
    const accepted = () => validateProducedBatch(bytes, openRules).recordCount;
    if (isBrokers) expect(accepted).toThrow(/^INVALID_/);
    else expect(accepted()).toBe(batch.recordCount);
    expect(validateProducedBatch(bytes, { ...openRules, fromClient: false }).bytes).toEqual(bytes);
  });
});

describe.each(messageSets)("$name", ({ hex, batches: expected }) => {
  const bytes = bytesOf(hex);
  const records = expected.flatMap((batch) => batch.records);

  it("becomes one batch with the same records and codec", () => {
    const batch = validateProducedBatch(upConvert(bytes), openRules);
    expect(batch.compression).toBe(expected[0]?.compression);
    expect([...iterateRecords(batch)].map(readable)).toEqual(records);
  });

  it("comes back from that batch with the same records and the same bytes where no compressor has a say", () => {
    const magic = firstMagic(bytes) as 0 | 1;
    const back = downConvert([upConvert(bytes)], { magic, fetchOffset: 0 });
    if (expected[0]?.compression === 0) expect(hexOf(back)).toBe(hex);
    expect([...iterateRecords(new RecordBatchView(upConvert(back)))].map(readable)).toEqual(records);
  });
});
