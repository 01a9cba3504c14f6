// Deadlines of requests that nearly always end before: one timer for all of them, so that a request costs no timer.
import type { Clock } from "../host/clock.ts";

/** How late a deadline may be noticed. */
const TICK_MS = 50;

interface Deadline {
  readonly atMs: number;
  readonly fire: () => void;
}

/** A set of deadlines that are looked at every {@link TICK_MS} while there are any. Without any there is no timer. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #pending = new Set<Deadline>();
  #cancelTick: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `fire` once after `delayMs`, or up to 50 ms later, unless the returned function was called before. */
  set(delayMs: number, fire: () => void): () => void {
    const deadline = { atMs: this.#clock.monotonicMs() + Math.max(0, delayMs), fire };
    this.#pending.add(deadline);
    if (!this.#cancelTick) this.#arm();
    return () => {
      this.#pending.delete(deadline);
      if (this.#pending.size > 0) return;
      this.#cancelTick?.();
      this.#cancelTick = undefined;
    };
  }

  #arm(): void {
    this.#cancelTick = this.#clock.setTimer(TICK_MS, () => this.#tick());
  }

  #tick(): void {
    this.#cancelTick = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const deadline of this.#pending) {
      if (deadline.atMs > nowMs) continue;
      this.#pending.delete(deadline);
      deadline.fire();
    }
    if (this.#pending.size > 0 && !this.#cancelTick) this.#arm();
  }
}
