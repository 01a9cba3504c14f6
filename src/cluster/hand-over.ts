// Giving shards to another session, or taking them back: what the claim of a shard says after its giver has stopped, and
// the transaction that writes it. Refuses a receiver that is not alive in the very transaction.
import { invariant } from "../invariant.ts";
import { type PlannedClaim, type Receiver, writeClaims } from "./claim-txn.ts";
import type { Session } from "./session.ts";
import type { SessionId } from "./session-id.ts";
import type { PrevTerm, SectionPlace, ShardClaim, StoredClaim } from "./shard-claim.ts";
import { afterCheckpoint, readClaims, sectionBase } from "./shards.ts";

/** What the giver's checkpoint in force holds of a shard. */
export interface SectionInForce {
  readonly place: SectionPlace;
  /** Head at which that checkpoint was made. */
  readonly n: number;
  /** The last flush of a session that the section holds; 0 for none. */
  readonly coveredN: (sessionId: SessionId) => number;
  /** Lowest flush in [from, to] of a session in which the section has a pending extent. */
  readonly lowestPendingN: (sessionId: SessionId, from: number, to: number) => number | undefined;
}

/** A shard to be given. */
export interface GivenShard {
  readonly stored: StoredClaim;
  /** Undefined for a shard that never held anything, or was never loaded. */
  readonly section: SectionInForce | undefined;
  /**
   * Whether the giver has loaded it under this claim. If not it has written nothing under the claim's epoch: appends and
   * changes of the log start are refused until a shard is loaded. So no flush holds anything of that epoch, the term has
   * nothing to replay, and what the claim says of all earlier ones is still the whole truth.
   */
  readonly isLoaded: boolean;
}

/**
 * Gives shards to `receiver`. The giver has refused appends to them since before the checkpoint that `section` speaks of,
 * and from this call on neither appends to nor serves them until it has read who owns them.
 * @returns what landed; `kept` were refused for certain
 * @throws SessionFencedError when the own session is gone
 */
export async function handOver(
  giver: Session,
  shards: readonly GivenShard[],
  { receiver, signal }: { readonly receiver: Receiver; readonly signal: AbortSignal },
): Promise<{ readonly given: readonly StoredClaim[]; readonly kept: readonly number[] }> {
  const planned = shards.map((shard) => plannedClaim(shard, giver.sessionId, receiver.sessionId));
  const { written, lost } = await writeClaims(giver, planned, { receiver, signal });
  return { given: written, kept: lost };
}

/**
 * Changes the claims of shards whose hand-over was refused, so that no late copy of it can land; they are then loaded as
 * any claim is.
 * @returns shards whose claim is another than the one that was to be given, as was read from the store
 * @throws SessionFencedError when the own session is gone
 */
export async function takeBack(
  giver: Session,
  shards: readonly GivenShard[],
  { signal }: { readonly signal: AbortSignal },
): Promise<readonly number[]> {
  const gone: number[] = [];
  let mine = shards;
  while (mine.length > 0) {
    const planned = mine.map((shard) => plannedClaim(shard, giver.sessionId, giver.sessionId));
    const lost = new Set((await writeClaims(giver, planned, { signal })).lost);
    if (lost.size === 0) break;
    // That a claim has changed does not say by whom: a copy of an own transaction may have landed.
    const { claims } = await readClaims(giver.components, { signal });
    const changed = mine.filter(({ stored }) => lost.has(stored.shard));
    mine = changed.flatMap((shard) => {
      const stored = claims.get(shard.stored.shard);
      const { sessionId, epoch } = shard.stored.claim;
      if (stored?.claim.sessionId === sessionId && stored.claim.epoch === epoch) return [{ ...shard, stored }];
      gone.push(shard.stored.shard);
      return [];
    });
  }
  return gone;
}

function plannedClaim(shard: GivenShard, giver: SessionId, to: SessionId): PlannedClaim {
  const { shard: number, modRevision } = shard.stored;
  return { shard: number, modRevision, dead: undefined, claim: claimOf(shard, giver, to) };
}

function claimOf({ stored, section, isLoaded }: GivenShard, giver: SessionId, to: SessionId): ShardClaim {
  const { claim } = stored;
  const next = { sessionId: to, epoch: claim.epoch + 1 };
  if (!isLoaded) return { ...claim, ...next };
  if (!section) {
    invariant(!claim.base && claim.prev.length === 0, `shard ${stored.shard} is given without the section it needs`);
    return { ...next, base: undefined, prev: [] };
  }
  const { place, n } = section;
  const { prev } = afterCheckpoint(claim, section);
  const from = place.lowestPendingN;
  const own: readonly PrevTerm[] = from === undefined ? [] : [{ sessionId: giver, epoch: claim.epoch, from, to: n }];
  return { ...next, base: sectionBase(place, giver, n), prev: [...prev, ...own] };
}
