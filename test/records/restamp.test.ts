// What the broker writes into its copy of a batch.
import { describe, expect, it } from "vitest";
import { InvariantError } from "../../src/invariant.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { RecordBatchView } from "../../src/records/record-batch.ts";
import { iterateRecords } from "../../src/records/record-iterator.ts";
import { restamp } from "../../src/records/restamp.ts";
import { everyCodec, someRecords } from "./sample-batches.ts";

describe.each(everyCodec)("restamp of a batch with codec %s", (_, compression) => {
  it("writes base offset and leader epoch and leaves the checksum true", () => {
    const bytes = encodeBatch(someRecords(), { compression });
    const before = bytes.slice();
    restamp(bytes, { baseOffset: 2 ** 40 + 3, leaderEpoch: 17 });
    const batch = new RecordBatchView(bytes);
    expect([batch.baseOffset, batch.partitionLeaderEpoch, batch.lastOffset]).toEqual([2 ** 40 + 3, 17, 2 ** 40 + 5]);
    expect(batch.computeCrc()).toBe(batch.crc);
    expect(bytes.subarray(16)).toEqual(before.subarray(16));
  });

  it("gives every record the append time under a new checksum", () => {
    const bytes = encodeBatch(someRecords(), { compression });
    restamp(bytes, { baseOffset: 5, leaderEpoch: 1, logAppendTimeMs: 1_800_000_000_123 });
    const batch = new RecordBatchView(bytes);
    expect(batch.computeCrc()).toBe(batch.crc);
    expect(batch.timestampType).toBe("LogAppendTime");
    const records = [...iterateRecords(batch)];
    expect(records.map(({ timestampMs }) => timestampMs)).toEqual(Array(3).fill(1_800_000_000_123));
    expect(records.map(({ offset }) => offset)).toEqual([5, 6, 7]);
  });
});

describe("restamp", () => {
  it("is a bug on anything shorter than a batch", () => {
    expect(() => restamp(new Uint8Array(60), { baseOffset: 0, leaderEpoch: 0 })).toThrow(InvariantError);
  });
});
