// What a claim of a shard says, and the words around it that its planning and its transaction share.
import type { Revision } from "../kv/key-value-store.ts";
import type { LeaderEpoch } from "../topic-partition.ts";
import type { SessionId } from "./session-id.ts";

/** The checkpoint section from which the owner of a shard starts. */
export interface SectionBase {
  readonly objectKey: string;
  readonly position: number;
  readonly length: number;
  /** The section holds every extent of the shard in flushes up to `n` of this session. */
  readonly sessionId: SessionId;
  readonly n: number;
}

/** An earlier term whose objects the shard still needs: flushes `from` to `to`, of them the extents with `epoch`. */
export interface PrevTerm {
  readonly sessionId: SessionId;
  readonly epoch: LeaderEpoch;
  readonly from: number;
  readonly to: number;
}

/** Who owns a shard, and what its reader needs besides the owner's own objects. */
export interface ShardClaim {
  readonly sessionId: SessionId;
  /** 1 at the first claim, one more with each change of owner. */
  readonly epoch: LeaderEpoch;
  /** Undefined: the shard starts empty, or the owner's own checkpoint covers it. */
  readonly base: SectionBase | undefined;
  /** By epoch. */
  readonly prev: readonly PrevTerm[];
}

/** A claim as stored. */
export interface StoredClaim {
  readonly shard: number;
  readonly claim: ShardClaim;
  readonly modRevision: Revision;
}

/** Where a section lies and what of its session it still points to. */
export interface SectionPlace {
  readonly objectKey: string;
  readonly position: number;
  readonly length: number;
  /** Lowest flush of the checkpoint's session in which the section has a pending extent. */
  readonly lowestPendingN: number | undefined;
}

/** What a claim needs to know of a dead session's newest checkpoint: its index holds all of it. */
export interface CheckpointFacts {
  /** Head at which it was made. */
  readonly n: number;
  /** The section of a shard, only if it was made under that epoch. */
  sectionOf(shard: number, epoch: LeaderEpoch): SectionPlace | undefined;
}

/** Reads a checkpoint's index. Retries what another try may mend; rejects for a missing or damaged object. */
export type LoadCheckpoint = (
  sessionId: SessionId,
  objectKey: string,
  options: { readonly signal: AbortSignal },
) => Promise<CheckpointFacts>;
