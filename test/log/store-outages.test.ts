// What is told of stores that do not answer, to metrics and to a probe.
import { expect, it } from "vitest";
import { type Log, silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { OutageLog } from "../../src/host/outage-log.ts";
import { objectStoreColdReads } from "../../src/log/cold-reads.ts";
import { StoreOutages } from "../../src/log/store-outages.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { withCalls } from "./counted-calls.ts";
import { batchOf, LogWorld } from "./log-world.ts";

function outagesAt(clock: SimClock) {
  const log = () => new OutageLog({ log: silentLog, clock, began: "failed", over: "answered" });
  const logs = { metadata: log(), puts: log(), reads: log(), removals: log() };
  return { logs, outages: new StoreOutages(logs) };
}

it("gives each outage's seconds as a gauge", async () => {
  const clock = new SimClock({ seed: "outages" });
  const { logs, outages } = outagesAt(clock);
  const gauges = new Map<string, () => number>();
  const metrics = Object.assign(new UnexportedMetrics(), {
    gauge: (name: string, _help: string, read: () => number) => void gauges.set(name, read),
  });
  outages.register(metrics);
  logs.puts.failed(new Error("forbidden"));
  await clock.advance(2_000);
  logs.removals.failed(new Error("forbidden"));
  await clock.advance(1_000);
  expect([...gauges].map(([name, read]) => [name, read()])).toEqual([
    ["kafscale_metadata_store_failing_seconds", 0],
    ["kafscale_object_store_puts_failing_seconds", 3],
    ["kafscale_object_store_reads_failing_seconds", 0],
    ["kafscale_object_store_removals_failing_seconds", 1],
  ]);
});

it("names what keeps a broker from serving, and why: removals do not", async () => {
  const clock = new SimClock({ seed: "outages" });
  const { logs, outages } = outagesAt(clock);
  expect(outages.reasons()).toEqual([]);
  logs.removals.failed(new Error("forbidden"));
  logs.metadata.failed(new Error("no leader"));
  logs.puts.failed(new Error("forbidden"));
  await clock.advance(4_400);
  expect(outages.reasons()).toEqual([
    "the metadata store has answered no call for 4 s (Error: no leader)",
    "the object store has taken no put for 4 s (Error: forbidden)",
  ]);
});

it("is what the calls of a broker's log meet", async () => {
  const world = new LogWorld();
  let isRefusing = false;
  world.store = withCalls(world.memoryStore, (call, _key, run) =>
    isRefusing && call === "put" ? Promise.reject(new ObjectStoreError("denied", "put of it: forbidden")) : run(),
  );
  const process = await world.start();
  await process.createTopic("orders");
  isRefusing = true;
  const appended = process.partition("orders").append(batchOf(["a"]));
  await world.pass(2_000);
  const [reason, ...others] = process.brokerLog.outages.reasons();
  expect(reason).toMatch(/^the object store has taken no put for 2 s \(.*forbidden\)$/);
  expect(others).toEqual([]);
  isRefusing = false;
  await world.complete(appended);
  expect(process.brokerLog.outages.reasons()).toEqual([]);
  await process.stop();
});

it("is what the reads of consumers meet, told twice however many of them fail", async () => {
  const world = new LogWorld();
  const told: string[] = [];
  const note = (message: string) => void (/read/.test(message) && told.push(message));
  const log: Log = { ...silentLog, info: note, warn: note, error: note };
  world.log = { ...log, child: () => log };
  let isRefusing = false;
  world.store = withCalls(world.memoryStore, (call, _key, run) =>
    isRefusing && call === "get" ? Promise.reject(new ObjectStoreError("unavailable", "get of it: 503")) : run(),
  );
  const process = await world.start({ tailBytes: 0, readCacheBytes: 1, coldReads: objectStoreColdReads });
  await process.createTopic("orders");
  await process.append("orders", ["a"], {}, 0);
  isRefusing = true;
  for (let nth = 0; nth < 5; nth++) {
    await expect(process.values("orders", 0, 0)).rejects.toThrow(/cannot be read/);
    await world.pass(2_000);
  }
  const [reason, ...others] = process.brokerLog.outages.reasons();
  expect(reason).toMatch(/^the object store has answered no read for 10 s \(.*503\)$/);
  expect(others).toEqual([]);
  expect(told).toEqual(["read failed, trying again"]);
  isRefusing = false;
  expect(await process.values("orders", 0, 0)).toEqual(["0:a"]);
  expect(process.brokerLog.outages.reasons()).toEqual([]);
  expect(told).toEqual(["read failed, trying again", "reads are answered again"]);
  await process.stop();
});
