// A record that is not where it was: moved, deleted with its topic, or truly gone.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../../src/kafka-error.ts";
import { StoredLog } from "../../src/log/stored-log.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
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
