// Metrics that nobody scrapes, as tests read them.
import { expect, it } from "vitest";
import { UnexportedMetrics } from "../../src/host/metrics.ts";

it("counts by name and labels, one counter for each", () => {
  const metrics = new UnexportedMetrics();
  metrics.counter("puts_total", "Puts.", { kind: "wal" }).value += 2;
  metrics.counter("puts_total", "Puts.", { kind: "wal" }).value += 1;
  metrics.counter("puts_total", "Puts.").value += 10;
  metrics.gauge();
  metrics.histogram().observe(1);
  expect([...metrics.counters].map(([name, { value }]) => `${name} ${value}`)).toEqual([
    'puts_total{kind="wal"} 3',
    "puts_total 10",
  ]);
});
