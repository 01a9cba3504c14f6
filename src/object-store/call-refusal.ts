// What every side of the object store does before it does anything: see whether its caller is still there.
import { ObjectStoreError } from "./object-store.ts";

/** Fails with `unavailable` when the caller gave up before anything was done. */
export function refuseIfAborted(signal: AbortSignal, what: string): void {
  if (!signal.aborted) return;
  throw new ObjectStoreError("unavailable", `${what} was given up before it was begun`, { cause: signal.reason });
}
