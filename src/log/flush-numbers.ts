// Which flushes of which sessions hold unreconciled extents of a shard: what decides how long `prev` needs a session.
import type { Extent } from "./extents.ts";

interface SessionFlushes {
  /** May hold a number twice, and be out of order, until it is asked for. */
  numbers: number[];
  isSorted: boolean;
}

/** Flush numbers by session. */
export class FlushNumbers {
  readonly #sessions = new Map<string, SessionFlushes>();

  /** Notes where an extent lies. */
  add(extent: Extent): void {
    const known = this.#sessions.get(extent.sessionId);
    if (!known) {
      this.#sessions.set(extent.sessionId, { numbers: [extent.flush], isSorted: true });
      return;
    }
    const last = known.numbers.at(-1) ?? 0;
    if (extent.flush === last) return;
    if (extent.flush < last) known.isSorted = false;
    known.numbers.push(extent.flush);
  }

  /** The lowest flush of a session within [from, to] that holds an extent. */
  lowest(sessionId: string, from = 1, to = Number.MAX_SAFE_INTEGER): number | undefined {
    const known = this.#sessions.get(sessionId);
    if (!known) return undefined;
    if (!known.isSorted) {
      known.numbers.sort((a, b) => a - b);
      known.isSorted = true;
    }
    const found = known.numbers.find((flush) => flush >= from);
    return found !== undefined && found <= to ? found : undefined;
  }
}
