// Calls to the metadata store that are repeated until their outcome is known. A read may be repeated freely; a write is
// repeated byte for byte, so that its else branch tells whether an earlier copy landed. Never gives up by itself: the
// caller's signal decides how long an answer is waited for.
import { DeadlineError, sleep, withDeadline } from "../host/clock.ts";
import { OutageLog } from "../host/outage-log.ts";
import { KvError, type Txn, type TxnResult } from "../kv/key-value-store.ts";
import type { ClusterComponents } from "./cluster-components.ts";

/** How long one call may take before its outcome counts as unknown: longer than a change of leader in etcd. */
export const CALL_TIMEOUT_MS = 3000;
const PAUSE_MS_MIN = 20;
const PAUSE_MS_MAX = 1000;

/** Whether an error leaves open if a write was applied. */
export function isUnknownOutcome(error: unknown): boolean {
  return error instanceof DeadlineError || (error instanceof KvError && error.kind === "unknown");
}

/** Whether an error may be gone at the next try. */
export function isTransient(error: unknown): boolean {
  return isUnknownOutcome(error) || (error instanceof KvError && error.kind === "unavailable");
}

/** What a call is for, and how long its answer is waited for. */
export interface Attempt {
  /** Named in errors and log lines. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Told of each failure after which another try follows. */
  readonly onFailure?: (error: unknown) => void;
}

/** What the log is told of calls without an answer: once for all that use the same components. */
const outages = new WeakMap<ClusterComponents, OutageLog>();

/** The one log of outages of a metadata store. */
export function outageLogOf(components: ClusterComponents): OutageLog {
  const known = outages.get(components);
  if (known) return known;
  const { log, clock } = components;
  const began = "metadata call failed, trying again";
  const made = new OutageLog({ log, clock, began, over: "the metadata store answers again" });
  outages.set(components, made);
  return made;
}

/** One call with a deadline of {@link CALL_TIMEOUT_MS}. */
export function callOnce<T>(
  components: ClusterComponents,
  { what, signal }: Attempt,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return withDeadline(components.clock, CALL_TIMEOUT_MS, what, signal, call);
}

/**
 * Repeats `call` until it answers, with growing pauses. For reads, and for writes that are the same each time.
 * Rejects with the signal's reason when it aborts, and at once with an error that another try would meet again.
 */
export async function untilAnswered<T>(
  components: ClusterComponents,
  attempt: Attempt,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { what, signal } = attempt;
  for (let pauseMs = PAUSE_MS_MIN; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    try {
      const answer = await callOnce(components, attempt, call);
      outageLogOf(components).answered();
      return answer;
    } catch (error) {
      signal.throwIfAborted();
      if (!isTransient(error)) throw error;
      attempt.onFailure?.(error);
      outageLogOf(components).failed(error, { what });
    }
    await sleep(components.clock, pauseMs * (0.5 + components.random.uniform() / 2), signal);
  }
}

/** Repeats one and the same transaction until it is answered. */
export function txnUntilAnswered(components: ClusterComponents, attempt: Attempt, txn: Txn): Promise<TxnResult> {
  return untilAnswered(components, attempt, (signal) => components.kv.txn(txn, { signal }));
}
