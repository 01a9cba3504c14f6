// A wake-up for one loop: whoever changes something rings, the loop looks at everything and waits again. Rings before
// the wait are not lost, and many count as one.
import type { Clock } from "./clock.ts";

/** Rung by many, waited for by one. */
export class Bell {
  readonly #clock: Clock;
  #isRung = false;
  #wake: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the present wait, or else the next one at once. */
  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** Resolves at the next ring, or after `timeoutMs`. Rejects with the signal's reason when it aborts. */
  wait(signal: AbortSignal, timeoutMs?: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (how: () => void) => {
        this.#wake = null;
        this.#isRung = false;
        cancel?.();
        signal.removeEventListener("abort", onAbort);
        how();
      };
      const onAbort = () => end(() => reject(signal.reason));
      const cancel = timeoutMs === undefined ? null : this.#clock.setTimer(timeoutMs, () => end(resolve));
      this.#wake = () => end(resolve);
      if (signal.aborted) onAbort();
      else if (this.#isRung) end(resolve);
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  }
}
