// Who may read from the network while the broker's byte budget is spent: only the connection with the oldest incomplete
// frame. So memory is bounded, and yet some frame always becomes complete, is served and gives its bytes back. When
// there is room again, only as many go on at a time as it can hold a read of.
import type { ByteBudget } from "../host/byte-budget.ts";
import type { Clock } from "../host/clock.ts";

/** What one read may make the broker hold: its chunk of 128 KiB, and room for a frame of up to three times that. */
const READ_BYTES = 512 * 1024;
/** How long those whose turn it is are waited for: their clients may have nothing to send. */
const TURN_MS = 2;

/** The order of incomplete frames over all connections of a broker. */
export class ReadTurns {
  readonly #budget: ByteBudget;
  readonly #clock: Clock;
  /** Connections with an incomplete frame, the oldest first. */
  readonly #incomplete = new Set<object>();
  /** What ends the wait of a connection, in the order of waiting. */
  readonly #waiting = new Map<object, () => void>();
  /** Whose turn it is: those whose wait is over and who have read nothing yet. */
  readonly #turn = new Set<object>();
  #onTurnOver: (() => void) | undefined;
  #isLettingOn = false;

  constructor(budget: ByteBudget, clock: Clock) {
    this.#budget = budget;
    this.#clock = clock;
  }

  /**
   * Notes after a read whether `connection` holds part of a frame. A frame begun after another was completed counts as
   * new. The end of a connection counts as "complete".
   */
  note(connection: object, state: "complete" | "same frame" | "new frame"): void {
    if (this.#turn.delete(connection) && this.#turn.size === 0) this.#onTurnOver?.();
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
    return (this.#waiting.size === 0 && this.#budget.taken < this.#budget.bytesMax) || this.#isOldest(connection);
  }

  /** Resolves when `connection` may read; rejects with the signal's reason when that aborts. */
  async wait(connection: object, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.mayRead(connection)) return;
    await new Promise<void>((resolve) => {
      const end = () => {
        signal.removeEventListener("abort", end);
        this.#waiting.delete(connection);
        resolve();
      };
      this.#waiting.set(connection, end);
      signal.addEventListener("abort", end, { once: true });
      void this.#letOn();
    });
    signal.throwIfAborted();
  }

  /** Ends waits as the budget has room for what they will read, until nobody waits. */
  async #letOn(): Promise<void> {
    if (this.#isLettingOn) return;
    this.#isLettingOn = true;
    // Of nobody's: a broker that stops ends every wait, and with it every byte is given back.
    const { signal } = new AbortController();
    while (this.#waiting.size > 0) {
      await waitForRoom(this.#budget, signal);
      // Below nothing where it was taken again in between.
      const roomBytes = this.#budget.bytesMax - this.#budget.taken;
      const count = Math.max(0, Math.ceil(roomBytes / READ_BYTES));
      for (const [connection, end] of [...this.#waiting].slice(0, count)) {
        this.#turn.add(connection);
        end();
      }
      if (this.#turn.size > 0) await this.#turnOver();
    }
    this.#isLettingOn = false;
  }

  /** When all of {@link ReadTurns.#turn} have read, or after {@link TURN_MS}. */
  #turnOver(): Promise<void> {
    return new Promise((resolve) => {
      const over = () => {
        cancel();
        this.#turn.clear();
        this.#onTurnOver = undefined;
        resolve();
      };
      const cancel = this.#clock.setTimer(TURN_MS, over);
      this.#onTurnOver = over;
    });
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
