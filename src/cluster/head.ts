// The commit of flushes: one transaction that compares the session's key and its head, and writes the next head. Also
// the pointer to the newest checkpoint. A write without answer is sent again byte for byte and its else branch read;
// nothing here assumes an outcome.
import { InvariantError, invariant } from "../invariant.ts";
import { type KeyValue, KvError, type Txn, type TxnResult } from "../kv/key-value-store.ts";
import { isUnknownOutcome, txnUntilAnswered, untilAnswered } from "./attempts.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import { decodeCheckpointPointer, decodeHead, encodeCheckpointPointer, encodeHead } from "./keys.ts";
import type { Session } from "./session.ts";
import type { SessionId } from "./session-id.ts";

/**
 * What became of a commit.
 * - `committed`: for ever, even if the session has died since.
 * - `fenced`: not committed, for ever; `head` is what is. The session is over.
 * - `unknown`: it was sent and may have been or still be applied. Neither success nor a definite error may be answered.
 * - `unsent`: it was never sent, or every call was definitely refused.
 */
export type HeadOutcome =
  | { readonly kind: "committed"; readonly head: number }
  | { readonly kind: "fenced"; readonly head: number }
  | { readonly kind: "unknown"; readonly error: Error }
  | { readonly kind: "unsent"; readonly error: Error };

/**
 * Commits the flushes after `from` up to `to`, all of whose objects are in the store. Sends the same transaction until
 * it is answered or `signal` aborts. One commit of a session at a time, each beginning where the last one ended.
 */
export async function commitHead(
  session: Session,
  { from, to, signal }: { readonly from: number; readonly to: number; readonly signal: AbortSignal },
): Promise<HeadOutcome> {
  const { components, head } = session;
  invariant(from === head.n && to > from, `commit of ${from} to ${to} where the head is ${head.n}`);
  const value = encodeHead({ n: to, committedAtMs: components.clock.wallMs() });
  const txn = headTxn(session, value);
  const sending = { isOpen: false, wasUnknown: false };
  const onFailure = (error: unknown) => {
    sending.isOpen = false;
    sending.wasUnknown ||= isUnknownOutcome(error);
  };
  let result: TxnResult;
  try {
    result = await untilAnswered(components, { what: "head commit", signal, onFailure }, (call) => {
      sending.isOpen = true;
      return components.kv.txn(txn, { signal: call });
    });
  } catch (error) {
    if (!(error instanceof Error) || error instanceof InvariantError) throw error;
    const isRefused = error instanceof KvError && error.kind !== "unknown";
    return { kind: sending.wasUnknown || (sending.isOpen && !isRefused) ? "unknown" : "unsent", error };
  }
  return classify(session, { n: to, value }, result);
}

/**
 * Makes `objectKey` the session's newest checkpoint, comparing the pointer's revision, so that a late copy of an older
 * pointer never replaces a newer one. Repeats until the outcome is known; rejects when `signal` aborts, after which it
 * may be called again with a newer key.
 */
export async function moveCheckpointPointer(
  session: Session,
  { objectKey, signal }: { readonly objectKey: string; readonly signal: AbortSignal },
): Promise<"moved" | "fenced"> {
  const { components, sessionId, createRevision } = session;
  const sessionKey = components.keys.session(sessionId);
  const key = components.keys.checkpoint(sessionId);
  const first = await untilAnswered(components, { what: "read of a checkpoint pointer", signal }, (call) =>
    components.kv.get(key, { signal: call }),
  );
  let known: KeyValue | undefined = first.entry;
  for (;;) {
    const txn: Txn = {
      compare: [
        { key: sessionKey, target: "create", equals: createRevision },
        { key, target: "mod", equals: known?.modRevision ?? 0 },
      ],
      then: [{ type: "put", key, value: encodeCheckpointPointer(objectKey) }],
      otherwise: [
        { type: "get", key: sessionKey },
        { type: "get", key },
      ],
    };
    const result = await txnUntilAnswered(components, { what: "checkpoint pointer", signal }, txn);
    if (result.succeeded) return "moved";
    const [own, pointer] = result.results;
    if (pointer && decodeCheckpointPointer(pointer) === objectKey) return "moved";
    if (own?.createRevision !== createRevision) return "fenced";
    // A late copy of an earlier pointer landed first: it is older than ours, and now it is what we compare.
    known = pointer;
  }
}

/** A session's head as of now, with its revision; undefined if there is none. */
export async function readHead(
  components: ClusterComponents,
  sessionId: SessionId,
  { signal }: { readonly signal: AbortSignal },
): Promise<{ readonly n: number; readonly modRevision: number } | undefined> {
  const key = components.keys.head(sessionId);
  const { entry } = await untilAnswered(components, { what: "read of a head", signal }, (call) =>
    components.kv.get(key, { signal: call }),
  );
  return entry && { n: decodeHead(entry).n, modRevision: entry.modRevision };
}

/** The key of a session's newest checkpoint object as of now; undefined if it has none. */
export async function readCheckpointPointer(
  components: ClusterComponents,
  sessionId: SessionId,
  { signal }: { readonly signal: AbortSignal },
): Promise<string | undefined> {
  const key = components.keys.checkpoint(sessionId);
  const { entry } = await untilAnswered(components, { what: "read of a checkpoint pointer", signal }, (call) =>
    components.kv.get(key, { signal: call }),
  );
  return entry && decodeCheckpointPointer(entry);
}

function headTxn(session: Session, value: Uint8Array): Txn {
  const { components, sessionId, createRevision, head } = session;
  const sessionKey = components.keys.session(sessionId);
  const key = components.keys.head(sessionId);
  return {
    compare: [
      { key: sessionKey, target: "create", equals: createRevision },
      { key, target: "value", equals: head.value },
    ],
    then: [{ type: "put", key, value }],
    otherwise: [
      { type: "get", key: sessionKey },
      { type: "get", key },
    ],
  };
}

function classify(
  session: Session,
  committing: { readonly n: number; readonly value: Uint8Array },
  result: TxnResult,
): HeadOutcome {
  if (result.succeeded) {
    session.advanceHead(committing);
    return { kind: "committed", head: committing.n };
  }
  const [own, stored] = result.results;
  const isAlive = own?.createRevision === session.createRevision;
  if (!stored) {
    invariant(!isAlive, `session ${session.sessionId} is alive and has no head`);
    // Whoever swept the head may have swept a committed one: its absence decides nothing.
    return { kind: "unknown", error: new Error(`the head of session ${session.sessionId} is gone`) };
  }
  const { n } = decodeHead(stored);
  if (n >= committing.n) {
    session.advanceHead({ n, value: stored.value });
    return { kind: "committed", head: n };
  }
  invariant(!isAlive, `commit of ${committing.n} refused to a live session ${session.sessionId} whose head is ${n}`);
  return { kind: "fenced", head: n };
}
