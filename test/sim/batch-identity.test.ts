import { describe, expect, it } from "vitest";
import { RecordBatchView } from "../../src/records/record-batch.ts";
import { attemptName, encodeIdentifiedBatch, identityOfBatch } from "./batch-identity.ts";

describe("identified batches", () => {
  it("tell lane, serial and attempt wherever their bytes turn up", () => {
    const identity = { lane: 3, serial: 70_000, attempt: 2 };
    const bytes = encodeIdentifiedBatch({
      ...identity,
      recordCount: 4,
      paddingBytes: 9,
      timestampMs: 1_000,
      producerId: 5,
      producerEpoch: 0,
      baseSequence: 8,
    });
    const batch = new RecordBatchView(bytes);
    expect(identityOfBatch(batch)).toEqual(identity);
    expect([batch.recordCount, batch.producerId, batch.baseSequence]).toEqual([4, 5, 8]);
    expect(attemptName(identity)).toBe("3/70000/2");
  });
});
