// The real clock: the machine's time and Node's timers.
import type { Clock } from "./clock.ts";

/** Longest delay that one Node timer takes; longer ones are chained. */
const TIMER_MS_MAX = 0x7fff_ffff;

/** Time of this machine. */
export class SystemClock implements Clock {
  wallMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  setTimer(delayMs: number, fire: () => void): () => void {
    // "Now, but after what the loop has in hand": a timer would wait a whole millisecond.
    if (delayMs === 0) {
      const immediate = setImmediate(fire);
      return () => clearImmediate(immediate);
    }
    let timer: NodeJS.Timeout;
    const arm = (remainingMs: number) => {
      const stepMs = Math.min(remainingMs, TIMER_MS_MAX);
      timer = setTimeout(() => (remainingMs > stepMs ? arm(remainingMs - stepMs) : fire()), stepMs);
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  }
}
