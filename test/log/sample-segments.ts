// Segments for tests: batches of alike records, as an object with its index, and the entry of a list that names them.
import type { SegmentEntry } from "../../src/objects/checkpoint-lists.ts";
import { encodeSegment } from "../../src/objects/segment.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";

/**
 * A segment whose batches have values of that many bytes.
 * @param recordCount records of each batch; from 100 on each has an entry in the index
 */
export function sampleSegment(key: string, baseOffset: number, valueBytes: readonly number[], recordCount = 1) {
  const batches = valueBytes.map((bytes, index) => {
    const value = new Uint8Array(bytes).fill(baseOffset + index);
    const records = Array.from({ length: recordCount }, () => ({ timestampMs: 1, key: null, value }));
    return encodeBatch(records, { baseOffset: baseOffset + index * recordCount });
  });
  const { summary, segment, index } = encodeSegment(batches);
  const form = { type: "segment", indexKey: `${key}.index`, indexBytes: index.length } as const;
  const { endOffset, maxTimestampMs, bytes } = summary;
  const entry: SegmentEntry = { key, baseOffset, endOffset, maxTimestampMs, bytes, form };
  return { entry, index, object: new Uint8Array(Buffer.concat(segment)) };
}
