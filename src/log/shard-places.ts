// What a shard still needs of the object store: which flushes hold pending extents, how many parts of each group are in a
// list, and what was dropped because nothing refers to it any more.
import { invariant } from "../invariant.ts";
import type { SegmentEntry } from "../objects/checkpoint-lists.ts";
import { DroppedObjects } from "./dropped-objects.ts";
import type { Extent } from "./extents.ts";
import { FlushNumbers } from "./flush-numbers.ts";

/** The books of one shard. Told of every extent and segment that enters or leaves the list of one of its partitions. */
export class ShardPlaces {
  /** Where the pending extents lie: of each session, the flushes that hold one. */
  readonly pendingFlushes = new FlushNumbers();
  /** Objects that its checkpoints keep naming until they are deleted. */
  readonly dropped: DroppedObjects;
  /** Parts in lists, by the key of their group. */
  readonly #groupParts = new Map<string, number>();

  /** @param onChange as of {@link DroppedObjects} */
  constructor(onChange: () => void) {
    this.dropped = new DroppedObjects(onChange);
  }

  /** An extent became pending. */
  addExtent(extent: Extent): void {
    this.pendingFlushes.add(extent);
  }

  /** Extents are pending no more. */
  removeExtents(extents: readonly Extent[]): void {
    for (const extent of extents) this.pendingFlushes.remove(extent);
  }

  /** A segment entered a list. */
  addSegment({ key, form }: SegmentEntry): void {
    if (form.type === "group") this.#groupParts.set(key, (this.#groupParts.get(key) ?? 0) + 1);
  }

  /** Segments left their lists: their objects are dropped, a group with its last part. */
  removeSegments(segments: readonly SegmentEntry[]): void {
    for (const { key, form } of segments) {
      if (form.type === "segment") {
        this.dropped.addSegment({ key, indexKey: form.indexKey });
        continue;
      }
      const parts = this.#groupParts.get(key) ?? 0;
      invariant(parts > 0, `a part of ${key} leaves, of which no part is in a list`);
      if (parts > 1) {
        this.#groupParts.set(key, parts - 1);
        continue;
      }
      this.#groupParts.delete(key);
      this.dropped.add(key);
    }
  }
}
