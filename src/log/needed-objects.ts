// What a checkpoint needs of the objects of its own session: which flushes, and which checkpoints, because sections and
// their long lists may lie in earlier ones. Removal asks it; nothing here knows what claims name.
import type { BlockRef } from "../objects/block.ts";
import type { SectionPartition } from "../objects/checkpoint-section.ts";

/** What a checkpoint needs of its session. */
export interface NeededObjects {
  /** Its number, and the head at which it was made. */
  readonly k: number;
  readonly n: number;
  /** The lowest flush of the session in which one of its sections has a pending extent. */
  readonly lowestPendingN: number | undefined;
  /** The checkpoints in which its sections and their sub-blocks lie, itself among them. */
  readonly checkpoints: ReadonlySet<number>;
}

/** What one section of a checkpoint needs. */
export interface NeededBySection {
  readonly ref: BlockRef;
  readonly lowestPendingN: number | undefined;
  /** Earlier checkpoints in which its sub-blocks lie. */
  readonly blocks: readonly number[];
}

/** The sum over the sections of checkpoint `k`, made at head `n`. */
export function neededBy(
  at: { readonly k: number; readonly n: number },
  sections: readonly NeededBySection[],
): NeededObjects {
  const checkpoints = new Set<number>([at.k]);
  let lowest = Number.POSITIVE_INFINITY;
  for (const { ref, lowestPendingN, blocks } of sections) {
    checkpoints.add(ref.k);
    for (const k of blocks) checkpoints.add(k);
    lowest = Math.min(lowest, lowestPendingN ?? lowest);
  }
  return { ...at, lowestPendingN: Number.isFinite(lowest) ? lowest : undefined, checkpoints };
}

/** Where the sub-blocks of the sections of one session lie: a claim may name a section that no checkpoint has any more. */
export class SectionBlocks {
  /** By object key, then by position. */
  readonly #blocks = new Map<string, Map<number, readonly number[]>>();

  /** Notes a section that was written at `position` of `objectKey`; the checkpoints that hold its sub-blocks. */
  note(
    { objectKey, k, position }: BlockRef & { readonly objectKey: string },
    partitions: readonly SectionPartition[],
  ): readonly number[] {
    const lists = partitions.flatMap(({ pending, producers, fold, segments }) => [pending, producers, fold, segments]);
    const earlier = new Set(lists.flatMap(({ stored }) => stored?.k ?? []));
    earlier.delete(k);
    if (earlier.size === 0) return [];
    const ofObject = this.#blocks.get(objectKey) ?? new Map<number, readonly number[]>();
    this.#blocks.set(objectKey, ofObject.set(position, [...earlier]));
    return [...earlier];
  }

  /** The earlier checkpoints that hold sub-blocks of a section. */
  of({ objectKey, position }: { readonly objectKey: string; readonly position: number }): readonly number[] {
    return this.#blocks.get(objectKey)?.get(position) ?? [];
  }

  /** Forgets the sections of an object that is gone. */
  forget(objectKey: string): void {
    this.#blocks.delete(objectKey);
  }
}
