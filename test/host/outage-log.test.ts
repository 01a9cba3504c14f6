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
