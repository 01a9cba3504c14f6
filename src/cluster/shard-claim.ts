// Words around a claim that both its planning and its transaction use.
import type { Revision } from "../kv/key-value-store.ts";
import type { LeaderEpoch } from "../topic-partition.ts";
import type { ShardClaim } from "./keys.ts";
import type { SessionId } from "./session-id.ts";

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
