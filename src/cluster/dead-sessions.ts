// What sessions leave in the metadata store after their end: which have a head and no key, which of them a claim still
// names, and the one transaction that forgets a session. Refuses to forget one that lives or that has changed since it was
// looked at.
import type { Revision, Txn } from "../kv/key-value-store.ts";
import { txnUntilAnswered, untilAnswered } from "./attempts.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import type { SessionId } from "./session-id.ts";
import type { StoredClaim } from "./shard-claim.ts";
import { readClaims } from "./shards.ts";

/** Revisions of what a session left; 0 where there is nothing. */
export interface SessionRemains {
  readonly headRevision: Revision;
  readonly pointerRevision: Revision;
}

/** Every session that has a head, alive or dead. */
export async function sessionsWithHead(
  components: ClusterComponents,
  { signal }: { readonly signal: AbortSignal },
): Promise<SessionId[]> {
  const { kv, keys } = components;
  const { entries } = await untilAnswered(components, { what: "range of heads", signal }, (call) =>
    kv.range(keys.heads, { signal: call }),
  );
  return entries.map(({ key }) => keys.sessionOfHead(key));
}

/** Whether a session that was registered once has no key any more: then it never has one again. */
export async function isSessionGone(
  components: ClusterComponents,
  sessionId: SessionId,
  { signal }: { readonly signal: AbortSignal },
): Promise<boolean> {
  const key = components.keys.session(sessionId);
  const { entry } = await untilAnswered(components, { what: "read of a session", signal }, (call) =>
    components.kv.get(key, { signal: call }),
  );
  return entry === undefined;
}

/** Every session that a claim names as of now; see {@link sessionsNamedBy}. */
export async function namedSessions(
  components: ClusterComponents,
  options: { readonly signal: AbortSignal },
): Promise<ReadonlySet<SessionId>> {
  const { claims } = await readClaims(components, options);
  return sessionsNamedBy(claims.values());
}

/**
 * Every session that one of all claims names: as owner, in its base or as an earlier term. Claims only ever add sessions
 * that one of them names already, or that live: a dead one that is in none will be in none for ever.
 */
export function sessionsNamedBy(claims: Iterable<StoredClaim>): ReadonlySet<SessionId> {
  const named = new Set<SessionId>();
  for (const { claim } of claims) {
    named.add(claim.sessionId);
    if (claim.base) named.add(claim.base.sessionId);
    for (const { sessionId } of claim.prev) named.add(sessionId);
  }
  return named;
}

/** What a session has left as of now. */
export async function readRemains(
  components: ClusterComponents,
  sessionId: SessionId,
  { signal }: { readonly signal: AbortSignal },
): Promise<SessionRemains> {
  const { kv, keys } = components;
  const revisionOf = async (key: string) => {
    const { entry } = await untilAnswered(components, { what: "read of a dead session", signal }, (call) =>
      kv.get(key, { signal: call }),
    );
    return entry?.modRevision ?? 0;
  };
  return {
    headRevision: await revisionOf(keys.head(sessionId)),
    pointerRevision: await revisionOf(keys.checkpoint(sessionId)),
  };
}

/** Deletes the head and the pointer of a dead session, if they are as they were read; whether this call did it. */
export async function forgetSession(
  components: ClusterComponents,
  sessionId: SessionId,
  { remains, signal }: { readonly remains: SessionRemains; readonly signal: AbortSignal },
): Promise<boolean> {
  const { keys } = components;
  const head = keys.head(sessionId);
  const pointer = keys.checkpoint(sessionId);
  const txn: Txn = {
    compare: [
      { key: keys.session(sessionId), target: "create", equals: 0 },
      { key: head, target: "mod", equals: remains.headRevision },
      { key: pointer, target: "mod", equals: remains.pointerRevision },
    ],
    then: [
      { type: "delete", key: head },
      { type: "delete", key: pointer },
    ],
  };
  const { succeeded } = await txnUntilAnswered(components, { what: "end of a dead session", signal }, txn);
  return succeeded;
}
