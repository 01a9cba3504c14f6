// The scenarios of a cluster at the lengths of a campaign, in an order that a seed draws, each at least once and then on
// until the time is over. A failure ends nothing: its cluster's logs are kept, a fresh one goes on, and all is one table.
import { join } from "node:path";
import { expect, it } from "vitest";
import { SimRandom } from "../sim/sim-random.ts";
import { Cluster } from "./cluster.ts";
import { runScenario, type ScenarioOutcome } from "./cluster-scenario.ts";
import { type ClusterScenario, clusterScenarios } from "./cluster-scenarios.ts";
import { describeWithTools, repositoryRoot } from "./tools.ts";

/** The longest that one scenario may take, in milliseconds. */
const SCENARIO_MS_MAX = 600_000;

const seed = Number(process.env["CAMPAIGN_SEED"] || Date.now() % 1_000_000);
const minutes = Number(process.env["CAMPAIGN_MINUTES"] || 0);
const wanted = process.env["SCENARIO"] || undefined;
const chosen = clusterScenarios.filter(({ name }) => wanted === undefined || name === wanted);

interface Row {
  readonly name: string;
  readonly outcome: ScenarioOutcome | undefined;
  readonly failure: string;
}

/** Draws the order of one round. */
function shuffled(random: SimRandom): ClusterScenario[] {
  const order = [...chosen];
  for (let end = order.length - 1; end > 0; end--) {
    const other = Math.floor(random.uniform() * (end + 1));
    const [left, right] = [order[end], order[other]];
    if (left && right) [order[end], order[other]] = [right, left];
  }
  return order;
}

const columns: readonly (readonly [string, (outcome: ScenarioOutcome) => string | number])[] = [
  ["acks", ({ acknowledgedCount }) => acknowledgedCount],
  ["retries", ({ retryCount }) => retryCount],
  ["gap ms", ({ gaps }) => Math.round(gaps[0]?.ms ?? 0)],
  ["outage ms", ({ report }) => Math.round(report.outageMs ?? 0)],
  ["promised", ({ report }) => report.promisedMs ?? "none"],
  ["delayed", ({ delayedCount }) => delayedCount],
  ["harmed", ({ harmedCounts: { s3, etcd, control } }) => s3 + etcd + control],
  ["lost", ({ verdict }) => verdict.lost.length],
  ["dup", ({ verdict }) => verdict.duplicated.length],
  ["unordered", ({ verdict }) => verdict.outOfOrder.length],
  ["planted", ({ planted }) => `${planted.foundCount}/${planted.count}`],
];

function table(rows: readonly Row[]): string {
  const head = `${"scenario".padEnd(28)}${columns.map(([title]) => title.padStart(10)).join("")}`;
  const lines = rows.map(({ name, outcome, failure }) => {
    const cells = outcome ? columns.map(([, cell]) => String(cell(outcome)).padStart(10)).join("") : "";
    return `${name.padEnd(28)}${cells}${failure === "" ? "" : `  FAILED: ${failure}`}`;
  });
  const acks = rows.reduce((sum, { outcome }) => sum + (outcome?.acknowledgedCount ?? 0), 0);
  const failed = rows.filter(({ failure }) => failure !== "").length;
  return [head, ...lines, `${rows.length} runs, ${failed} failed, ${acks} acks, CAMPAIGN_SEED=${seed}`, ""].join("\n");
}

/** Runs one scenario to its row, also when it fails. */
async function runToRow(cluster: Cluster, scenario: ClusterScenario, form: { topic: string; random: () => number }) {
  let outcome: ScenarioOutcome | undefined;
  try {
    const onOutcome = (judged: ScenarioOutcome) => {
      outcome = judged;
    };
    await runScenario(cluster, scenario, { ...form, isFull: true, onOutcome });
    if (outcome) scenario.expectAfter?.(outcome);
    return { name: scenario.name, outcome, failure: "" };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { name: scenario.name, outcome, failure: text.replaceAll(/\s+/g, " ").slice(0, 200) };
  }
}

const tools = ["etcd", "faketime", "kafka", "kcat", "python", "versitygw"] as const;

describeWithTools("a campaign against a cluster", tools, () => {
  const timeout = minutes * 60_000 + (chosen.length + 1) * SCENARIO_MS_MAX;
  it(`keeps every promise under CAMPAIGN_SEED=${seed}`, { timeout }, async () => {
    const names = clusterScenarios.map(({ name }) => `"${name}"`).join(", ");
    expect(chosen.length, `no scenario is called "${wanted}"; there are ${names}`).toBeGreaterThan(0);
    const random = new SimRandom(seed);
    const endMs = Date.now() + minutes * 60_000;
    const rows: Row[] = [];
    let cluster = await Cluster.start({ brokerCount: 3 });
    let queue = shuffled(random);
    try {
      for (let run = 0; run < chosen.length || Date.now() < endMs; run++) {
        if (queue.length === 0) queue = shuffled(random);
        const scenario = queue.shift();
        if (!scenario) break;
        const row = await runToRow(cluster, scenario, { topic: `run-${run}`, random: () => random.uniform() });
        rows.push(row);
        if (row.failure === "") continue;
        const folder = join(repositoryRoot, ".cache", "campaign", `${seed}-${run}`);
        cluster.writeLogs(folder);
        process.stdout.write(`FAILED: ${row.failure}\nthe brokers' logs are in ${folder}\n`);
        await cluster.stop();
        cluster = await Cluster.start({ brokerCount: 3 });
      }
    } finally {
      await cluster.stop();
      process.stdout.write(`\n${table(rows)}`);
    }
    const failures = rows.map(({ name, failure }) => (failure === "" ? "" : `${name}: ${failure}`));
    expect(failures.filter((line) => line !== "")).toEqual([]);
  });
});
