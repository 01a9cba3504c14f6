// Signals that abort as those of Node do, without an EventTarget below them: a broker makes one for every call it sends,
// and Node's were a tenth of the processor time of a schedule. They know the event "abort" alone, and fire it once.

type Listener = () => void;

/** What a sealed world has for `AbortSignal`: listeners in the order in which they came, each told once at most. */
class SealedAbortSignal {
  aborted = false;
  reason: unknown = undefined;
  #listeners: Set<Listener> | undefined;

  addEventListener(_type: "abort", listener: Listener): void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: Listener): void {
    this.#listeners?.delete(listener);
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  /** As `setMaxListeners` of node:events asks of what is no EventTarget. */
  setMaxListeners(): void {}

  /** Told by {@link SealedAbortController} alone. */
  end(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    // One that is removed while the others are told is not told: a set that is walked leaves it out.
    for (const listener of this.#listeners ?? []) tell(listener);
    this.#listeners = undefined;
  }
}

/** What a listener throws ends the process, as in Node, and keeps no other from being told. */
function tell(listener: Listener): void {
  try {
    listener();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

/** What a sealed world has for `AbortController`. */
export class SealedAbortController {
  readonly signal = new SealedAbortSignal();

  /** Aborts the signal, once. @param reason an AbortError unless told */
  abort(reason: unknown = new DOMException("This operation was aborted", "AbortError")): void {
    this.signal.end(reason);
  }
}
