// `make ci` and `make campaign`: runs the parts of one of two lists after each other, prints the minutes that each took and
// one closing line `N passed, N failed`. It goes on after a failure, so that one run names everything that is wrong.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";

const reportFolder = ".cache/ci";

/** What every change has to pass. A part with a `report` counts the tests of that file, any other counts as one check. */
const ci = [
  { name: "install", command: ["node", "scripts/prepare.mjs"] },
  { name: "test", command: ["make", "test"], report: `${reportFolder}/test.json` },
  { name: "generated", command: ["make", "check-generated"] },
  { name: "types", command: ["npm", "run", "--silent", "typecheck"] },
  { name: "lint", command: ["npm", "run", "--silent", "lint"] },
  { name: "format", command: ["npm", "run", "--silent", "format:check"] },
  { name: "dead code", command: ["npm", "run", "--silent", "knip"] },
  { name: "proto lint", command: ["npm", "run", "--silent", "proto:lint"] },
  { name: "tools", command: ["make", "tools"] },
  { name: "test-e2e", command: ["make", "test-e2e"], report: `${reportFolder}/e2e.json` },
];

const scenarios = { name: "scenarios", command: ["make", "scenarios"], report: `${reportFolder}/scenarios.json` };

/**
 * The long runs: hours. Each length can be set, as `make campaign SEEDS=1000000`. Whoever names a scenario, or says for how
 * long scenarios are to be run, wants those alone. CAMPAIGN_SEED repeats their order.
 */
const longRuns = [
  { name: "sim", command: ["make", "sim", `SEEDS=${process.env.SEEDS ?? 200_000}`] },
  { name: "fuzz", command: ["make", "fuzz", `FUZZ_SECONDS=${process.env.FUZZ_SECONDS ?? 3600}`] },
  {
    name: "test-e2e",
    command: ["make", "test-e2e", `KILLS=${process.env.KILLS ?? 50}`],
    report: `${reportFolder}/e2e.json`,
  },
  scenarios,
];
const campaign = [
  { name: "install", command: ["node", "scripts/prepare.mjs"] },
  { name: "tools", command: ["make", "tools"] },
  ...(process.env.SCENARIO || process.env.CAMPAIGN_MINUTES ? [scenarios] : longRuns),
];

/** Tests counted by a vitest report. A run that failed outside its tests, or left no report, counts one failure. */
function countTests(file, isOk) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(file, "utf8"));
    const failed = numFailedTests === 0 && !isOk ? 1 : numFailedTests;
    return { passed: numPassedTests, failed, skipped: numPendingTests };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function runPart({ name, command: [program, ...args], report }) {
  console.log(`\n=== ${name}: ${[program, ...args].join(" ")}`);
  const startedMs = Date.now();
  const env = report ? { ...process.env, KAFSCALE_TEST_REPORT: report } : process.env;
  const { status } = spawnSync(program, args, { stdio: ["ignore", "inherit", "inherit"], env });
  const isOk = status === 0;
  const count = report ? countTests(report, isOk) : { passed: isOk ? 1 : 0, failed: isOk ? 0 : 1, skipped: 0 };
  return { name, minutes: (Date.now() - startedMs) / 60_000, ...count };
}

const lists = { ci, campaign };
const parts = lists[process.argv[2]];
if (!parts) {
  console.error(`run-parts: say which list to run: ${Object.keys(lists).join(" or ")}`);
  process.exit(2);
}
rmSync(reportFolder, { recursive: true, force: true });
mkdirSync(reportFolder, { recursive: true });
const rows = parts.map(runPart);
const sum = (field) => rows.reduce((total, row) => total + row[field], 0);

console.log(
  `\n${"part".padEnd(12)}${"minutes".padStart(9)}${"passed".padStart(9)}${"failed".padStart(9)}${"skipped".padStart(9)}`,
);
for (const row of [
  ...rows,
  { name: "all", minutes: sum("minutes"), passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") },
]) {
  const counts = [row.passed, row.failed, row.skipped].map((count) => String(count).padStart(9)).join("");
  console.log(`${row.name.padEnd(12)}${row.minutes.toFixed(2).padStart(9)}${counts}`);
}
const skipped = sum("skipped") > 0 ? `, ${sum("skipped")} skipped` : "";
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed${skipped}`);
process.exitCode = sum("failed") > 0 ? 1 : 0;
