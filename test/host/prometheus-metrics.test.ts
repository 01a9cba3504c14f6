// The metrics as a scrape shows them.
import { expect, it } from "vitest";
import { PrometheusMetrics } from "../../src/host/prometheus-metrics.ts";

it("shows each series of a counter as it stands at the scrape, and what gauges read then", async () => {
  const metrics = new PrometheusMetrics();
  const put = metrics.counter("requests_total", "Requests by kind.", { kind: "put" });
  metrics.counter("requests_total", "Requests by kind.", { kind: "get" }).value = 2;
  let open = 1;
  metrics.gauge("connections", "Open connections.", () => open);
  put.value += 41;
  metrics.counter("requests_total", "Requests by kind.", { kind: "put" }).value++;
  open = 5;
  for (let scrape = 0; scrape < 2; scrape++) {
    const text = await metrics.exposition();
    expect(text).toContain('requests_total{kind="put"} 42\n');
    expect(text).toContain('requests_total{kind="get"} 2\n');
    expect(text).toContain("connections 5\n");
  }
  expect(metrics.contentType).toContain("text/plain");
});

it("shows histograms with their buckets", async () => {
  const metrics = new PrometheusMetrics();
  const seconds = metrics.histogram("flush_seconds", "Duration of flushes.", [0.1, 1]);
  for (const value of [0.05, 0.5, 5]) seconds.observe(value);
  const text = await metrics.exposition();
  expect(text).toContain('flush_seconds_bucket{le="0.1"} 1\n');
  expect(text).toContain('flush_seconds_bucket{le="+Inf"} 3\n');
});

it("names only counters with _total, those of the process included", async () => {
  const metrics = new PrometheusMetrics();
  metrics.addProcessMetrics();
  const text = await metrics.exposition();
  expect(text).toContain("process_resident_memory_bytes");
  // Taken at the scrape. Those that a timer takes would wake an idle process a hundred times a second.
  expect(text).toContain("nodejs_eventloop_lag_seconds");
  expect(text).not.toContain("nodejs_eventloop_lag_mean_seconds");
  for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    if (name?.endsWith("_total")) expect([name, type]).toEqual([name, "counter"]);
  }
  expect(() => metrics.counter("requests", "Requests.")).toThrow("_total");
});
