// An outage is told twice, however many calls it costs.
import { expect, it } from "vitest";
import { type Log, type LogFields, silentLog } from "../../src/host/log.ts";
import { OutageLog } from "../../src/host/outage-log.ts";
import { SimClock } from "../sim/sim-clock.ts";

it("warns once without a stack, says the rest quietly, and tells when and after how much it is over", async () => {
  const clock = new SimClock({ seed: "outage" });
  const lines: [string, string, (LogFields | undefined)?][] = [];
  const log: Log = {
    ...silentLog,
    debug: (message) => void lines.push(["debug", message]),
    info: (message, fields) => void lines.push(["info", message, fields]),
    warn: (message, fields) => void lines.push(["warn", message, fields]),
  };
  const outages = new OutageLog({ log, clock, began: "a call failed", over: "calls are answered again" });
  outages.answered();
  outages.failed(new Error("no leader"), { what: "a get" });
  await clock.advance(1_500);
  outages.failed(new Error("no leader"), { what: "a get" });
  outages.answered();
  outages.answered();
  outages.failed(new Error("again"));
  expect(lines).toEqual([
    ["warn", "a call failed", { what: "a get", error: "Error: no leader" }],
    ["debug", "a call failed"],
    ["info", "calls are answered again", { afterMs: 1_500, failures: 2 }],
    ["warn", "a call failed", { error: "Error: again" }],
  ]);
});

it("tells for how long calls have failed, until one is answered or nobody tries any more", async () => {
  const clock = new SimClock({ seed: "outage" });
  const outages = new OutageLog({ log: silentLog, clock, began: "a call failed", over: "calls are answered again" });
  expect(outages.failingForMs).toBe(0);
  outages.failed(new Error("no leader"));
  await clock.advance(1_000);
  outages.failed(new Error("no quorum"));
  await clock.advance(500);
  expect([outages.failingForMs, outages.lastError]).toEqual([1_500, "Error: no quorum"]);
  outages.answered();
  expect(outages.failingForMs).toBe(0);
  outages.failed(new Error("no leader"));
  await clock.advance(180_000);
  expect(outages.failingForMs).toBe(180_000);
  await clock.advance(1);
  expect(outages.failingForMs).toBe(0);
});
