// Waits until a partition has nothing under way: what a hand-over waits for after appends are refused.
import type { PartitionLog } from "./partition-log.ts";

/** Resolves when nothing of the partition is sealed or waits to be. Rejects with the signal's reason. */
export function untilCommitted(partition: PartitionLog, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (how: () => void) => {
      unsubscribe();
      signal.removeEventListener("abort", onAbort);
      how();
    };
    const onAbort = () => end(() => reject(signal.reason));
    const look = () => {
      if (!partition.hasUncommitted) end(resolve);
    };
    const unsubscribe = partition.subscribe(look);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    look();
  });
}
