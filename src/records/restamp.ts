// Writes what the broker decides into a batch: base offset and leader epoch, which lie outside the checksum, and the
// append time, which needs a new one. Only ever into bytes the caller has allocated, never into a client's frame.
import { invariant } from "../invariant.ts";
import type { Offset, TimestampMs } from "../topic-partition.ts";
import { putInt32, putInt64 } from "../wire/big-endian.ts";
import { crc32c } from "../wire/crc32c.ts";
import { writeInt64 } from "../wire/int64.ts";
import { BATCH_HEADER_BYTES, BatchAttribute, BatchField } from "./record-batch.ts";

/** What the broker decides about a batch it appends. */
export interface Restamp {
  readonly baseOffset: Offset;
  readonly leaderEpoch: number;
  /** Only where the topic says LogAppendTime: every record then reads as of this time. */
  readonly logAppendTimeMs?: TimestampMs;
}

/** Stamps the batch that begins at `start` with its place in the log alone. The bytes must be the caller's own. */
export function stampPlace(bytes: Uint8Array, start: number, place: Omit<Restamp, "logAppendTimeMs">): void {
  invariant(bytes.length - start >= BATCH_HEADER_BYTES, "too few bytes are left for a batch to be stamped");
  putInt64(bytes, start + BatchField.BASE_OFFSET, place.baseOffset);
  putInt32(bytes, start + BatchField.LEADER_EPOCH, place.leaderEpoch);
}

/**
 * Stamps the one batch that `bytes` are. They must be the caller's own. Without an append time nothing under the
 * checksum changes, so its cost does not depend on the size of the batch.
 */
export function restamp(bytes: Uint8Array, stamp: Restamp): void {
  stampPlace(bytes, 0, stamp);
  if (stamp.logAppendTimeMs === undefined) return;
  const view = viewOf(bytes);
  const attributes = view.getInt16(BatchField.ATTRIBUTES) | BatchAttribute.LOG_APPEND_TIME;
  view.setInt16(BatchField.ATTRIBUTES, attributes);
  writeInt64(view, BatchField.MAX_TIMESTAMP, stamp.logAppendTimeMs);
  writeCrc(bytes);
}

/** Replaces the largest timestamp of the one batch that `bytes` are, and its checksum. They must be the caller's own. */
export function writeMaxTimestamp(bytes: Uint8Array, maxTimestamp: TimestampMs): void {
  writeInt64(viewOf(bytes), BatchField.MAX_TIMESTAMP, maxTimestamp);
  writeCrc(bytes);
}

/** Computes and writes the checksum of the one batch that `bytes` are. They must be the caller's own. */
export function writeCrc(bytes: Uint8Array): void {
  viewOf(bytes).setUint32(BatchField.CRC, crc32c(bytes.subarray(BatchField.ATTRIBUTES)));
}

function viewOf(bytes: Uint8Array): DataView {
  invariant(bytes.length >= BATCH_HEADER_BYTES, `${bytes.length} bytes are no batch to be stamped`);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
