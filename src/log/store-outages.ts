// What the stores of a broker fail at now, for its metrics and for whoever asks why it is not ready.
import type { Metrics } from "../host/metrics.ts";
import type { OutageLog } from "../host/outage-log.ts";

/** What is waited for, by what is told of it. */
export interface OutageLogs {
  readonly metadata: OutageLog;
  readonly puts: OutageLog;
  readonly reads: OutageLog;
  readonly removals: OutageLog;
}

/** The outages of one broker's stores. */
export class StoreOutages {
  readonly #logs: OutageLogs;

  constructor(logs: OutageLogs) {
    this.#logs = logs;
  }

  /** Registers a gauge for each: seconds since the first call that failed with none answered after it, 0 without any. */
  register(metrics: Metrics): void {
    const gauge = (name: string, what: string, log: OutageLog) =>
      metrics.gauge(
        `kafscale_${name}_failing_seconds`,
        `For how long ${what} have failed; 0 if the last one was answered.`,
        () => log.failingForMs / 1000,
      );
    gauge("metadata_store", "calls to the metadata store", this.#logs.metadata);
    gauge("object_store_puts", "puts to the object store", this.#logs.puts);
    gauge("object_store_reads", "reads of the object store", this.#logs.reads);
    gauge("object_store_removals", "removals of objects", this.#logs.removals);
  }

  /** What keeps a broker from serving, a clause each, or nothing: without removals it serves. */
  reasons(): readonly string[] {
    const { metadata, puts, reads } = this.#logs;
    const reason = (what: string, { failingForMs, lastError }: OutageLog) =>
      failingForMs === 0 ? [] : [`${what} for ${Math.round(failingForMs / 1000)} s (${lastError})`];
    return [
      ...reason("the metadata store has answered no call", metadata),
      ...reason("the object store has taken no put", puts),
      ...reason("the object store has answered no read", reads),
    ];
  }
}
