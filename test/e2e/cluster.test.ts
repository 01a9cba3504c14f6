// Three brokers, one bucket, one etcd, under load: killed, frozen, restarted one by one and all at once, with the stores
// stopped under them. Nothing acknowledged is lost, stored twice, moved or out of order, and every pause has its limit.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { BrokerProcess } from "./broker-process.ts";
import { Cluster } from "./cluster.ts";
import {
  expectGapsWithin,
  expectNothingHarmed,
  runScenario,
  type Scenario,
  type ScenarioOutcome,
} from "./cluster-scenario.ts";
import { readBack } from "./history-check.ts";
import { describeWithTools } from "./tools.ts";

/** What every client says when a leader moves or a broker is not there for a moment, however gently that happens. */
const saidOfEveryRestart =
  /not the leader for that topic-partition|ECONNREFUSED|ECONNRESET|EPIPE|Closed connection|Connection refused|Disconnected/;

/** What brokers may warn of when such things are done to them. */
const expectedWarnings = [
  "a peer refuses connections and is fenced",
  "a watch broke, listing again",
  // What a group decided when its partition was on its way out: its new coordinator never saw it.
  "group is read again after a failed write",
  "keep-alive failed",
  "metadata call failed, trying again",
  "put failed",
  "session ends",
  "these variables are set and not read",
];

describeWithTools("a cluster of three brokers", ["etcd", "kafka", "kcat", "python", "versitygw"], () => {
  let cluster: Cluster;
  const outcomes: ScenarioOutcome[] = [];
  beforeAll(async () => {
    cluster = await Cluster.start({ brokerCount: 3 });
  });
  afterAll(async () => {
    await cluster?.stop();
  });

  async function run(scenario: Scenario): Promise<ScenarioOutcome> {
    const outcome = await runScenario(cluster, scenario);
    outcomes.push(outcome);
    return outcome;
  }

  function someBroker(): BrokerProcess {
    const broker = cluster.brokers[Math.floor(Math.random() * cluster.brokers.length)];
    if (!broker) throw new Error("there is no broker");
    return broker;
  }

  /** How many sessions the brokers have registered in their lives so far. */
  function sessionCounts(): readonly number[] {
    return cluster.brokers.map(({ output }) => output.split('"msg":"session serves"').length - 1);
  }

  it("takes over from a broker that is killed within 3 s, and gives back when it returns", async () => {
    const broker = someBroker();
    const outcome = await run({
      name: "kill -9 of one",
      fault: async ({ untilWritable, untilBalanced }) => {
        await broker.killHard();
        await untilWritable(20_000);
        await broker.restart();
        await untilBalanced();
      },
    });
    expectGapsWithin(outcome, 3_000);
  });

  it("hands over within 1 s when its brokers are stopped and started one after the other, groups included", async () => {
    let assignmentCount = 0;
    const outcome = await run({
      name: "rolling restart",
      isGroupReading: true,
      fault: async ({ group, untilBalanced }) => {
        assignmentCount = group?.assignmentCount ?? 0;
        for (const broker of cluster.brokers) {
          expect(await broker.stop()).toBe(0);
          await broker.restart();
          await untilBalanced();
        }
      },
    });
    expectGapsWithin(outcome, 1_000);
    const { streams, group } = outcome;
    expect(group?.assignmentCount).toBe(assignmentCount);
    const warnings = [...streams.flatMap((stream) => stream.warnings), ...(group?.warnings ?? [])];
    expect(warnings.filter((line) => !saidOfEveryRestart.test(line))).toEqual([]);
  });

  it("goes on within 13 s without a broker that is frozen, which acknowledges nothing when it wakes", async () => {
    const broker = someBroker();
    const outcome = await run({
      name: "a freeze beyond the lease",
      fault: async ({ untilWritable, untilBalanced }) => {
        const wakeAtMs = Date.now() + 16_000;
        broker.program.signal("SIGSTOP");
        await untilWritable(20_000);
        await sleep(wakeAtMs - Date.now());
        broker.program.signal("SIGCONT");
        await untilBalanced();
      },
    });
    expectGapsWithin(outcome, 13_000);
    expect(broker.program.hasEnded).toBe(false);
    expect(broker.program.stdout).toMatch(/"msg":"session ends"[^]*"msg":"session serves"/);
  });

  it("keeps everything when all brokers are killed at once", async () => {
    await run({
      name: "kill -9 of all",
      fault: async ({ untilWritable, untilBalanced }) => {
        await Promise.all(cluster.brokers.map((broker) => broker.killHard()));
        await Promise.all(cluster.brokers.map((broker) => broker.restart()));
        await untilWritable(20_000);
        await untilBalanced();
      },
    });
  });

  it("waits for etcd when it is killed and started again, and ends no session", async () => {
    const before = sessionCounts();
    await run({
      name: "restart of etcd",
      fault: async ({ untilWritable }) => {
        await cluster.etcd.killHard();
        await cluster.etcd.restart();
        await untilWritable(20_000);
      },
    });
    expect(sessionCounts()).toEqual(before);
  });

  it("waits for the bucket when its server is away for 10 s, and ends no session", async () => {
    const before = sessionCounts();
    const outcome = await run({
      name: "S3 away for 10 s",
      fault: async ({ untilWritable }) => {
        await cluster.s3.killHard();
        await sleep(10_000);
        await cluster.s3.restart();
        await untilWritable(30_000);
      },
    });
    expectGapsWithin(outcome, 15_000);
    expect(sessionCounts()).toEqual(before);
  });

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
