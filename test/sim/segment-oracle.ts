// Judges reconciled records: what the lists of a section say is, offset for offset and batch for batch, what was committed,
// and lies under keys that no other topic and no other writer's content can have.
import type { SegmentEntry } from "../../src/objects/checkpoint-lists.ts";
import type { CheckpointSection, SectionPartition } from "../../src/objects/checkpoint-section.ts";
import { decodeSegment } from "../../src/objects/segment.ts";
import {
  encodeSegmentIndex,
  requireIndexOf,
  SegmentIndex,
  SegmentIndexBuilder,
} from "../../src/objects/segment-index.ts";
import { iterateBatches } from "../../src/records/record-batch.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import type { CommittedPartition } from "./committed-log.ts";
import type { Ledger } from "./ledger.ts";

/** What two writers may both put, with the same bytes. */
const PLAIN_SEGMENT = /\/segment-[0-9]{20}\.(kfs|index)$/;

/** Whether the key is one that a later owner of a partition may find taken. */
export function isPlainSegment(key: string): boolean {
  return PLAIN_SEGMENT.test(key);
}

/** What an object is counted as when it is put. */
export function segmentKind(key: string): string | undefined {
  if (/\/grp\//.test(key)) return "groups put";
  if (!/\/segment-[0-9]{20}\.kfs/.test(key)) return undefined;
  return isPlainSegment(key) ? "segments put" : "segments put under a name of their own";
}

/** Compares lists of segments with the committed log. */
export class SegmentOracle {
  readonly #ledger: Ledger;
  readonly #objects: ReadonlyMap<string, Uint8Array>;
  /** Entries that were found right: neither they nor what they lead to ever changes. */
  readonly #judged = new Set<string>();

  constructor(ledger: Ledger, objects: ReadonlyMap<string, Uint8Array>) {
    this.#ledger = ledger;
    this.#objects = objects;
  }

  /** One partition of a section in force. @returns the offset up to which segments hold it */
  check(committed: CommittedPartition, row: SectionPartition, segments: readonly SegmentEntry[]): number {
    const [first] = segments;
    if (!first) return row.logStart;
    let end = Math.min(first.baseOffset, row.logStart);
    for (const segment of segments) {
      this.#ledger.check("I12 segments are dense", segment.baseOffset === end, () => {
        return `${committed.name}: a segment of ${segment.baseOffset} to ${segment.endOffset} follows ${end}`;
      });
      this.#ledger.check("I12 no segment lies below the log start", segment.endOffset > row.logStart, () => {
        return `${committed.name}: a segment ends at ${segment.endOffset}, the log starts at ${row.logStart}`;
      });
      this.#checkContent(committed, segment);
      end = segment.endOffset;
    }
    return end;
  }

  #checkContent(committed: CommittedPartition, segment: SegmentEntry): void {
    const { key, form, baseOffset, endOffset } = segment;
    const name = `${key} ${baseOffset} ${endOffset}`;
    const object = this.#objects.get(key);
    this.#ledger.check("I13 a listed segment is there", object !== undefined, () => `${key} of ${committed.name}`);
    if (!object || this.#judged.has(name)) return;
    this.#judged.add(name);
    const isOwn = form.type === "group" || key.includes(`/${committed.topicId}/${committed.partition}/`);
    this.#ledger.check("I15 the key of a segment carries the id of its topic", isOwn, () => {
      return `${committed.name} has a segment at ${key}`;
    });
    this.#ledger.count(form.type === "group" ? "parts of groups in force" : "segments in force");
    const fault = this.#faultOf(committed, segment, object);
    this.#ledger.check("I12 a segment holds what was committed", fault === undefined, () => `${key}: ${fault}`);
  }

  #faultOf(committed: CommittedPartition, segment: SegmentEntry, object: Uint8Array): string | undefined {
    try {
      const batches = this.#batchesOf(segment, object);
      let end = segment.baseOffset;
      for (const batch of iterateBatches(batches)) {
        const expected = committed.batchAt(end);
        const isSame =
          batch.baseOffset === end && batch.crc === expected?.crc && batch.nextOffset === expected.nextOffset;
        if (!isSame || batch.partitionLeaderEpoch !== expected.leaderEpoch) return `at ${end} is another batch`;
        end = batch.nextOffset;
      }
      return end === segment.endOffset ? undefined : `it ends at ${end}, not ${segment.endOffset}`;
    } catch (error) {
      return String(error);
    }
  }

  #batchesOf({ form, bytes, baseOffset, endOffset }: SegmentEntry, object: Uint8Array): Uint8Array {
    if (form.type === "group") {
      const part = object.subarray(form.position, form.position + bytes);
      if (crc32c(part) !== form.crc32c) throw new Error("the part does not fit its checksum");
      return part;
    }
    const { batches, summary } = decodeSegment(object);
    if (summary.bytes !== bytes) throw new Error(`it has ${summary.bytes} bytes, not ${bytes}`);
    const index = this.#objects.get(form.indexKey) ?? new Uint8Array();
    const builder = new SegmentIndexBuilder();
    let position = 32;
    for (const batch of iterateBatches(batches)) {
      builder.add(batch.baseOffset, position, batch.recordCount);
      position += batch.sizeInBytes;
    }
    requireIndexOf(index, encodeSegmentIndex(builder.entries));
    const isUsable = new SegmentIndex(index, { baseOffset, endOffset, bytes }).entryCount > 0;
    return isUsable ? batches : new Uint8Array();
  }

  /** What a section has dropped is named by none of its lists. */
  checkDropped(section: CheckpointSection, listed: readonly SegmentEntry[]): void {
    const dropped = new Set(section.dropped);
    const held = listed.find(({ key, form }) => {
      return dropped.has(key) || (form.type === "segment" && dropped.has(form.indexKey));
    });
    this.#ledger.check("I13 nothing is dropped that a list names", held === undefined, () => `${held?.key}`);
    if (dropped.size > 0) this.#ledger.count("sections with dropped objects");
  }
}
