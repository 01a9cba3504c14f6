// Where the batches of reconciled segments lie, as far as that is known, kept within bounds. Who reads a segment from its
// beginning looks at its batches as they come and needs no index; who begins inside loads it, and so does everybody where
// it is one GET among many. Nothing that is found so is known before it is checked.
import { LRUCache } from "lru-cache";
import { invariant } from "../invariant.ts";
import { KafkaError } from "../kafka-error.ts";
import type { ByteRange } from "../object-store/object-store.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import { FormatError } from "../objects/format-error.ts";
import { SEGMENT_FOOTER_BYTES, SEGMENT_HEADER_BYTES, SegmentIndex } from "../objects/segment-index.ts";
import { iterateBatches } from "../records/record-batch.ts";
import type { Offset } from "../topic-partition.ts";
import type { RunReads } from "./run-reads.ts";
import { type Run, type Stretch, stretchOfPart } from "./stretch.ts";

/** A stretch ends with the first batch, or entry of the index, that lies this far from its beginning. */
const STRETCH_BYTES_MIN = 256 * 1024;
/** The same as a share of what a GET brings, where that is less than usual. */
const STRETCH_SHARE_MIN = 1 / 16;
/** A segment of more GETs than this is read by its index, which lets several of them be under way at the same time. */
const GETS_WITHOUT_INDEX = 4;
/** Estimate of what a stretch takes in RAM. */
const BYTES_PER_STRETCH = 160;
/** What is kept of all segments. */
const KEPT_BYTES = 16 * 1024 * 1024;

/** Parts of {@link SegmentStretches}. */
export interface SegmentStretchComponents {
  /** One GET. */
  get(key: string, range: ByteRange): Promise<Uint8Array>;
  readonly runs: RunReads;
  /** What a GET of a segment brings at least, if there is as much; 0: each stretch by itself, and always by the index. */
  readonly getBytes: number;
}

/** What is known of a segment. */
export interface KnownSegment {
  /** Ascending, from the beginning of the segment on. */
  readonly stretches: readonly Stretch[];
  /** The same in the pieces that readers come to: runs, or stretches where each is fetched by itself. */
  readonly steps: readonly (Run | Stretch)[];
  /** What follows them; of length 0 where everything is known. */
  readonly rest: Rest;
}

interface Rest {
  /** Of its first batch. Where that says another one, the index has to tell. */
  readonly offset: Offset;
  readonly position: number;
  readonly length: number;
}

