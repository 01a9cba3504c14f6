// A record that is not where it was: moved, deleted with its topic, or truly gone; and when one that is there was read.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../../src/kafka-error.ts";
import { StoredLog } from "../../src/log/stored-log.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { extentsOf } from "./sample-extents.ts";

const { signal } = new AbortController();
const gone = new KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "the object cannot be read", {
  cause: new ObjectStoreError("not-found", "there is no such object"),
});

/** A log of one extent whose object is not there. */
function logWithoutObject(requireKept: () => void) {
  const dangling: number[] = [];
  const reads = {
    stretchOf: ({ baseOffset, endOffset }: { baseOffset: number; endOffset: number }) => {
      return { key: "wal/s/1", position: 0, length: 1, crc32c: 0, baseOffset, endOffset };
    },
    stretchAt: () => undefined,
    loadStretchAt: () => Promise.reject(gone),
    stepsFrom: function* () {
      yield* [];
      return true;
    },
    noteDone: () => {},
    readStretch: () => Promise.reject(gone),
    noteDangling: ({ offset }: { offset: number }) => void dangling.push(offset),
  };
  const log = new StoredLog(reads, requireKept);
  for (const extent of extentsOf([10])) log.extents.push(extent);
  return { log, dangling };
}

describe("a read of an object that is gone", () => {
  const options = { maxBytes: 1_000, atLeastOneBatch: true, signal };

  it("is an alarm where the log still refers to it", async () => {
    const { log, dangling } = logWithoutObject(() => {});
    await expect(log.read(3, options)).rejects.toMatchObject({ code: ErrorCode.KAFKA_STORAGE_ERROR });
    expect(dangling).toEqual([3]);
  });

  it("is none where the topic was deleted, or another broker leads, since the read began", async () => {
    const { log, dangling } = logWithoutObject(() => {
      throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "deleted");
    });
    await expect(log.read(3, options)).rejects.toMatchObject({ code: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION });
    expect(dangling).toEqual([]);
  });

  it("finds nothing, and no alarm, where the log start has passed it meanwhile", async () => {
    const { log, dangling } = logWithoutObject(() => {});
    const reading = log.read(3, options);
    log.dropBelow(10);
    expect(await reading).toEqual([]);
    expect(dangling).toEqual([]);
  });
});

it("tells when a reader has had all of a stretch, not while he has had a part", async () => {
  const records = Array.from({ length: 4 }, (_, offset) =>
    encodeBatch([{ timestampMs: 1, key: null, value: null }], { baseOffset: offset }),
  );
  const bytes = new Uint8Array(Buffer.concat(records));
  const done: number[] = [];
  const reads = {
    stretchOf: ({ baseOffset, endOffset }: { baseOffset: number; endOffset: number }) => {
      return { key: "wal/s/1", position: 0, length: bytes.length, crc32c: 0, baseOffset, endOffset };
    },
    stretchAt: () => undefined,
    loadStretchAt: () => Promise.resolve(undefined),
    stepsFrom: function* () {
      yield* [];
      return true;
    },
    readStretch: () => Promise.resolve(bytes),
    noteDone: ({ baseOffset }: { baseOffset: number }) => void done.push(baseOffset),
    noteDangling: () => {},
  };
  const log = new StoredLog(reads, () => {});
  for (const extent of extentsOf([4])) log.extents.push(extent);
  await log.read(0, { maxBytes: bytes.length - 1, atLeastOneBatch: true, signal });
  expect(done).toEqual([]);
  await log.read(3, { maxBytes: bytes.length, atLeastOneBatch: true, signal });
  expect(done).toEqual([0]);
  await log.bytesAt(1, signal);
  expect(done).toEqual([0, 0]);
});
