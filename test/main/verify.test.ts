// What `kafscale verify` tells a person and a program, and that it looks at real folders.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { guardCluster } from "../../src/broker/cluster-guard.ts";
import type { VerificationReport } from "../../src/broker/cluster-verification.ts";
import type { Finding } from "../../src/broker/findings.ts";
import { ClusterKeys } from "../../src/cluster/keys.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { openAdapters } from "../../src/main/adapters.ts";
import { readServeSettings } from "../../src/main/settings-from-env.ts";
import { exitCodeOf, reportText, verify } from "../../src/main/verify.ts";
import { ObjectKeys } from "../../src/objects/object-keys.ts";

const { signal } = new AbortController();
const DEAD = "0123456789abcdef01234567";
const finding = (kind: Finding["kind"], isRemovable = false): Finding => {
  return { kind, key: `test/${kind}`, text: "why", isRemovable, ...(kind === "stray" && { bytes: 7 }) };
};
const report: VerificationReport = {
  clusterId: "AAECAwQFBgcICQoLDA0ODw",
  revision: 42,
  sessions: 3,
  shards: 1024,
  listed: { objects: 9, bytes: 900 },
  counts: { known: 5, kept: 2, undecided: 1, stray: 1, foreign: 0 },
  findings: [],
  removed: [],
  refusal: undefined,
};

let folder: string;
let written: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kafscale-verify-"));
  written = [];
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

it("says that nothing is wrong, and what was looked at", () => {
  const text = reportText(report);
  expect(text).toContain("9 objects (900 bytes)");
  expect(text).toContain("Nothing is wrong.");
});

it("says of each finding what it is, and of each kind what to do", () => {
  const kinds = ["missing", "damaged", "unreadable", "unknown", "stray", "foreign"] as const;
  const findings = [...kinds.map((kind) => finding(kind)), finding("stray", true)];
  const text = reportText({ ...report, findings, refusal: "something is missing" });
  for (const kind of kinds) expect(text).toMatch(new RegExp(`^${kind} +test/${kind}: .*why$`, "m"));
  expect(text).toContain("7 bytes; why");
  expect(text).toContain("`kafscale verify --repair` removes 1 strays");
  for (const part of ["Records are lost unless", "plain name stay", "Foreign objects stay", "unknown may be well"]) {
    expect(text).toContain(part);
  }
  expect(text).toContain("Nothing was removed: something is missing.");
  expect(reportText({ ...report, removed: ["a", "b"] })).toContain("2 objects removed.");
});

it("ends with 0 for nothing, 3 for a finding, and 1 where something is only unknown", () => {
  expect(exitCodeOf([])).toBe(0);
  expect(exitCodeOf([finding("stray", true)])).toBe(3);
  expect(exitCodeOf([finding("unknown")])).toBe(1);
  expect(exitCodeOf([finding("unknown"), finding("missing")])).toBe(3);
});

it("refuses to look at stores that nobody named", async () => {
  const settings = readServeSettings({}, {});
  const choice = { isDeep: false, isRepairing: false, isJson: false };
  await expect(verify(settings, choice)).rejects.toThrow("no stores are set: give `verify`");
});

it("finds and removes a stray in the folder of a broker, and leaves a foreign object", async () => {
  const settings = readServeSettings({ dataDir: folder, logLevel: "error" }, {});
  const objectKeys = new ObjectKeys(settings.clusterName);
  const stray = objectKeys.wal(DEAD, 1);
  const foreign = `${objectKeys.all}notes.txt`;
  const adapters = await openAdapters(settings, { log: silentLog, metrics: new UnexportedMetrics(), signal });
  const { kv, clock, random, store } = adapters.components;
  const cluster = { kv, clock, random, log: silentLog, keys: new ClusterKeys(settings.clusterName) };
  await guardCluster({ cluster, store, objectKeys, signal });
  for (const key of [stray, foreign]) await store.put(key, [new Uint8Array(5)], { ifAbsent: true, signal });
  await adapters.close();
  const choice = { isDeep: true, isRepairing: false, isJson: true };
  expect(await verify(settings, choice)).toBe(3);
  const found = JSON.parse(written.join("")) as VerificationReport;
  expect(found.findings.map(({ kind, key }) => `${kind} ${key}`).sort()).toEqual([
    `foreign ${foreign}`,
    `stray ${stray}`,
  ]);
  written = [];
  expect(await verify(settings, { ...choice, isRepairing: true, isJson: false })).toBe(3);
  expect(written.join("")).toContain(`removed  ${stray}\n`);
  written = [];
  expect(await verify(settings, { ...choice, isJson: false })).toBe(3);
  expect(written.join("")).not.toContain(DEAD);
  expect(written.join("")).toMatch(new RegExp(`^foreign +${foreign}: 5 bytes`, "m"));
});