/** The stretches of the segments that are being read. */
export class SegmentStretches {
  readonly #parts: SegmentStretchComponents;
  /** By key of the segment. */
  readonly #kept = new LRUCache<string, KnownSegment>({
    maxSize: KEPT_BYTES,
    sizeCalculation: ({ stretches }) => 1 + stretches.length * BYTES_PER_STRETCH,
  });
  /** By key of what is being read. */
  readonly #loading = new Map<string, Promise<KnownSegment>>();

  constructor(components: SegmentStretchComponents) {
    this.#parts = components;
  }

  /** What is known now. Of a part of a group that is everything. */
  known(segment: SegmentEntry): KnownSegment {
    const part = stretchOfPart(segment);
    const { key, bytes, baseOffset: offset, endOffset } = segment;
    if (part) return { stretches: [part], steps: [part], rest: { offset: endOffset, position: 0, length: 0 } };
    const length = bytes - SEGMENT_HEADER_BYTES - SEGMENT_FOOTER_BYTES;
    const rest = { offset, position: SEGMENT_HEADER_BYTES, length };
    return this.#kept.get(key) ?? { stretches: [], steps: [], rest };
  }

  /** The run to look at next for who needs `offset`, which is not known yet; undefined where the index should tell. */
  nextRun(segment: SegmentEntry, offset: Offset): Run | undefined {
    const { getBytes } = this.#parts;
    const { rest } = this.known(segment);
    if (rest.length === 0 || getBytes === 0) return undefined;
    const isFewGets = segment.bytes <= GETS_WITHOUT_INDEX * getBytes;
    // What one GET of the usual size brings holds the offset as well.
    if (rest.length > getBytes && !(isFewGets && offset === rest.offset)) return undefined;
    const { position, offset: baseOffset } = rest;
    const length = runBytesOf(rest.length, getBytes);
    return { key: segment.key, position, length, baseOffset, endOffset: segment.endOffset, stretches: [], segment };
  }

  /**
   * Fetches the run that begins where what is known ends, and keeps its stretches for whoever reads them next. Rejects with
   * a FormatError, or with what the GET rejects with.
   */
  look(run: Run): Promise<KnownSegment> {
    return this.#once(run.key, () => this.#look(run));
  }

  /** Everything of a segment, by its index. Rejects with a FormatError, or with what the GET rejects with. */
  loadIndex(segment: SegmentEntry): Promise<KnownSegment> {
    const { form, key, endOffset } = segment;
    const known = this.known(segment);
    if (known.rest.length === 0 || form.type === "group") return Promise.resolve(known);
    return this.#once(form.indexKey, async () => {
      const index = new SegmentIndex(
        await this.#parts.get(form.indexKey, { start: 0, length: form.indexBytes }),
        segment,
      );
      const parts = stretchesOf(index, segment, this.#stretchBytesMin);
      const runs = this.#parts.getBytes === 0 ? undefined : runsOf(segment, parts, this.#parts.getBytes);
      const stretches = runs?.flatMap((run) => run.stretches) ?? parts;
      const rest = { offset: endOffset, position: segment.bytes, length: 0 };
      return this.#keep(key, { stretches, steps: runs ?? parts, rest });
    });
  }

  get #stretchBytesMin(): number {
    const { getBytes } = this.#parts;
    return getBytes === 0 ? STRETCH_BYTES_MIN : Math.min(STRETCH_BYTES_MIN, getBytes * STRETCH_SHARE_MIN);
  }

  async #once(key: string, load: () => Promise<KnownSegment>): Promise<KnownSegment> {
    let loading = this.#loading.get(key);
    if (!loading) {
      loading = load().finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }

  async #look({ segment, key, position, length: lengthMax }: Run): Promise<KnownSegment> {
    const before = this.known(segment);
    const { runs } = this.#parts;
    // Others may have come here first.
    if (before.rest.position !== position) return before;
    for (let length = runs.bytesFor(lengthMax); ; length = Math.min(2 * length, before.rest.length)) {
      const range = { start: position, length };
      const found = await runs.fetch(key, range, (bytes) => {
        const stretches = cutStretches(bytes, { segment, rest: before.rest, bytesMin: this.#stretchBytesMin });
        const isAll = length === before.rest.length;
        return this.#keepSound(stretches.length === 0 && isAll ? [allOf(segment, before.rest)] : stretches, bytes);
      });
      const now = this.known(segment);
      if (now.rest.position !== position) return now;
      // A batch may be larger than that.
      if (found.length > 0) return this.#keep(key, withRun(now, runOf(segment, found)));
    }
  }

  /** Checks and keeps stretches that `bytes` begin with, up to what is damaged. Throws where that is the first of them. */
  async #keepSound(stretches: readonly Stretch[], bytes: Uint8Array): Promise<readonly Stretch[]> {
    let soundCount = 0;
    for await (const own of this.#parts.runs.keepEach(stretches, bytes)) {
      if (!own) break;
      soundCount++;
    }
    const [first] = stretches;
    if (first && soundCount === 0) {
      throw new FormatError(first.key, `the batches at byte ${first.position} are damaged`);
    }
    return stretches.slice(0, soundCount);
  }

  #keep(key: string, known: KnownSegment): KnownSegment {
    this.#kept.set(key, known);
    return known;
  }
}

/** Evenly split, so that no GET brings little. */
function runBytesOf(bytes: number, getBytes: number): number {
  return Math.ceil(bytes / Math.max(1, Math.floor(bytes / getBytes)));
}

