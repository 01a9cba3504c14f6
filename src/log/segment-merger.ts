// Makes one segment of many small ones, and one group of many parts of groups. Inputs stay listed until the output is, in one
// step; an output that cannot be listed any more is dropped.
import type { Log } from "../host/log.ts";
import type { Counter } from "../host/metrics.ts";
import { invariant } from "../invariant.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import { encodeSegment } from "../objects/segment.ts";
import type { BackgroundReads } from "./background-reads.ts";
import { batchesOf, type ReconcileSettings, segmentsToMerge } from "./reconcile-plan.ts";
import type { ReconcileTarget, ReconcileTargets } from "./reconcile-targets.ts";
import type { GroupMember } from "./reconciled-objects.ts";
import type { ReconciledPuts } from "./reconciled-puts.ts";
import type { ShardLog } from "./shard-log.ts";
import { type Stretch, stretchOfPart } from "./stretch.ts";

/** Parts of a {@link SegmentMerger}. */
export interface SegmentMergerComponents {
  readonly log: Log;
  readonly settings: ReconcileSettings;
  readonly reads: BackgroundReads;
  readonly targets: ReconcileTargets;
  readonly puts: ReconciledPuts;
  readonly merges: Counter;
  /** Called when a list has changed: a checkpoint has to say so. */
  readonly onChange: () => void;
}

/** Adjacent segments of one partition, several, ascending. */
interface Merge {
  readonly at: ReconcileTarget;
  readonly merged: readonly SegmentEntry[];
  readonly bytes: number;
}

/** Merges the small segments of one session's partitions. */
export class SegmentMerger {
  readonly #parts: SegmentMergerComponents;

  constructor(components: SegmentMergerComponents) {
    this.#parts = components;
  }

  /**
   * Merges what is to be merged in a shard, once per partition; where the PUTs of small objects are not paid for, only what
   * becomes large.
   * @returns PUTs of objects that are small
   */
  async merge(
    shardLog: ShardLog,
    { isSmallPaid }: { readonly isSmallPaid: boolean },
    signal: AbortSignal,
  ): Promise<number> {
    const { targets, puts, settings } = this.#parts;
    if (!targets.isServed(shardLog)) return 0;
    const merges = this.#due(shardLog).filter(({ bytes }) => isSmallPaid || bytes >= settings.pendingBytes);
    const isRegrouped = ({ merged, bytes }: Merge) =>
      bytes < settings.pendingBytes && merged.every(({ form }) => form.type === "group");
    let smallPuts = 0;
    for (const merge of merges) {
      if (isRegrouped(merge)) continue;
      const putBefore = puts.count;
      await targets.attempt([merge.at.partition], signal, () => this.#intoSegment(merge, signal));
      if (merge.bytes < settings.pendingBytes) smallPuts += puts.count - putBefore;
    }
    const putBefore = puts.count;
    await this.#intoGroups(shardLog, merges.filter(isRegrouped), signal);
    return smallPuts + puts.count - putBefore;
  }

  #due(shardLog: ShardLog): readonly Merge[] {
    const { targets, settings } = this.#parts;
    return targets.unpaused(shardLog).flatMap((partition) => {
      const merged = segmentsToMerge(partition.stored.segments.all, targets.segmentBytes(partition), settings);
      if (!merged) return [];
      return [{ at: { shardLog, partition }, merged, bytes: merged.reduce((sum, { bytes }) => sum + bytes, 0) }];
    });
  }

  /** One segment for several: under a name of its own, because where the others end is no function of the log. */
  async #intoSegment(merge: Merge, signal: AbortSignal): Promise<void> {
    const { targets, puts, merges, log, onChange } = this.#parts;
    const { at, merged } = merge;
    const { shardLog, partition } = at;
    const name = targets.nameOf(partition);
    const [first] = merged;
    if (!name || !first) return;
    const encoded = encodeSegment(await this.#inputs(merge, signal));
    const segment = await puts.suffixed({ ...name, baseOffset: first.baseOffset }, encoded, signal);
    if (!targets.isServed(shardLog)) return;
    if (targets.isListed(at) && partition.replaceSegments(merged, segment)) {
      merges.value++;
      log.debug("segments merged", { key: segment.key, count: merged.length });
    } else {
      shardLog.dropUnlisted([segment]);
    }
    onChange();
  }

  /** Groups of up to the size of a segment: what is too little for a segment of its own stays with its neighbours. */
  async #intoGroups(shardLog: ShardLog, merges: readonly Merge[], signal: AbortSignal): Promise<void> {
    for (const batch of batchesOf(merges, this.#parts.settings.segmentBytes)) {
      const partitions = batch.map(({ at }) => at.partition);
      await this.#parts.targets.attempt(partitions, signal, () => this.#intoGroup(shardLog, batch, signal));
    }
  }

  async #intoGroup(shardLog: ShardLog, batch: readonly Merge[], signal: AbortSignal): Promise<void> {
    const { targets, reads, puts, merges, log, onChange } = this.#parts;
    const read: Merge[] = [];
    const members: GroupMember[] = [];
    // Parts of neighbours lie in the same groups.
    const places = new Map<SegmentEntry, Stretch>();
    for (const part of batch.flatMap(({ merged }) => merged)) {
      const place = stretchOfPart(part);
      if (place) places.set(part, place);
    }
    const { found } = await reads.gather([...places.values()], signal);
    const held = (part: SegmentEntry) => {
      const place = places.get(part);
      return place && found.get(place);
    };
    for (const merge of batch) {
      // Who cannot be read waits by himself.
      await targets.attempt([merge.at.partition], signal, async () => {
        members.push(memberOf(merge, await this.#inputs(merge, signal, held)));
        read.push(merge);
      });
    }
    if (members.length === 0 || !targets.isServed(shardLog)) return;
    const { key, entries } = await puts.group(shardLog, members, signal);
    if (!targets.isServed(shardLog)) return;
    const listed = read.filter(({ at, merged }, index) => {
      const entry = entries[index];
      return entry && targets.isListed(at) && at.partition.replaceSegments(merged, entry);
    });
    merges.value += listed.length;
    if (listed.length === 0) shardLog.dropped.add(key);
    log.debug("groups merged", { key, count: listed.length });
    onChange();
  }

  async #inputs(
    { at, merged }: Merge,
    signal: AbortSignal,
    held: (segment: SegmentEntry) => Uint8Array | undefined = () => undefined,
  ): Promise<Uint8Array[]> {
    const { targets, reads } = this.#parts;
    const parts: Uint8Array[] = [];
    for (const segment of merged) {
      parts.push(held(segment) ?? (await targets.input(at, segment, reads.segment(segment, signal))));
    }
    return parts;
  }
}

function memberOf({ at, merged }: Merge, parts: readonly Uint8Array[]): GroupMember {
  const { topicId, partition } = at.partition;
  const [first, last] = [merged[0], merged.at(-1)];
  invariant(first && last, `nothing of ${topicId}-${partition} is merged`);
  const maxTimestampMs = Math.max(...merged.map((segment) => segment.maxTimestampMs));
  return { topicId, partition, baseOffset: first.baseOffset, endOffset: last.endOffset, maxTimestampMs, parts };
}
