// Cuts a run of whole batches out of contiguous batch bytes, by hopping over the headers.
import { invariant } from "../invariant.ts";
import { RecordBatchView } from "../records/record-batch.ts";
import type { Offset } from "../topic-partition.ts";

/** What a fetch may take out of one run of batches. */
export interface BatchRangeLimits {
  /** Batches that end at or below this offset are passed over; the one that contains it is taken whole. */
  readonly fromOffset: Offset;
  readonly maxBytes: number;
  /** Take the first batch even when it is larger than `maxBytes` (KIP-74). */
  readonly atLeastOneBatch: boolean;
}

/** A view of the whole batches that fit, and whether it reaches the end of `bytes`. */
export function cutBatches(bytes: Uint8Array, limits: BatchRangeLimits): { batches: Uint8Array; isToEnd: boolean } {
  let start = -1;
  let position = 0;
  while (position < bytes.length) {
    const batch = new RecordBatchView(bytes, position);
    const end = position + batch.sizeInBytes;
    invariant(batch.sizeInBytes > 0 && end <= bytes.length, `a batch at ${position} of ${bytes.length} bytes is torn`);
    if (start < 0 && batch.nextOffset > limits.fromOffset) start = position;
    if (start >= 0 && end - start > limits.maxBytes && !(limits.atLeastOneBatch && position === start)) break;
    position = end;
  }
  if (start < 0) return { batches: bytes.subarray(0, 0), isToEnd: position >= bytes.length };
  return { batches: bytes.subarray(start, position), isToEnd: position >= bytes.length };
}
