import { setMaxListeners } from "node:events";
import { beforeAll, describe, expect, it } from "vitest";
import { runSchedule } from "./schedule.ts";
import type { Swarm } from "./swarm.ts";

describe("a simulated broker", () => {
  beforeAll(() => setMaxListeners(0));

  it("breaks no rule under crashes, pauses, lost and late calls, and converges afterwards", async () => {
    const seeds = ["2001", "2002"];
    const acks: number[] = [];
    for (const seed of seeds) {
      const report = await runSchedule(seed);
      expect(report.violations, `seed ${seed}`).toEqual([]);
      expect(report.virtualMs).toBeGreaterThan(45_000);
      acks.push(report.events.get("acks") ?? 0);
    }
    expect(Math.min(...acks)).toBeGreaterThan(0);
  });

  it("breaks no rule with three brokers that also give shards, restart in order and leave", async () => {
    const threeBrokers = (swarm: Swarm): Swarm => ({ ...swarm, brokerCount: 3, firstBrokerCount: 2 });
    const report = await runSchedule("2005", { adjust: threeBrokers });
    expect(report.violations).toEqual([]);
    expect(report.events.get("hand-overs with a section")).toBeGreaterThan(0);
    expect(report.events.get("acks")).toBeGreaterThan(0);
  });

  it("does the same again under the same seed, and something else under another", async () => {
    const [first, second, other] = [await runSchedule("7"), await runSchedule("7"), await runSchedule("8")];
    expect(second.traceHash).toBe(first.traceHash);
    expect(second.eventCount).toBe(first.eventCount);
    expect(other.traceHash).not.toBe(first.traceHash);
  });

  it("makes the same decisions whatever the wall clock does", async () => {
    // The same events in both, so that the order of what happens at one instant is drawn alike.
    const run = (wallJumpMs: number) =>
      runSchedule("11", {
        adjust: (swarm) => ({ ...swarm, environment: { ...swarm.environment, wallJumpEveryMs: 2_000, wallJumpMs } }),
      });
    const steady = await run(0);
    const jumping = await run(50 * 60_000);
    expect(jumping.events.get("wall clock jumps")).toBeGreaterThan(5);
    expect(jumping.violations).toEqual([]);
    expect(jumping.decisionHash).toBe(steady.decisionHash);
  });
});
