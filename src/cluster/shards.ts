// Ownership of shards: reading who owns what, claiming what nobody alive owns, and noting in a claim what the owner's
// checkpoint made unnecessary. A claim compares everything it was derived from; what it lost is never fought for.
// Refuses a shard whose last owner left no head: that is corruption, and 0 would lose records.
import type { Revision } from "../kv/key-value-store.ts";
import type { LeaderEpoch } from "../topic-partition.ts";
import { untilAnswered } from "./attempts.ts";
import { type DeadSession, type PlannedClaim, writeClaims } from "./claim-txn.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import { readCheckpointPointer, readHead } from "./head.ts";
import type { MetadataImage } from "./image.ts";
import type { ImageFeed } from "./image-feed.ts";
import { decodeClaim } from "./keys.ts";
import { placement, SHARD_COUNT } from "./placement.ts";
import type { Session } from "./session.ts";
import type { SessionId } from "./session-id.ts";
import type { LoadCheckpoint, PrevTerm, SectionBase, SectionPlace, ShardClaim, StoredClaim } from "./shard-claim.ts";

/** What became of the shards that were to be claimed. */
export interface ClaimResult {
  readonly claimed: readonly StoredClaim[];
  /** Somebody alive owns them, or was faster. */
  readonly lost: readonly number[];
  /** Nobody may claim them before the reason is mended. */
  readonly refused: readonly { readonly shard: number; readonly reason: Error }[];
}

/** All claims, as of one revision. */
export async function readClaims(
  components: ClusterComponents,
  { signal }: { readonly signal: AbortSignal },
): Promise<{ readonly revision: Revision; readonly claims: ReadonlyMap<number, StoredClaim> }> {
  const { kv, keys } = components;
  const { revision, entries } = await untilAnswered(components, { what: "range of claims", signal }, (call) =>
    kv.range(keys.claims, { signal: call }),
  );
  const claims = new Map<number, StoredClaim>();
  for (const entry of entries) {
    const shard = keys.shardOf(entry.key);
    claims.set(shard, { shard, claim: decodeClaim(entry), modRevision: entry.modRevision });
  }
  return { revision, claims };
}

/**
 * Claims those of `shards` that nobody owns or whose owner is dead; the ones the session owns already count as lost.
 * @throws SessionFencedError when the own session is gone
 */
export async function claimShards(
  session: Session,
  options: {
    readonly shards: readonly number[];
    /** As {@link readClaims} gave them: what has changed since is lost. */
    readonly claims: ReadonlyMap<number, StoredClaim>;
    readonly loadCheckpoint: LoadCheckpoint;
    readonly signal: AbortSignal;
  },
): Promise<ClaimResult> {
  const { claims } = options;
  const dead = await readDeadSessions(session, claims, options);
  const isIncomplete = [...dead.values()].some((found) => found instanceof Error);
  const again = isIncomplete ? (await readClaims(session.components, options)).claims : claims;
  const planned: PlannedClaim[] = [];
  const lost: number[] = [];
  const refused: { shard: number; reason: Error }[] = [];
  for (const shard of options.shards) {
    const stored = claims.get(shard);
    const before = stored && dead.get(stored.claim.sessionId);
    // What a dead session left goes once its shards are somebody else's: that it is not there says nothing then.
    const isChanged = stored?.modRevision !== again.get(shard)?.modRevision;
    if ((stored && !before) || isChanged) lost.push(shard);
    else if (before instanceof Error) refused.push({ shard, reason: before });
    else
      planned.push(
        stored && before ? takeOver(session.sessionId, stored, before) : firstClaim(session.sessionId, shard),
      );
  }
  const written = await writeClaims(session, planned, options);
  return { claimed: written.written, lost: [...lost, ...written.lost], refused };
}

/**
 * Writes changed values of claims the session holds. Those whose stored value changed meanwhile are lost.
 * @throws SessionFencedError when the own session is gone
 */
export async function rewriteClaims(
  session: Session,
  updates: readonly StoredClaim[],
  { signal }: { readonly signal: AbortSignal },
): Promise<{ readonly rewritten: readonly StoredClaim[]; readonly lost: readonly number[] }> {
  const planned = updates.map((update) => ({ ...update, dead: undefined }));
  const { written, lost } = await writeClaims(session, planned, { signal });
  return { rewritten: written, lost };
}

/**
 * A claim once the owner's checkpoint covers the shard: without base, and with each earlier term cut to what is still
 * needed. Returns the same object if nothing changes.
 */
export function afterCheckpoint(
  claim: ShardClaim,
  section: {
    /** The last flush of a session that the section holds; 0 for none. */
    readonly coveredN: (sessionId: SessionId) => number;
    /** Lowest flush in [from, to] of a session in which the section has a pending extent. */
    readonly lowestPendingN: (sessionId: SessionId, from: number, to: number) => number | undefined;
  },
): ShardClaim {
  const prev = claim.prev.flatMap((term) => {
    const covered = section.coveredN(term.sessionId);
    const pending = section.lowestPendingN(term.sessionId, term.from, term.to) ?? Number.POSITIVE_INFINITY;
    const uncovered = covered < term.to ? covered + 1 : Number.POSITIVE_INFINITY;
    const from = Math.max(term.from, Math.min(pending, uncovered));
    if (from > term.to) return [];
    return [from === term.from ? term : { ...term, from }];
  });
  const isSame = prev.length === claim.prev.length && prev.every((term, index) => term === claim.prev[index]);
  return isSame && claim.base === undefined ? claim : { ...claim, base: undefined, prev };
}

