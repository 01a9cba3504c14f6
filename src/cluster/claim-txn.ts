// The transactions that write claims, within the limits of the store: up to 30 shards of up to 16 dead sessions each.
// A refused one reads back what it compared; the losers are named and the rest is tried again without them.
import { invariant } from "../invariant.ts";
import type { Compare, KeyValue, Operation, Revision, Txn } from "../kv/key-value-store.ts";
import { txnUntilAnswered } from "./attempts.ts";
import { SessionFencedError } from "./cluster-components.ts";
import { encodeClaim } from "./keys.ts";
import type { Session } from "./session.ts";
import type { SessionId } from "./session-id.ts";
import type { CheckpointFacts, ShardClaim, StoredClaim } from "./shard-claim.ts";

/** 30 shards, two compares for each of 16 dead sessions, the own session and a receiver make 64 of 64 entries. */
const SHARDS_MAX = 30;
const DEAD_SESSIONS_MAX = 16;
/** Half of what a request may carry, keys and compares left aside. */
const VALUE_BYTES_MAX = 128 * 1024;
/** Transactions sent at the same time: they have no shard in common. */
const TXNS_AT_ONCE = 4;

/** A session whose key is gone, and what it left. */
export interface DeadSession {
  readonly sessionId: SessionId;
  /** Read after the key was seen absent: final. */
  readonly head: { readonly n: number; readonly modRevision: Revision };
  readonly checkpoint: CheckpointFacts | undefined;
}

/** A live session that is to receive shards. */
export interface Receiver {
  readonly sessionId: SessionId;
  readonly createRevision: Revision;
}

/** A claim to be written. */
export interface PlannedClaim {
  readonly shard: number;
  readonly claim: ShardClaim;
  /** Revision of the stored claim it was derived from, 0 for none. */
  readonly modRevision: Revision;
  /** The owner it is taken from. */
  readonly dead: DeadSession | undefined;
}

interface ClaimOutcome {
  readonly written: StoredClaim[];
  readonly lost: number[];
}

/** What one call writes claims under. */
interface WriteOptions {
  /** Has to be alive when the claims are written. */
  readonly receiver?: Receiver | undefined;
  readonly signal: AbortSignal;
}

/** What a refused transaction was made of, and what its else branch read: own session, dead ones, claims, receiver. */
interface RefusedClaim {
  readonly batch: readonly EncodedClaim[];
  readonly dead: readonly DeadSession[];
  readonly receiver: Receiver | undefined;
  readonly results: readonly (KeyValue | undefined)[];
}

interface EncodedClaim extends PlannedClaim {
  readonly value: Uint8Array;
}

/**
 * Writes claims in as few transactions as the limits allow.
 * @throws SessionFencedError when the own session is gone
 */
export async function writeClaims(
  session: Session,
  planned: readonly PlannedClaim[],
  { receiver, signal }: WriteOptions,
): Promise<{ readonly written: StoredClaim[]; readonly lost: number[] }> {
  const written: StoredClaim[] = [];
  const lost: number[] = [];
  const encoded = planned.map((plan) => ({ ...plan, value: encodeClaim(plan.claim) }));
  const waiting = batches(encoded);
  // Whoever fails ends the loop of all: `for` closes what they share.
  const lane = async () => {
    for (const batch of waiting) await writeBatch(session, batch, { written, lost, receiver, signal });
  };
  const lanes = Array.from({ length: TXNS_AT_ONCE }, lane);
  await Promise.allSettled(lanes);
  await Promise.all(lanes);
  return { written, lost };
}

function* batches(planned: readonly EncodedClaim[]): Generator<EncodedClaim[], void> {
  let batch: EncodedClaim[] = [];
  let dead = new Set<SessionId>();
  let valueBytes = 0;
  for (const plan of planned) {
    const isNewDead = plan.dead !== undefined && !dead.has(plan.dead.sessionId);
    const isFull =
      batch.length === SHARDS_MAX ||
      (isNewDead && dead.size === DEAD_SESSIONS_MAX) ||
      valueBytes + plan.value.length > VALUE_BYTES_MAX;
    if (isFull && batch.length > 0) {
      yield batch;
      batch = [];
      dead = new Set();
      valueBytes = 0;
    }
    batch.push(plan);
    valueBytes += plan.value.length;
    if (plan.dead) dead.add(plan.dead.sessionId);
  }
  if (batch.length > 0) yield batch;
}

