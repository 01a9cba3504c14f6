// Which leader epoch wrote which offsets of a partition: the answer of OffsetForLeaderEpoch (KIP-101, KIP-320).
import type { LeaderEpoch, Offset } from "../topic-partition.ts";

/** A leadership that wrote something: its first offset. */
export interface EpochStart {
  readonly leaderEpoch: LeaderEpoch;
  readonly startOffset: Offset;
}

/** Ascending in both fields. */
export class LeaderEpochs {
  #starts: EpochStart[] = [];

  /** The epochs that wrote something still in the log, ascending. */
  get all(): readonly EpochStart[] {
    return this.#starts;
  }

  /** Notes that `leaderEpoch` wrote at `offset`; later writes of the same epoch change nothing. */
  note(leaderEpoch: LeaderEpoch, offset: Offset): void {
    if (this.#starts.at(-1)?.leaderEpoch !== leaderEpoch) this.#starts.push({ leaderEpoch, startOffset: offset });
  }

  /** Forgets epochs whose records all lie below `logStart`. */
  dropBelow(logStart: Offset): void {
    this.#starts = this.#starts.filter((_, index) => {
      const next = this.#starts[index + 1];
      return next === undefined || next.startOffset > logStart;
    });
  }

  /**
   * The largest epoch at or below `asked` and the offset at which it ended, both -1 when unknown.
   * @param current the epoch of the present leadership, and the end of the log
   */
  endOffset(asked: number, current: { leaderEpoch: LeaderEpoch; endOffset: Offset }): EpochEnd {
    if (asked === current.leaderEpoch) return current;
    const higher = this.#starts.find((start) => start.leaderEpoch > asked);
    const floor = this.#starts.findLast((start) => start.leaderEpoch <= asked);
    if (asked > current.leaderEpoch || (!higher && !floor)) return { leaderEpoch: -1, endOffset: -1 };
    return { leaderEpoch: floor?.leaderEpoch ?? asked, endOffset: higher?.startOffset ?? current.endOffset };
  }
}

/** Where an epoch ended. */
export interface EpochEnd {
  readonly leaderEpoch: number;
  readonly endOffset: Offset;
}
