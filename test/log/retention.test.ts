// What retention takes away: by age and by size, as a table and in a log; and what it leaves alone.
import fc from "fast-check";
import { expect, it } from "vitest";
import { embeddedLogSettings } from "../../src/log/log-settings.ts";
import { retentionOffset } from "../../src/log/retention.ts";
import { batchOf, type LogProcess, LogWorld } from "./log-world.ts";

const { signal } = new AbortController();
const SECOND_MS = 1_000;

function stored(list: readonly (readonly [maxTimestampMs: number, bytes: number])[]) {
  const units = list.map(([maxTimestampMs, bytes], index) => {
    return { baseOffset: index, endOffset: index + 1, maxTimestampMs, bytes };
  });
  return { bytes: units.reduce((sum, { bytes }) => sum + bytes, 0), units: () => units };
}

it.each([
  ["nothing without limits", -1, -1, undefined],
  ["what is older than the age", 50, -1, 2],
  ["not what is exactly as old", 90, -1, undefined],
  ["everything that is old enough", 0, -1, 2],
  ["the oldest while enough is left without it", -1, 30, 2],
  ["nothing that is needed for the size", -1, 31, 1],
  ["all for a size of nothing", -1, 0, 4],
  ["by age first and by size what is left", 85, 25, 2],
])("takes %s", (_what, retentionMs, retentionBytes, offset) => {
  const log = stored([
    [10, 10],
    [40, 10],
    [100, 10],
    [20, 20],
  ]);
  expect(retentionOffset(log, { retentionMs, retentionBytes }, 100)).toBe(offset);
});

it("leaves at least the size, and takes no unit that has no timestamp for its age", () => {
  const unit = fc.tuple(fc.integer({ min: -1, max: 100 }), fc.integer({ min: 1, max: 50 }));
  fc.assert(
    fc.property(fc.array(unit), fc.nat(300), (list, retentionBytes) => {
      const offset = retentionOffset(stored(list), { retentionMs: -1, retentionBytes }, 1_000) ?? 0;
      const total = list.reduce((sum, [, bytes]) => sum + bytes, 0);
      const left = list.slice(offset).reduce((sum, [, bytes]) => sum + bytes, 0);
      expect(left).toBeGreaterThanOrEqual(Math.min(total, retentionBytes));
      const next = list[offset]?.[1] ?? 0;
      expect(left - next).toBeLessThan(Math.max(1, retentionBytes));
      const byAge = retentionOffset(stored(list), { retentionMs: 0, retentionBytes: -1 }, 1_000) ?? 0;
      const firstWithout = list.findIndex(([maxTimestampMs]) => maxTimestampMs < 0);
      expect(byAge).toBe(firstWithout < 0 ? list.length : firstWithout);
    }),
  );
});

async function topicWith(process: LogProcess, name: string, configs: Readonly<Record<string, string>>): Promise<void> {
  const topic = { name, partitionCount: 1, configs: new Map(Object.entries(configs)) };
  await process.world.complete(process.topics.create(topic, { signal }));
}

it("cuts segments and pending records by the topic's settings, through restarts, and only where the policy says so", async () => {
  const world = new LogWorld();
  const reconcile = { ...embeddedLogSettings.reconcile, intervalMs: 200, pendingAgeMs: SECOND_MS, groupBytes: 0 };
  const settings = { reconcile, retentionIntervalMs: 5 * SECOND_MS };
  let process = await world.start(settings);
  await topicWith(process, "minute", { "retention.ms": String(60 * SECOND_MS) });
  await topicWith(process, "kept", { "retention.ms": "-1" });
  await topicWith(process, "compact", { "retention.ms": "100", "cleanup.policy": "compact" });
  await topicWith(process, "small", { "retention.bytes": "100" });
  const names = ["minute", "kept", "compact", "small"];
  const appendNow = async () => {
    for (const name of names) {
      await world.complete(process.partition(name).append(batchOf(["a"], {}, world.clock.wallMs())));
    }
  };
  await appendNow();
  await world.pass(30 * SECOND_MS);
  await appendNow();
  await world.pass(10 * SECOND_MS);
  expect(names.map((name) => process.partition(name).logStart)).toEqual([0, 0, 0, 1]);
  await world.pass(27 * SECOND_MS);
  expect(names.map((name) => process.partition(name).logStart)).toEqual([1, 0, 0, 1]);
  await process.crash();
  process = await world.start(settings);
  expect(names.map((name) => process.partition(name).logStart)).toEqual([1, 0, 0, 1]);
  expect(process.partition("minute").stored.segments.all).toHaveLength(1);
  await world.pass(60 * SECOND_MS);
  expect(names.map((name) => process.partition(name).logStart)).toEqual([2, 0, 0, 1]);
  expect(process.partition("minute").highWatermark).toBe(2);
  await process.stop();
});