async function writeBatch(
  session: Session,
  first: readonly EncodedClaim[],
  outcome: ClaimOutcome & WriteOptions,
): Promise<void> {
  const { receiver } = outcome;
  let batch = first;
  while (batch.length > 0) {
    const dead = [...new Map(batch.flatMap((plan) => (plan.dead ? [[plan.dead.sessionId, plan.dead]] : []))).values()];
    const txn = claimTxn(session, batch, { dead, receiver });
    const result = await txnUntilAnswered(session.components, { what: "claim of shards", signal: outcome.signal }, txn);
    if (result.succeeded) {
      for (const plan of batch) outcome.written.push(storedClaim(plan, result.revision));
      return;
    }
    const rest = stillPossible({ batch, dead, receiver, results: result.results }, outcome);
    if (result.results[0]?.createRevision !== session.createRevision) {
      throw new SessionFencedError(
        `session ${session.sessionId} was gone before it could write ${batch.length} claims`,
      );
    }
    invariant(rest.length < batch.length, `a claim of ${batch.length} shards was refused, and every compare holds`);
    batch = rest;
  }
}

function claimTxn(
  session: Session,
  batch: readonly EncodedClaim[],
  { dead, receiver }: Pick<RefusedClaim, "dead" | "receiver">,
): Txn {
  const { keys } = session.components;
  const ownKey = keys.session(session.sessionId);
  const compare: Compare[] = [{ key: ownKey, target: "create", equals: session.createRevision }];
  const otherwise: Operation[] = [{ type: "get", key: ownKey }];
  for (const { sessionId, head } of dead) {
    compare.push({ key: keys.session(sessionId), target: "create", equals: 0 });
    compare.push({ key: keys.head(sessionId), target: "mod", equals: head.modRevision });
    otherwise.push({ type: "get", key: keys.session(sessionId) }, { type: "get", key: keys.head(sessionId) });
  }
  for (const { shard, modRevision } of batch) {
    compare.push({ key: keys.claim(shard), target: "mod", equals: modRevision });
    otherwise.push({ type: "get", key: keys.claim(shard) });
  }
  if (receiver) {
    const key = keys.session(receiver.sessionId);
    compare.push({ key, target: "create", equals: receiver.createRevision });
    otherwise.push({ type: "get", key });
  }
  const then = batch.map(({ shard, value }): Operation => ({ type: "put", key: keys.claim(shard), value }));
  return { compare, then, otherwise };
}

/** Sorts out what a refused transaction read: what landed by an earlier copy, what is lost, what to try again. */
function stillPossible({ batch, dead, receiver, results }: RefusedClaim, outcome: ClaimOutcome): EncodedClaim[] {
  const isReceiverGone =
    receiver !== undefined && results[1 + 2 * dead.length + batch.length]?.createRevision !== receiver.createRevision;
  const lostSessions = new Set<SessionId>();
  for (const [index, { sessionId, head }] of dead.entries()) {
    const isAlive = results[1 + 2 * index] !== undefined;
    const isHeadSame = results[2 + 2 * index]?.modRevision === head.modRevision;
    if (isAlive || !isHeadSame) lostSessions.add(sessionId);
  }
  const rest: EncodedClaim[] = [];
  for (const [index, plan] of batch.entries()) {
    const entry = results[1 + 2 * dead.length + index];
    const isChanged = (entry?.modRevision ?? 0) !== plan.modRevision;
    if (entry && isChanged && Buffer.from(entry.value).equals(plan.value)) {
      outcome.written.push(storedClaim(plan, entry.modRevision));
      continue;
    }
    const isLost = isChanged || isReceiverGone || (plan.dead && lostSessions.has(plan.dead.sessionId));
    if (isLost) outcome.lost.push(plan.shard);
    else rest.push(plan);
  }
  return rest;
}

function storedClaim({ shard, claim }: PlannedClaim, modRevision: Revision): StoredClaim {
  return { shard, claim, modRevision };
}
