// The seam of metrics. Hot paths add to plain numbers; the exporter reads them when it is scraped.

/** A number that only grows. `value` may be changed in place: `metric.value += n`. */
export interface Counter {
  value: number;
}

/** Upper bounds of a histogram's buckets, ascending; a last bucket without bound is implied. */
export interface Histogram {
  observe(value: number): void;
}

/** Where metrics are registered. Names carry their unit and, for counters, `_total` (Prometheus naming). */
export interface Metrics {
  counter(name: string, help: string, labels?: Readonly<Record<string, string>>): Counter;
  /** A value read at each scrape. */
  gauge(name: string, help: string, read: () => number): void;
  histogram(name: string, help: string, buckets: readonly number[]): Histogram;
}

/** Metrics that are counted and never exported: for tests and tools. */
export class UnexportedMetrics implements Metrics {
  /** Counters by name and labels, as `name{a="b"}`. */
  readonly counters = new Map<string, Counter>();

  counter(name: string, _help: string, labels: Readonly<Record<string, string>> = {}): Counter {
    const text = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    const key = text.length === 0 ? name : `${name}{${text.join(",")}}`;
    const known = this.counters.get(key);
    if (known) return known;
    const counter = { value: 0 };
    this.counters.set(key, counter);
    return counter;
  }

  gauge(): void {}

  histogram(): Histogram {
    return { observe: () => {} };
  }
}
