// A bound on bytes held at once: who wants to hold more waits in line. Waiters are served strictly in order, so that a
// large one is not starved by small ones.
import { invariant } from "../invariant.ts";

interface Waiter {
  readonly bytes: number;
  readonly grant: () => void;
}

/** A budget of bytes. Each byte taken is given back once. */
export class ByteBudget {
  /** Upper bound of `taken`, but for what was forced. */
  readonly bytesMax: number;
  /** Bytes given out. Never negative; above `bytesMax` only by {@link force}. */
  #taken = 0;
  readonly #waiting: Waiter[] = [];

  constructor(bytesMax: number) {
    invariant(bytesMax > 0, `a budget of ${bytesMax} bytes`);
    this.bytesMax = bytesMax;
  }

  /** Bytes that are held now. */
  get taken(): number {
    return this.#taken;
  }

  /** How many callers of {@link take} wait. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Takes `bytes` if they are free and nobody waits for room. */
  tryTake(bytes: number): boolean {
    invariant(bytes >= 0, `${bytes} bytes to take`);
    if (this.#waiting.length > 0 || this.#taken + bytes > this.bytesMax) return false;
    this.#taken += bytes;
    return true;
  }

  /** Takes `bytes` (at most the whole budget) when it is their turn. Rejects with the signal's reason, taking nothing. */
  take(bytes: number, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    invariant(bytes <= this.bytesMax, `${bytes} bytes can never be had from a budget of ${this.bytesMax}`);
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.tryTake(bytes)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason);
        this.#grantInOrder();
      };
      const grant = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const waiter = { bytes, grant };
      this.#waiting.push(waiter);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /**
   * Takes `bytes` at once, over the bound if need be: the one way past it. It is for the oldest incomplete frame alone;
   * without it, frames that each hold a part of the budget would wait for one another for ever. Nobody else is served
   * until the overdraft is paid back.
   */
  force(bytes: number): void {
    invariant(bytes >= 0, `${bytes} bytes to force`);
    this.#taken += bytes;
  }

  /** Gives back `bytes` and serves who waits. */
  give(bytes: number): void {
    invariant(bytes >= 0 && bytes <= this.#taken, `${bytes} bytes given back of ${this.#taken} taken`);
    this.#taken -= bytes;
    this.#grantInOrder();
  }

  #grantInOrder(): void {
    for (;;) {
      const first = this.#waiting[0];
      if (!first || this.#taken + first.bytes > this.bytesMax) return;
      this.#waiting.shift();
      this.#taken += first.bytes;
      first.grant();
    }
  }
}
