// Record batches, message sets and compressed bodies, as Produce and Fetch meet them.
import { KafkaError } from "../../src/kafka-error.ts";
import { Compression, compress, decompress, decompressedBytesMax } from "../../src/records/compression.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { iterateMessages } from "../../src/records/message-set.ts";
import { downConvert, upConvert } from "../../src/records/old-formats.ts";
import { BATCH_HEADER_BYTES, batchSizeAt, iterateBatches } from "../../src/records/record-batch.ts";
import { iterateRecords } from "../../src/records/record-iterator.ts";
import { restamp, writeCrc } from "../../src/records/restamp.ts";
import { validateProducedBatch } from "../../src/records/validate.ts";
import { crc32 } from "../../src/wire/crc32c.ts";
import { NOW_MS, openRules, someRecords } from "../records/sample-batches.ts";
import type { SimRandom } from "../sim/sim-random.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { below } from "./mutate.ts";

const codecs = Object.values(Compression);
const oldCodecs = codecs.filter((codec) => codec !== Compression.ZSTD);
const refusals = [KafkaError];

function records(random: SimRandom) {
  return Array.from({ length: 1 + below(random, 12) }, (_, index) => ({
    timestampMs: NOW_MS + below(random, 1000),
    key: below(random, 3) === 0 ? null : random.bytes(below(random, 12)),
    value: below(random, 4) === 0 ? null : new Uint8Array(below(random, 100)).fill(index),
    headers:
      below(random, 2) === 0
        ? []
        : [
            { key: "trace", value: random.bytes(4) },
            { key: "", value: null },
          ],
  }));
}

function batches(random: SimRandom): Uint8Array[] {
  const idempotent = { producerId: 7, producerEpoch: 1, baseSequence: 2 ** 31 - 2 };
  return codecs.flatMap((compression) => [
    encodeBatch(records(random), { compression }),
    encodeBatch(records(random), { compression, ...idempotent, isTransactional: true }),
    encodeBatch(records(random), { compression, timestampType: "LogAppendTime", baseOffset: 99 }),
  ]);
}

/** Length and checksum of the first batch, made true for as many bytes as there are. */
function repairBatch(input: Uint8Array): Uint8Array {
  if (input.length < BATCH_HEADER_BYTES) return input;
  const bytes = input.slice();
  new DataView(bytes.buffer).setInt32(8, bytes.length - 12);
  bytes[16] = 2;
  writeCrc(bytes);
  return bytes;
}

/** The checksum of every message whose length leads to the next. */
function repairMessages(input: Uint8Array): Uint8Array {
  const bytes = input.slice();
  const view = new DataView(bytes.buffer);
  for (let start = 0; ; ) {
    const size = batchSizeAt(bytes, start);
    if (size === undefined || size < 26) return bytes;
    view.setUint32(start + 12, crc32(bytes.subarray(start + 16, start + size)));
    start += size;
  }
}

/** What a compressed body may become, its parts and their joining: twice over, and the input copied. */
function decompressionBytesMax(input: Uint8Array): number {
  return 2 * decompressedBytesMax(input.length) + 4 * input.length + 256 * 1024;
}

function drain(values: Iterable<unknown>): number {
  let count = 0;
  for (const _ of values) count += 1;
  return count;
}

function validateAndRead(input: Uint8Array): void {
  const rules = { ...openRules, requiresKeys: input.length % 2 === 0, timestampAfterMaxMs: 3_600_000 };
  const batch = validateProducedBatch(input, rules);
  const own = batch.bytes.slice();
  restamp(own, { baseOffset: 2 ** 40, leaderEpoch: 3, logAppendTimeMs: NOW_MS });
  for (const stamped of iterateBatches(own)) {
    if (stamped.computeCrc() !== stamped.crc) throw new Error("a stamped batch has a wrong checksum");
    drain(iterateRecords(stamped));
  }
}

function messageSets(random: SimRandom): Uint8Array[] {
  return ([0, 1] as const).flatMap((magic) =>
    oldCodecs.map((compression) =>
      downConvert([encodeBatch(records(random), { compression })], { magic, fetchOffset: 0 }),
    ),
  );
}

function upAndDown(input: Uint8Array): void {
  const up = upConvert(input);
  // What was up-converted is a batch that a client may send.
  const batch = validateProducedBatch(up, openRules);
  const count = drain(iterateRecords(batch));
  if (count !== batch.recordCount) throw new Error(`${count} records of ${batch.recordCount}`);
  drain(iterateMessages(downConvert([up], { magic: 1, fetchOffset: 0 })));
}

function codecTarget(name: string, codec: Compression): FuzzTarget {
  const bodies = (random: SimRandom) =>
    [0, 1, 100, 3000].flatMap((length) => {
      const text = Buffer.from("{'id':4711,'name':'some'},".repeat(length / 20 + 1)).subarray(0, length);
      return [
        compress(codec, text),
        compress(codec, random.bytes(length)),
        compress(codec, new Uint8Array(20 * length)),
      ];
    });
  return {
    name: `compressed-${name.toLowerCase()}`,
    seeds: bodies,
    run: (input) => {
      const bytesMax = decompressedBytesMax(input.length);
      const bytes = decompress(codec, input, { isMagic0: input.length % 2 === 0 });
      if (bytes.length > bytesMax) throw new Error(`${bytes.length} bytes came out, at most ${bytesMax} may`);
    },
    refusals,
    bufferBytesMax: decompressionBytesMax,
  };
}

/** The targets of this file. */
export const recordTargets: readonly FuzzTarget[] = [
  {
    name: "produced-batch",
    seeds: batches,
    run: validateAndRead,
    refusals,
    repair: repairBatch,
    bufferBytesMax: decompressionBytesMax,
  },
  {
    name: "stored-batches",
    seeds: (random) => [...batches(random), Buffer.concat(batches(random)), encodeBatch([], { lastOffsetDelta: 5 })],
    run: (input) => {
      for (const batch of iterateBatches(input)) drain(iterateRecords(batch));
    },
    refusals,
    bufferBytesMax: decompressionBytesMax,
  },
  {
    name: "message-set",
    seeds: messageSets,
    run: upAndDown,
    refusals,
    repair: repairMessages,
    bufferBytesMax: (input) => 4 * decompressionBytesMax(input),
  },
  {
    name: "down-conversion",
    seeds: (random) => [...batches(random), Buffer.concat(batches(random)), encodeBatch(someRecords(40))],
    run: (input) => {
      for (const magic of [0, 1] as const) drain(iterateMessages(downConvert([input], { magic, fetchOffset: 2 })));
    },
    refusals,
    repair: repairBatch,
    bufferBytesMax: (input) => 4 * decompressionBytesMax(input),
  },
  ...Object.entries(Compression)
    .filter(([, codec]) => codec !== Compression.NONE)
    .map(([name, codec]) => codecTarget(name, codec)),
];
