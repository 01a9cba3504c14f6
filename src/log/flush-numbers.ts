// Which flushes of which sessions hold unreconciled extents of a shard: what decides how long `prev` needs a session.
import { invariant } from "../invariant.ts";
import type { Extent } from "./extents.ts";

interface SessionFlushes {
  /** Extents by flush number, none of them 0. */
  readonly counts: Map<number, number>;
  /** Every key of `counts`, and some that were; in order unless `isSorted` says otherwise. */
  numbers: number[];
  isSorted: boolean;
}

/** Flush numbers by session. */
export class FlushNumbers {
  readonly #sessions = new Map<string, SessionFlushes>();

  /** Notes where an extent lies. */
  add({ sessionId, flush }: Extent): void {
    let known = this.#sessions.get(sessionId);
    if (!known) {
      known = { counts: new Map(), numbers: [], isSorted: true };
      this.#sessions.set(sessionId, known);
    }
    const count = known.counts.get(flush) ?? 0;
    known.counts.set(flush, count + 1);
    if (count > 0) return;
    if (flush < (known.numbers.at(-1) ?? 0)) known.isSorted = false;
    known.numbers.push(flush);
  }

  /** Forgets one extent that was added. */
  remove({ sessionId, flush }: Extent): void {
    const known = this.#sessions.get(sessionId);
    const count = known?.counts.get(flush);
    invariant(known && count, `flush ${flush} of session ${sessionId} holds no pending extent that could leave`);
    if (count > 1) {
      known.counts.set(flush, count - 1);
      return;
    }
    known.counts.delete(flush);
    if (known.counts.size === 0) this.#sessions.delete(sessionId);
    else if (known.counts.size * 2 < known.numbers.length) {
      known.numbers = [...known.counts.keys()].sort((a, b) => a - b);
      known.isSorted = true;
    }
  }

  /** The lowest flush of a session within [from, to] that holds an extent. */
  lowest(sessionId: string, from = 1, to = Number.MAX_SAFE_INTEGER): number | undefined {
    const known = this.#sessions.get(sessionId);
    if (!known) return undefined;
    if (!known.isSorted) {
      known.numbers.sort((a, b) => a - b);
      known.isSorted = true;
    }
    const found = known.numbers.find((flush) => flush >= from && known.counts.has(flush));
    return found !== undefined && found <= to ? found : undefined;
  }
}
