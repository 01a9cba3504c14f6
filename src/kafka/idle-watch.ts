// The deadlines of a connection: a frame that stopped arriving, a peer that asks nothing, a peer that takes nothing.
// One timer, re-armed only when a nearer deadline appears: nothing is scheduled per frame.
import type { Clock } from "../host/clock.ts";
import { ConnectionEndError } from "./connection-end.ts";
import type { KafkaSettings } from "./kafka-settings.ts";

/** Watches one connection. Waits that this broker causes (a spent budget, requests under way) are never held against it. */
export class IdleWatch {
  readonly #clock: Clock;
  readonly #settings: KafkaSettings;
  readonly #end: (error: ConnectionEndError) => void;
  #cancel: (() => void) | undefined;
  /** When the armed timer fires; Infinity when none is. */
  #armedForMs = Infinity;
  /** Since when the connection waits for bytes of the client, undefined when it does not read. */
  #readingSinceMs: number | undefined;
  #hasPartialFrame = false;
  /** Since when the transport has taken nothing of what is being sent. */
  #writingSinceMs: number | undefined;
  #requestsInFlight = 0;
  /** The end that is decided and waits for the last answers, and how long it may. */
  #ending: { readonly error: ConnectionEndError; readonly deadlineMs: number } | undefined;

  constructor(clock: Clock, settings: KafkaSettings, end: (error: ConnectionEndError) => void) {
    this.#clock = clock;
    this.#settings = settings;
    this.#end = end;
  }

  /** Begins to watch. */
  start(): void {
    this.#arm();
  }

  /** Ends the watch; its timer is gone. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#armedForMs = -Infinity;
  }

  /** The connection waits for bytes from now on. */
  reading(hasPartialFrame: boolean): void {
    this.#readingSinceMs = this.#clock.monotonicMs();
    this.#hasPartialFrame = hasPartialFrame;
    if (hasPartialFrame) this.#arm();
  }

  /** Bytes came, or the connection is not read for now. */
  notReading(): void {
    this.#readingSinceMs = undefined;
  }

  /** Part of an answer is handed to the transport. */
  writing(): void {
    this.#writingSinceMs = this.#clock.monotonicMs();
    this.#arm();
  }

  /** The transport took everything. */
  notWriting(): void {
    this.#writingSinceMs = undefined;
  }

  /** How many requests are not answered: with one, a silent client is not idle. */
  inFlight(requestCount: number): void {
    // A request that is answered ends a time of activity: the idle time starts over.
    if (requestCount === 0 && this.#readingSinceMs !== undefined) this.#readingSinceMs = this.#clock.monotonicMs();
    this.#requestsInFlight = requestCount;
  }

  /** The connection ends with `error` when its last answers are sent, or when they take too long. */
  ending(error: ConnectionEndError): void {
    this.#ending ??= { error, deadlineMs: this.#clock.monotonicMs() + this.#settings.writeStallMs };
    this.#arm();
  }

  #deadlineMs(): number {
    const { partialFrameIdleMs, connectionIdleMs, writeStallMs } = this.#settings;
    let deadlineMs = this.#clock.monotonicMs() + connectionIdleMs;
    if (this.#readingSinceMs !== undefined && this.#requestsInFlight === 0) {
      deadlineMs = this.#readingSinceMs + connectionIdleMs;
    }
    if (this.#readingSinceMs !== undefined && this.#hasPartialFrame) {
      deadlineMs = Math.min(deadlineMs, this.#readingSinceMs + partialFrameIdleMs);
    }
    if (this.#writingSinceMs !== undefined) deadlineMs = Math.min(deadlineMs, this.#writingSinceMs + writeStallMs);
    return this.#ending ? Math.min(deadlineMs, this.#ending.deadlineMs) : deadlineMs;
  }

  #arm(): void {
    const deadlineMs = this.#deadlineMs();
    if (this.#armedForMs <= deadlineMs) return;
    this.#cancel?.();
    this.#armedForMs = deadlineMs;
    const delayMs = Math.max(0, deadlineMs - this.#clock.monotonicMs());
    this.#cancel = this.#clock.setTimer(delayMs, () => this.#check());
  }

  #check(): void {
    this.#armedForMs = Infinity;
    this.#cancel = undefined;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#deadlineMs()) {
      this.#arm();
      return;
    }
    const { partialFrameIdleMs, writeStallMs, connectionIdleMs } = this.#settings;
    if (this.#ending && nowMs >= this.#ending.deadlineMs) {
      this.#end(this.#ending.error);
    } else if (this.#writingSinceMs !== undefined && nowMs >= this.#writingSinceMs + writeStallMs) {
      this.#end(new ConnectionEndError("stalled", `the client took nothing of an answer for ${writeStallMs} ms`));
    } else if (this.#hasPartialFrame) {
      this.#end(new ConnectionEndError("partial frame", `a frame got no further byte for ${partialFrameIdleMs} ms`));
    } else {
      this.#end(new ConnectionEndError("idle", `the client asked nothing for ${connectionIdleMs} ms`));
    }
  }
}
