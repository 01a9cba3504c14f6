// The seam of time. Wall time is for people and record timestamps only: no safety decision reads it.

/** Where time comes from. The real side is `SystemClock` in `system-clock.ts`; simulations pass a virtual one. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump in both directions. */
  wallMs(): number;
  /** Milliseconds since an arbitrary start, never going back; fractions allowed. */
  monotonicMs(): number;
  /** Calls `fire` once after `delayMs` (>= 0) unless the returned function was called before. */
  setTimer(delayMs: number, fire: () => void): () => void;
}

/** Waits `delayMs` on `clock`. Rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.setTimer(delayMs, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** Why a wait ended that had a deadline: the outcome of what was waited for is unknown. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

/**
 * Runs `work` with a signal that aborts when `signal` does or after `timeoutMs`, with a {@link DeadlineError} as reason.
 * The promise rejects at the deadline even when `work` ignores its signal.
 */
export async function withDeadline<T>(
  clock: Clock,
  timeoutMs: number,
  what: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const cancel = clock.setTimer(timeoutMs, () =>
    controller.abort(new DeadlineError(`${what} had no answer after ${timeoutMs} ms`)),
  );
  try {
    return await new Promise<T>((resolve, reject) => {
      controller.signal.addEventListener("abort", () => reject(controller.signal.reason), { once: true });
      work(controller.signal).then(resolve, reject);
    });
  } finally {
    cancel();
    signal.removeEventListener("abort", onAbort);
  }
}
