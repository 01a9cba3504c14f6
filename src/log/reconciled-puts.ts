// Puts what reconciling makes, segments and groups, under their names, and counts the PUTs: they are paid for. Lists nothing;
// whoever asked for an object does, or drops it.

import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import type { ObjectKeys, SegmentName } from "../objects/object-keys.ts";
import type { EncodedSegment } from "../objects/segment.ts";
import { encodeGroup, type GroupMember, segmentEntry } from "./reconciled-objects.ts";
import type { ShardLog } from "./shard-log.ts";
import type { WalWriter } from "./wal-writer.ts";

/** Parts of {@link ReconciledPuts}. */
export interface ReconciledPutComponents {
  readonly sessionId: string;
  readonly objectKeys: ObjectKeys;
  readonly wal: WalWriter;
}

/** What came of putting a segment. */
export interface PutSegment {
  readonly segment: SegmentEntry;
  /** An object that nobody will list: somebody else's bytes stand beside it under the plain name. */
  readonly unlisted: SegmentEntry | undefined;
}

/** Puts the objects of one session. For one caller, who awaits each before the next. */
export class ReconciledPuts {
  readonly #parts: ReconciledPutComponents;
  /** Objects with a suffix, and groups, that this session has begun to put. */
  #lastNumber = 0;
  #count = 0;

  constructor(components: ReconciledPutComponents) {
    this.#parts = components;
  }

  /** PUTs so far. */
  get count(): number {
    return this.#count;
  }

  /** Puts a segment under its plain name, or under one of its own where the plain one holds other bytes. */
  async plain(name: SegmentName, encoded: EncodedSegment, signal: AbortSignal): Promise<PutSegment> {
    const segment = segmentEntry(this.#parts.objectKeys, name, encoded);
    if (await this.#putIfAbsent(segment, encoded, signal)) return { segment, unlisted: undefined };
    // Somebody has cut the same records in another way, and his list never came into force.
    return { segment: await this.suffixed(name, encoded, signal), unlisted: segment };
  }

  /** Puts a segment under a name that only this session uses. */
  async suffixed(name: SegmentName, encoded: EncodedSegment, signal: AbortSignal): Promise<SegmentEntry> {
    const { sessionId, objectKeys, wal } = this.#parts;
    const writer = { sessionId, n: ++this.#lastNumber };
    const segment = segmentEntry(objectKeys, { ...name, writer }, encoded);
    const { form } = segment;
    this.#count += 2;
    await wal.putInBackground(segment.key, encoded.segment, signal);
    if (form.type === "segment") await wal.putInBackground(form.indexKey, [encoded.index], signal);
    return segment;
  }

  /** Puts one object for several partitions of a shard; the entry of each member, in their order. */
  async group(shardLog: ShardLog, members: readonly GroupMember[], signal: AbortSignal) {
    const { sessionId, objectKeys, wal } = this.#parts;
    const key = objectKeys.group(shardLog.shard, sessionId, ++this.#lastNumber);
    const { object, entries } = encodeGroup(key, shardLog.claim.claim.epoch, members);
    this.#count++;
    await wal.putInBackground(key, object, signal);
    return { key, entries };
  }

  /** Puts segment and index under names that others may use; whether these bytes stand there. */
  async #putIfAbsent({ key, form }: SegmentEntry, encoded: EncodedSegment, signal: AbortSignal): Promise<boolean> {
    const { wal } = this.#parts;
    if (form.type !== "segment") return false;
    this.#count++;
    if (!(await wal.putIfAbsent(key, encoded.segment, signal))) return false;
    this.#count++;
    return wal.putIfAbsent(form.indexKey, [encoded.index], signal);
  }
}
