// How fast connections may come, in total and per address: counts within windows of one second, so that what is kept
// about addresses is gone a second later.
import type { Clock } from "../host/clock.ts";
import type { KafkaSettings } from "./kafka-settings.ts";

const WINDOW_MS = 1_000;

/** Counts accepted connections. */
export class AcceptRate {
  readonly #clock: Clock;
  readonly #settings: KafkaSettings;
  #windowStartMs = -Infinity;
  #count = 0;
  readonly #countByHost = new Map<string, number>();

  constructor(clock: Clock, settings: KafkaSettings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Counts a connection from `host`; false when it came too fast. */
  admit(host: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#windowStartMs >= WINDOW_MS) {
      this.#windowStartMs = nowMs;
      this.#count = 0;
      this.#countByHost.clear();
    }
    const fromHost = (this.#countByHost.get(host) ?? 0) + 1;
    if (this.#count >= this.#settings.acceptsPerSecondMax || fromHost > this.#settings.acceptsPerSecondPerAddressMax) {
      return false;
    }
    this.#count += 1;
    this.#countByHost.set(host, fromHost);
    return true;
  }
}
