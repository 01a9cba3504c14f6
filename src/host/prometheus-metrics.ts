// The real metrics, on prom-client. A counter is a plain number that the registry reads when it is scraped, because one
// `inc` of the library costs as much as parsing a small request.
import {
  collectDefaultMetrics,
  Gauge,
  Counter as PrometheusCounter,
  Histogram as PrometheusHistogram,
  Registry,
} from "prom-client";
import { invariant } from "../invariant.ts";
import type { Counter, Histogram, Metrics } from "./metrics.ts";

type Labels = Readonly<Record<string, string>>;

/** Gauges of the library whose names end in `_total`, which Prometheus keeps for counters. */
const misnamedGauges = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

/**
 * The library watches the delay of the event loop by a timer that wakes an idle process this often, 10 ms unless told, for
 * a fifth of a percent of a core. The figure that it takes at each scrape needs no timer.
 */
const EVENT_LOOP_WAKE_MS = 1_000_000_000;
const timedByEventLoop = ["min", "max", "mean", "stddev", "p50", "p90", "p99"].map(
  (what) => `nodejs_eventloop_lag_${what}_seconds`,
);

/** A registry of its own, ready to be scraped. */
export class PrometheusMetrics implements Metrics {
  readonly #registry = new Registry();
  /** The series of each counter by name; all of a name have the same label names. */
  readonly #series = new Map<string, { readonly labels: Labels; readonly counter: Counter }[]>();

  /** Value of the header `content-type` of {@link exposition}. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Adds what Node knows of itself: memory, garbage collection, delay of the event loop, open files. */
  addProcessMetrics(): void {
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: EVENT_LOOP_WAKE_MS });
    for (const name of [...misnamedGauges, ...timedByEventLoop]) this.#registry.removeSingleMetric(name);
  }

  /** Every metric in Prometheus' text format. */
  exposition(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Series of one name and label set are one counter, however often they are asked for. */
  counter(name: string, help: string, labels: Labels = {}): Counter {
    const series = this.#series.get(name) ?? this.#register(name, help, Object.keys(labels));
    const known = series.find((one) => isSameLabels(one.labels, labels));
    if (known) return known.counter;
    const counter = { value: 0 };
    series.push({ labels, counter });
    return counter;
  }

  gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({ name, help, registers: [this.#registry], collect: () => gauge.set(read()) });
  }

  histogram(name: string, help: string, buckets: readonly number[]): Histogram {
    return new PrometheusHistogram({ name, help, buckets: [...buckets], registers: [this.#registry] });
  }

  #register(name: string, help: string, labelNames: string[]) {
    invariant(name.endsWith("_total"), `counter ${name} does not end in _total`);
    const series: { readonly labels: Labels; readonly counter: Counter }[] = [];
    this.#series.set(name, series);
    const published = new PrometheusCounter({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect: () => {
        published.reset();
        for (const { labels, counter } of series) published.inc(labels, counter.value);
      },
    });
    return series;
  }
}

function isSameLabels(left: Labels, right: Labels): boolean {
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every((name) => left[name] === right[name]);
}
