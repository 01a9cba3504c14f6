// Who may read from the network while the broker's byte budget is spent: only the connection with the oldest incomplete
// frame. So memory is bounded, and yet some frame always becomes complete, is served and gives its bytes back.
import type { ByteBudget } from "../host/byte-budget.ts";

/** The order of incomplete frames over all connections of a broker. */
export class ReadTurns {
  readonly #budget: ByteBudget;
  /** Connections with an incomplete frame, the oldest first. */
  readonly #incomplete = new Set<object>();
  /** What ends the wait of a connection early: it has become the oldest. */
  readonly #waiting = new Map<object, () => void>();

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  /** Notes whether `connection` holds part of a frame. A frame begun after another was completed counts as new. */
  note(connection: object, state: "complete" | "same frame" | "new frame"): void {
    if (state === "same frame" && this.#incomplete.has(connection)) return;
    const wasOldest = this.#isOldest(connection);
    this.#incomplete.delete(connection);
    if (state !== "complete") this.#incomplete.add(connection);
    if (!wasOldest) return;
    const [oldest] = this.#incomplete;
    if (oldest) this.#waiting.get(oldest)?.();
  }

  /** Whether `connection` may read now without waiting. */
  mayRead(connection: object): boolean {
    return this.#budget.taken < this.#budget.bytesMax || this.#isOldest(connection);
  }

  /** Resolves when `connection` may read; rejects with the signal's reason when that aborts. */
  async wait(connection: object, signal: AbortSignal): Promise<void> {
    while (!this.mayRead(connection)) {
      signal.throwIfAborted();
      const turn = new AbortController();
      const end = () => turn.abort();
      this.#waiting.set(connection, end);
      signal.addEventListener("abort", end, { once: true });
      await waitForRoom(this.#budget, turn.signal);
      signal.removeEventListener("abort", end);
      this.#waiting.delete(connection);
    }
    signal.throwIfAborted();
  }

  #isOldest(connection: object): boolean {
    const [oldest] = this.#incomplete;
    return oldest === connection;
  }
}

/** Resolves when `budget` has room, in the order of waiting, or when `signal` aborts. */
export function waitForRoom(budget: ByteBudget, signal: AbortSignal): Promise<void> {
  // One byte stands for the place in line. It is given back in the step in which it was granted.
  return budget.take(1, { signal }).then(
    () => budget.give(1),
    () => {},
  );
}
