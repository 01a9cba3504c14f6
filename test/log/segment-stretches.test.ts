// Where the batches of a segment lie: one stretch without a GET for a small one, several by the index for a larger one.
import { expect, it } from "vitest";
import { SegmentStretches } from "../../src/log/segment-stretches.ts";
import { isStretch } from "../../src/log/stretch.ts";
import type { SegmentEntry } from "../../src/objects/checkpoint-lists.ts";
import { encodeSegment } from "../../src/objects/segment.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";

const BATCHES = 12;

/** A segment of batches of about 64 KiB, and its stretches where those up to `wholeSegmentBytes` need no index. */
function worldOf(wholeSegmentBytes: (bytes: number) => number) {
  const value = new Uint8Array(64 * 1024).fill(7);
  const batches = Array.from({ length: BATCHES }, (_, index) =>
    encodeBatch([{ timestampMs: 1, key: null, value }], { baseOffset: 100 + index }),
  );
  const { summary, segment, index } = encodeSegment(batches);
  const { baseOffset, endOffset, maxTimestampMs, bytes } = summary;
  const form = { type: "segment", indexKey: "s.index", indexBytes: index.length } as const;
  const entry: SegmentEntry = { key: "s.kfs", baseOffset, endOffset, maxTimestampMs, bytes, form };
  const gets: string[] = [];
  const get = (key: string) => {
    gets.push(key);
    return Promise.resolve(index);
  };
  const object = new Uint8Array(Buffer.concat(segment));
  return { stretches: new SegmentStretches(get, wholeSegmentBytes(bytes)), entry, gets, object };
}

it("takes a segment up to the size of a chunk for one stretch, and asks for no index", async () => {
  const { stretches, entry, gets, object } = worldOf((bytes) => bytes);
  const [only, ...more] = stretches.kept(entry) ?? [];
  expect(more).toEqual([]);
  if (!only) throw new Error("there is a stretch");
  expect([only.baseOffset, only.endOffset]).toEqual([100, 100 + BATCHES]);
  expect(isStretch(only, object.subarray(only.position, only.position + only.length))).toBe(true);
  const damaged = object.slice();
  damaged[70_000] = (damaged[70_000] ?? 0) ^ 1;
  expect(isStretch(only, damaged.subarray(only.position, only.position + only.length))).toBe(false);
  expect(await stretches.load(entry)).toEqual([only]);
  expect(gets).toEqual([]);
});

it("reads the index of a larger one once, and cuts it into stretches that follow each other", async () => {
  const { stretches, entry, gets, object } = worldOf((bytes) => bytes - 1);
  expect(stretches.kept(entry)).toBeUndefined();
  const [found] = await Promise.all([stretches.load(entry), stretches.load(entry)]);
  expect(gets).toEqual(["s.index"]);
  expect(stretches.kept(entry)).toBe(found);
  expect(found.length).toBeGreaterThan(1);
  let next = entry.baseOffset;
  for (const stretch of found) {
    expect(stretch.baseOffset).toBe(next);
    expect(isStretch(stretch, object.subarray(stretch.position, stretch.position + stretch.length))).toBe(true);
    next = stretch.endOffset;
  }
  expect(next).toBe(entry.endOffset);
});
