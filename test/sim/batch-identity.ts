// What the records of simulated producers say of themselves: who sent them, in which batch and at which attempt. An
// oracle that reads them back from the store or from a fetch knows what it looks at, without trusting the broker.

import { encodeBatch } from "../../src/records/encode-batch.ts";
import type { RecordBatchView } from "../../src/records/record-batch.ts";
import { iterateRecords } from "../../src/records/record-iterator.ts";

/** One attempt to append one batch. */
export interface BatchIdentity {
  /** Number of the lane: one producer's batches to one partition. */
  readonly lane: number;
  /** 0, 1, 2, … within the lane. */
  readonly serial: number;
  /** 1 and up: each sending has its own bytes. */
  readonly attempt: number;
}

/** Header fields and content of a batch to be sent. */
export interface IdentifiedBatch extends BatchIdentity {
  readonly recordCount: number;
  /** Bytes that fill up each record. */
  readonly paddingBytes: number;
  readonly timestampMs: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

const IDENTITY_BYTES = 12;

/** The batch as it is sent. */
export function encodeIdentifiedBatch(batch: IdentifiedBatch): Uint8Array {
  const { recordCount, timestampMs, producerId, producerEpoch, baseSequence } = batch;
  const records = Array.from({ length: recordCount }, (_, index) => {
    const value = new Uint8Array(IDENTITY_BYTES + batch.paddingBytes).fill(index);
    const view = new DataView(value.buffer);
    view.setUint32(0, batch.lane);
    view.setUint32(4, batch.serial);
    view.setUint32(8, batch.attempt);
    return { timestampMs: timestampMs + index, key: null, value };
  });
  return encodeBatch(records, { producerId, producerEpoch, baseSequence });
}

/** Who sent a batch; undefined when it is none of {@link encodeIdentifiedBatch}. */
export function identityOfBatch(batch: RecordBatchView): BatchIdentity | undefined {
  for (const { value } of iterateRecords(batch)) {
    if (!value || value.length < IDENTITY_BYTES) return undefined;
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    return { lane: view.getUint32(0), serial: view.getUint32(4), attempt: view.getUint32(8) };
  }
  return undefined;
}

/** One text for one attempt. */
export function attemptName({ lane, serial, attempt }: BatchIdentity): string {
  return `${lane}/${serial}/${attempt}`;
}
