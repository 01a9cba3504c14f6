// One process of a run: simulates seeds `first`, `first + stride`, … up to `last`, every `--long-every`-th as a long schedule
// and the others as brief ones, then the schedules that `--also` names, and writes a line of JSON for each.
// With `--until-found` it stops after the first violation; every `--twice`-th seed is run again and has to be equal; in
// every `--verified`-th the cluster is verified all the while.
import { setMaxListeners } from "node:events";
import { parseArgs } from "node:util";
import { briefName } from "./brief.ts";
import { runSchedule, type ScheduleReport } from "./schedule.ts";
import { verifiedName } from "./sim-verifier.ts";

/** What a worker says of one seed. */
export interface SeedReport extends Omit<ScheduleReport, "evaluations" | "events"> {
  readonly evaluations: readonly (readonly [string, number])[];
  readonly events: readonly (readonly [string, number])[];
}

setMaxListeners(0);
const { values } = parseArgs({
  options: {
    first: { type: "string", default: "1" },
    stride: { type: "string", default: "1" },
    last: { type: "string", default: "1" },
    "long-every": { type: "string", default: "1" },
    also: { type: "string", default: "" },
    "until-found": { type: "boolean", default: false },
    twice: { type: "string", default: "0" },
    verified: { type: "string", default: "0" },
    trace: { type: "boolean", default: false },
  },
});
const twice = Number(values.twice);
// Errors are part of a schedule, by the hundred; where they come from is of interest only to who replays one.
if (!values.trace) Error.stackTraceLimit = 0;
for (const { name, isTwice } of schedules()) {
  const report = await simulate(name, isTwice);
  const { evaluations, events } = report;
  const line: SeedReport = { ...report, evaluations: [...evaluations], events: [...events] };
  if (!values.trace) process.stdout.write(`${JSON.stringify(line)}\n`);
  if (values["until-found"] && report.violations.length > 0) break;
}

function* schedules(): Generator<{ readonly name: string; readonly isTwice: boolean }> {
  const longEvery = Number(values["long-every"]);
  const verified = Number(values.verified);
  for (let seed = Number(values.first); seed <= Number(values.last); seed += Number(values.stride)) {
    const plain = seed % longEvery === 0 ? String(seed) : briefName(seed);
    const name = verified > 0 && seed % verified === 0 ? verifiedName(plain) : plain;
    yield { name, isTwice: twice > 0 && seed % twice === 0 };
  }
  for (const name of values.also.split(",")) if (name !== "") yield { name, isTwice: false };
}

async function simulate(seed: string, isTwice: boolean): Promise<ScheduleReport> {
  const report = await runSchedule(seed, values.trace ? { onLine: (line) => console.log(line) } : {});
  if (values.trace) console.log(report.violations, `hash ${report.traceHash}`);
  if (!isTwice) return report;
  const again = await runSchedule(seed);
  const rule = "the same seed gives the same schedule";
  const evaluations = new Map([...report.evaluations, [rule, 1]]);
  if (again.traceHash === report.traceHash) return { ...report, evaluations };
  const text = `${report.traceHash} after ${report.eventCount} events, then ${again.traceHash} after ${again.eventCount}`;
  return { ...report, evaluations, violations: [...report.violations, { rule, text, atMs: 0 }] };
}