/** The stretches found where what was not known began. */
function withRun({ stretches, steps, rest }: KnownSegment, run: Run): KnownSegment {
  const { endOffset: offset, length, position } = run;
  return {
    stretches: [...stretches, ...run.stretches],
    steps: [...steps, run],
    rest: { offset, position: position + length, length: rest.length - length },
  };
}

function runOf(segment: SegmentEntry, parts: readonly Stretch[]): Run {
  const [first, last] = [parts[0], parts.at(-1)];
  invariant(first && last, "a run has a stretch");
  const { key, position, baseOffset } = first;
  const stretches: Stretch[] = [];
  const length = last.position + last.length - position;
  const run = { key, position, length, baseOffset, endOffset: last.endOffset, stretches, segment };
  for (const part of parts) stretches.push({ ...part, run });
  return run;
}

/** What is left of a segment as one stretch, for the check to refuse where no batch ends in it. */
function allOf({ key, endOffset }: SegmentEntry, { position, length, offset }: Rest): Stretch {
  return { key, position, length, crc32c: undefined, baseOffset: offset, endOffset };
}

interface CutOptions {
  readonly segment: SegmentEntry;
  /** What the bytes are the beginning of. */
  readonly rest: Rest;
  readonly bytesMin: number;
}

/** Stretches of the whole batches in `bytes`, as their headers have it: nothing is checked yet. */
function cutStretches(bytes: Uint8Array, { segment, rest, bytesMin }: CutOptions): readonly Stretch[] {
  const { key } = segment;
  const stretches: Stretch[] = [];
  let [start, end, endOffset] = [0, 0, rest.offset];
  let baseOffset: Offset | undefined;
  const close = () => {
    if (baseOffset === undefined) return;
    const position = rest.position + start;
    const isLast = position + end - start === rest.position + rest.length;
    const stretchEnd = isLast ? segment.endOffset : Math.min(endOffset, segment.endOffset);
    stretches.push({ key, position, length: end - start, crc32c: undefined, baseOffset, endOffset: stretchEnd });
    baseOffset = undefined;
    start = end;
  };
  try {
    for (const batch of iterateBatches(bytes)) {
      // No checksum of a batch covers where it begins: what does not continue the one before is damage, or a gap that
      // compaction left. The next look fails there, and the index tells.
      if (end > 0 && batch.baseOffset !== endOffset) break;
      baseOffset ??= endOffset;
      end += batch.sizeInBytes;
      endOffset = batch.nextOffset;
      if (end - start >= bytesMin) close();
    }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    // No batch: the check refuses the stretch in which it lies.
    end = bytes.length;
    baseOffset ??= endOffset;
  }
  close();
  return stretches;
}

function stretchesOf(index: SegmentIndex, { key, bytes, endOffset }: SegmentEntry, bytesMin: number): Stretch[] {
  const stretches: Stretch[] = [];
  const entries = index.entries();
  const bodyEnd = bytes - SEGMENT_FOOTER_BYTES;
  let [first] = entries;
  for (const [at, entry] of entries.entries()) {
    const next = entries[at + 1] ?? { offset: endOffset, position: bodyEnd };
    first ??= entry;
    const isLast = at === entries.length - 1;
    if (!isLast && next.position - first.position < bytesMin) continue;
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

/** Of a segment that has many, the index counts as one of its GETs. */
function runsOf(segment: SegmentEntry, parts: readonly Stretch[], getBytes: number): readonly Run[] {
  const isMany = segment.bytes > GETS_WITHOUT_INDEX * getBytes;
  const runCount = Math.max(1, Math.floor(segment.bytes / getBytes) - (isMany ? 1 : 0));
  const runBytes = Math.ceil(segment.bytes / runCount);
  const runs: Run[] = [];
  let open: Stretch[] = [];
  let bytes = 0;
  for (const part of parts) {
    open.push(part);
    bytes += part.length;
    if (bytes < runBytes && part !== parts.at(-1)) continue;
    runs.push(runOf(segment, open));
    [open, bytes] = [[], 0];
  }
  return runs;
}
