// Three brokers, one bucket, one etcd, under load, broken in every way of `cluster-scenarios.ts` in its short form. Nothing
// acknowledged is lost, stored twice, moved or out of order, and every pause has its limit.
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster } from "./cluster.ts";
import { expectNothingHarmed, runScenario, type ScenarioOutcome } from "./cluster-scenario.ts";
import { clusterScenarios } from "./cluster-scenarios.ts";
import { expectedWarnings } from "./expected-warnings.ts";
import { readBack } from "./history-check.ts";
import { describeWithTools } from "./tools.ts";

const tools = ["etcd", "faketime", "kafka", "kcat", "python", "versitygw"] as const;

describeWithTools("a cluster of three brokers", tools, () => {
  let cluster: Cluster;
  const outcomes: ScenarioOutcome[] = [];
  beforeAll(async () => {
    cluster = await Cluster.start({ brokerCount: 3 });
  });
  afterAll(async () => {
    await cluster?.stop();
  });

  for (const scenario of clusterScenarios) {
    it(scenario.promise, async () => {
      const topic = scenario.name.replaceAll(/[^A-Za-z0-9]+/g, "-");
      const outcome = await runScenario(cluster, scenario, { isFull: false, random: Math.random, topic });
      outcomes.push(outcome);
      scenario.expectAfter?.(outcome);
    });
  }

  it("has every topic of all of this as it was read before", async () => {
    expect(outcomes.length).toBeGreaterThan(0);
    for (const { topic, streams, foundCount } of outcomes) {
      const found = await readBack(cluster.bootstrap, topic);
      expectNothingHarmed(streams, found);
      expect(found).toHaveLength(foundCount);
    }
  });

  it("crashed nowhere, and warned of nothing but the faults", () => {
    const lines = cluster.brokers.flatMap(({ output }) => output.split("\n"));
    const isExpected = (line: string) =>
      line === "" || line.includes('"level":"info"') || expectedWarnings.some((message) => line.includes(message));
    expect(lines.filter((line) => !isExpected(line))).toEqual([]);
  });
});
