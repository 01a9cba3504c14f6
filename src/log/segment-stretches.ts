// Where the batches of reconciled segments lie: their indexes, read once, cut into stretches and kept within bounds. A
// segment that one GET brings is one stretch and needs no index. Which stretch holds an offset depends on the segment
// alone, so that every reader asks for the same pieces.
import { LRUCache } from "lru-cache";
import type { ByteRange } from "../object-store/object-store.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import { SEGMENT_FOOTER_BYTES, SEGMENT_HEADER_BYTES, SegmentIndex } from "../objects/segment-index.ts";
import { type Stretch, stretchOfPart } from "./stretch.ts";

/** A stretch ends with the first entry of the index that lies this far from its beginning. */
const STRETCH_BYTES_MIN = 256 * 1024;
/** Estimate of what a stretch takes in RAM. */
const BYTES_PER_STRETCH = 120;
/** What is kept of all segments. */
const KEPT_BYTES = 16 * 1024 * 1024;

/** The stretches of the segments that are being read. */
export class SegmentStretches {
  readonly #get: (key: string, range: ByteRange) => Promise<Uint8Array>;
  /** By key of the segment. */
  readonly #kept = new LRUCache<string, readonly Stretch[]>({
    maxSize: KEPT_BYTES,
    sizeCalculation: (stretches) => 1 + stretches.length * BYTES_PER_STRETCH,
  });
  readonly #loading = new Map<string, Promise<readonly Stretch[]>>();
  readonly #wholeSegmentBytes: number;

  /**
   * @param get one GET
   * @param wholeSegmentBytes segments up to this size are one stretch each
   */
  constructor(get: (key: string, range: ByteRange) => Promise<Uint8Array>, wholeSegmentBytes: number) {
    this.#get = get;
    this.#wholeSegmentBytes = wholeSegmentBytes;
  }

  /** What is kept of a segment. A part of a group, and a small segment, is one stretch and always at hand. */
  kept(segment: SegmentEntry): readonly Stretch[] | undefined {
    const { key, bytes, baseOffset, endOffset } = segment;
    const part = stretchOfPart(segment);
    if (part) return [part];
    if (bytes > this.#wholeSegmentBytes) return this.#kept.get(key);
    const length = bytes - SEGMENT_HEADER_BYTES - SEGMENT_FOOTER_BYTES;
    return [{ key, position: SEGMENT_HEADER_BYTES, length, crc32c: undefined, baseOffset, endOffset }];
  }

  /** The stretches of a segment. Rejects with a FormatError, or with what the GET rejects with. */
  async load(segment: SegmentEntry): Promise<readonly Stretch[]> {
    const { form, key } = segment;
    const kept = this.kept(segment);
    if (kept || form.type === "group") return kept ?? [];
    let loading = this.#loading.get(key);
    if (!loading) {
      loading = this.#get(form.indexKey, { start: 0, length: form.indexBytes })
        .then((bytes) => {
          const stretches = stretchesOf(new SegmentIndex(bytes, segment), segment);
          this.#kept.set(key, stretches);
          return stretches;
        })
        .finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }
}

function stretchesOf(index: SegmentIndex, { key, bytes, endOffset }: SegmentEntry): readonly Stretch[] {
  const stretches: Stretch[] = [];
  const entries = index.entries();
  const bodyEnd = bytes - SEGMENT_FOOTER_BYTES;
  let [first] = entries;
  for (const [at, entry] of entries.entries()) {
    const next = entries[at + 1] ?? { offset: endOffset, position: bodyEnd };
    first ??= entry;
    const isLast = at === entries.length - 1;
    if (!isLast && next.position - first.position < STRETCH_BYTES_MIN) continue;
    const { offset: baseOffset, position } = first;
    stretches.push({
      key,
      position,
      length: next.position - position,
      crc32c: undefined,
      baseOffset,
      endOffset: next.offset,
    });
    first = undefined;
  }
  return stretches;
}