/** The shards that `brokerId` should own and that nobody alive owns, as far as the image knows. */
export function claimableShards(image: MetadataImage, brokerId: number): number[] {
  const owners = placement(image.placementBrokerIds());
  const shards: number[] = [];
  for (let shard = 0; shard < SHARD_COUNT; shard += 1) {
    if (owners[shard] === brokerId && !image.ownerOf(shard)) shards.push(shard);
  }
  return shards;
}

/** Shards of `owned` that another live broker should own, by the session to give them to. */
export function misplacedShards(
  image: MetadataImage,
  owned: Iterable<number>,
  brokerId: number,
): ReadonlyMap<SessionId, readonly number[]> {
  const owners = placement(image.placementBrokerIds());
  const byReceiver = new Map<SessionId, number[]>();
  for (const shard of owned) {
    const target = owners[shard];
    const receiver = target === undefined || target === brokerId ? undefined : image.sessionOf(target);
    if (!receiver) continue;
    const shards = byReceiver.get(receiver.sessionId) ?? [];
    shards.push(shard);
    byReceiver.set(receiver.sessionId, shards);
  }
  return byReceiver;
}

/**
 * The claims that name the session under an epoch above the last one loaded or given away: each is to be loaded. To be
 * asked after every change of the claims, so that a claim whose answer was lost is never missed.
 */
export function shardsToLoad(
  claims: Iterable<StoredClaim>,
  sessionId: SessionId,
  loadedEpochs: ReadonlyMap<number, LeaderEpoch>,
): StoredClaim[] {
  return [...claims].filter(
    ({ shard, claim }) => claim.sessionId === sessionId && claim.epoch > (loadedEpochs.get(shard) ?? 0),
  );
}

/** Until the image shows the newest of `claims`. Rejects with the signal's reason. */
export async function awaitClaims(
  feed: ImageFeed,
  claims: Iterable<StoredClaim>,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  let newest = 0;
  for (const { modRevision } of claims) newest = Math.max(newest, modRevision);
  if (newest > 0) await feed.waitFor("claims", newest, { signal });
}

/** Every session that a wanted shard names and that has no key: first seen absent, then its head and pointer read. */
async function readDeadSessions(
  session: Session,
  claims: ReadonlyMap<number, StoredClaim>,
  options: {
    readonly shards: readonly number[];
    readonly loadCheckpoint: LoadCheckpoint;
    readonly signal: AbortSignal;
  },
): Promise<ReadonlyMap<SessionId, DeadSession | Error>> {
  const { components } = session;
  const { kv, keys } = components;
  const dead = new Map<SessionId, DeadSession | Error>();
  const owners = new Set<SessionId>();
  for (const shard of options.shards) {
    const stored = claims.get(shard);
    if (stored) owners.add(stored.claim.sessionId);
  }
  if (owners.size === 0) return dead;
  const { entries } = await untilAnswered(components, { what: "range of sessions", signal: options.signal }, (call) =>
    kv.range(keys.sessions, { signal: call }),
  );
  for (const entry of entries) owners.delete(keys.sessionOf(entry.key));
  for (const sessionId of owners) dead.set(sessionId, await readDeadSession(components, sessionId, options));
  return dead;
}

async function readDeadSession(
  components: ClusterComponents,
  sessionId: SessionId,
  options: { readonly loadCheckpoint: LoadCheckpoint; readonly signal: AbortSignal },
): Promise<DeadSession | Error> {
  const head = await readHead(components, sessionId, options);
  if (!head) return new Error(`session ${sessionId} owns shards and has no head: the metadata store lost it`);
  const objectKey = await readCheckpointPointer(components, sessionId, options);
  if (objectKey === undefined) return { sessionId, head, checkpoint: undefined };
  try {
    return { sessionId, head, checkpoint: await options.loadCheckpoint(sessionId, objectKey, options) };
  } catch (error) {
    options.signal.throwIfAborted();
    return new Error(`checkpoint ${objectKey} of session ${sessionId} cannot be read`, { cause: error });
  }
}

function firstClaim(sessionId: SessionId, shard: number): PlannedClaim {
  return { shard, modRevision: 0, dead: undefined, claim: { sessionId, epoch: 1, base: undefined, prev: [] } };
}

function takeOver(sessionId: SessionId, stored: StoredClaim, dead: DeadSession): PlannedClaim {
  const { shard, claim, modRevision } = stored;
  return { shard, modRevision, dead, claim: claimAfter(sessionId, { shard, claim }, dead) };
}

/** What `sessionId` would start from if the owner of a shard ended as `dead` says. */
export function claimAfter(
  sessionId: SessionId,
  { shard, claim }: Pick<StoredClaim, "shard" | "claim">,
  dead: Omit<DeadSession, "head"> & { readonly head: { readonly n: number } },
): ShardClaim {
  const { head, checkpoint } = dead;
  const section = checkpoint?.sectionOf(shard, claim.epoch);
  const startsFrom = checkpoint && section ? sectionBase(section, dead.sessionId, checkpoint.n) : claim.base;
  // A checkpoint without a section of the shard was made before the term wrote anything: nothing up to its head is ours.
  const uncovered = checkpoint ? checkpoint.n + 1 : 1;
  const from = Math.min(section?.lowestPendingN ?? uncovered, uncovered);
  const term: PrevTerm = { sessionId: dead.sessionId, epoch: claim.epoch, from, to: head.n };
  const prev = term.from <= term.to ? [...claim.prev, term] : claim.prev;
  return { sessionId, epoch: claim.epoch + 1, base: startsFrom, prev };
}

/** A section as the base of a claim: it holds everything of the shard in the flushes of `sessionId` up to `n`. */
export function sectionBase(
  { objectKey, position, length }: SectionPlace,
  sessionId: SessionId,
  n: number,
): SectionBase {
  return { objectKey, position, length, sessionId, n };
}
