// Brokers break, move shards and remove objects while the cluster is verified and repaired: nothing is told that is not so.
import { setMaxListeners } from "node:events";
import { beforeAll, expect, it } from "vitest";
import { runSchedule } from "./schedule.ts";

beforeAll(() => setMaxListeners(0));

it.each(["7001v", "b7003v", "b7004v"])(
  "tells of nothing lost, and takes nothing that is needed, in seed %s",
  async (seed) => {
    const report = await runSchedule(seed);
    expect(report.violations).toEqual([]);
    expect(report.events.get("verifications")).toBeGreaterThan(0);
  },
);
