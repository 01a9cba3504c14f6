// Background work that belongs to somebody: started by name, ended and joined by `stop`. Nothing floats.
import { brokenInvariant } from "../invariant.ts";
import { longLivedController } from "./abort.ts";
import type { Log } from "./log.ts";

/** The reason with which a group's signal aborts when it is stopped. */
export class StoppedError extends Error {
  override readonly name = "StoppedError";
}

/**
 * A set of running tasks with one signal. A task that fails for another reason than the stop is reported once to
 * `onFailure`, which decides what that means; it never goes unnoticed.
 */
export class TaskGroup {
  readonly #controller = longLivedController();
  readonly #running = new Set<Promise<void>>();
  readonly #log: Log;
  readonly #onFailure: (name: string, error: unknown) => void;

  constructor(log: Log, onFailure: (name: string, error: unknown) => void) {
    this.#log = log;
    this.#onFailure = onFailure;
  }

  /** Aborts when the group stops. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** How many tasks have not ended yet. */
  get runningCount(): number {
    return this.#running.size;
  }

  /** Starts `run` now. */
  spawn(name: string, run: (signal: AbortSignal) => Promise<void>): void {
    const task = run(this.signal).then(
      () => undefined,
      (error: unknown) => {
        // What a task says after the stop is its farewell, except for a broken invariant.
        if (this.signal.aborted && !brokenInvariant(error)) return;
        this.#log.error("task failed", { task: name, error });
        this.#onFailure(name, error);
      },
    );
    this.#running.add(task);
    void task.then(() => this.#running.delete(task));
  }

  /** Tells every task to end, without waiting: for owners that die rather than close. */
  abort(reason: Error = new StoppedError("the task group was stopped")): void {
    this.#controller.abort(reason);
  }

  /** Ends every task and waits for the last one. */
  async stop(): Promise<void> {
    this.abort();
    await Promise.all(this.#running);
  }
}
