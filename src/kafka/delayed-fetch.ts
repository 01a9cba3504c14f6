// The wait of a Fetch that has too little to answer: for news of its partitions, for its time to be over, or for the end
// of its connection. Nothing is polled; many wakes in one step cause one look.
import type { Clock } from "../host/clock.ts";

/** Something that tells when to look again, as a partition's log does. */
export interface WakeSource {
  subscribe(wake: () => void): () => void;
}

/** What a {@link waitForNews} waits for. */
export interface NewsWait {
  readonly clock: Clock;
  readonly sources: readonly WakeSource[];
  /** Looks at the present state: true ends the wait. */
  readonly isReady: () => boolean;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/** Resolves when `isReady` or after `waitMs`; rejects with the signal's reason when that aborts. */
export function waitForNews(wait: NewsWait): Promise<void> {
  const { clock, sources, isReady, waitMs, signal } = wait;
  return new Promise((resolve, reject) => {
    const unsubscribes: (() => void)[] = [];
    let isOver = false;
    let isLookDue = false;
    const finish = (settle: () => void) => {
      if (isOver) return;
      isOver = true;
      cancelTimer();
      signal.removeEventListener("abort", onAbort);
      for (const unsubscribe of unsubscribes) unsubscribe();
      settle();
    };
    const onAbort = () => finish(() => reject(signal.reason));
    const look = () => {
      isLookDue = false;
      if (isOver) return;
      try {
        if (isReady()) finish(resolve);
      } catch (error) {
        finish(() => reject(error));
      }
    };
    const wake = () => {
      if (isLookDue) return;
      isLookDue = true;
      queueMicrotask(look);
    };
    const cancelTimer = clock.setTimer(waitMs, () => finish(resolve));
    for (const source of sources) unsubscribes.push(source.subscribe(wake));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}
