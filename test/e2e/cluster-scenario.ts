// One scenario on a running cluster: real clients write to a hundred partitions, something is broken, mended again, and
// what was acknowledged is held against what is read back. The outcome is one line.
import { availableParallelism, loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { type GroupView, kafkajsLanes, pythonGroup, pythonSpread, type SpreadTarget } from "./clients/record-stream.ts";
import type { Cluster, LinkKind } from "./cluster.ts";
import {
  type Gap,
  isAcknowledged,
  longestGaps,
  partitionsWrittenSince,
  type RecordStream,
  type SentRecord,
  type TimeSpan,
} from "./history.ts";
import { check, type FoundRecord, readBack, type Verdict } from "./history-check.ts";
import { plantedFaults } from "./planted-faults.ts";
import { eventually } from "./wait.ts";

/** Partitions of each scenario's topic. */
const PARTITION_COUNT = 100;
/**
 * Acknowledgements a second before the fault, below which a run shows too little. At full length the load that is promised;
 * in short ones what a busy machine gives, because they also run where other tests do.
 */
const ACKS_PER_SECOND_MIN = { full: 1_000, short: 200 } as const;
const CALM_MS = 3_000;
/** Short, so that a client soon asks elsewhere and a gap is the brokers'. */
const REQUEST_TIMEOUT_MS = 1_500;
/** How much earlier than its true moment a client may have noted the sending of a record. */
const NOTED_MS = 100;

/** How long a scenario takes, and what it chooses by chance. */
export interface ScenarioForm {
  /** Whether faults have the lengths of a campaign, or the short ones of `make test-e2e`. */
  readonly isFull: boolean;
  /** 0 up to 1. */
  readonly random: () => number;
  /** The topic's name: each is used once. */
  readonly topic: string;
  /** Told how the run went before it is judged. */
  readonly onOutcome?: (outcome: ScenarioOutcome) => void;
}

/** What a fault can see of its scenario. */
export interface FaultScene {
  readonly cluster: Cluster;
  readonly form: ScenarioForm;
  readonly streams: readonly RecordStream[];
  readonly group: GroupView | undefined;
  /** Leaders by partition before the fault. */
  readonly leaders: readonly number[];
  /** Waits until each partition has acknowledged a record that was sent after this call. */
  readonly untilWritable: (timeoutMs: number) => Promise<void>;
  /** Waits until each partition is led by the broker that led it before the fault. */
  readonly untilBalanced: () => Promise<void>;
}

/** What a fault says of itself when it is over. */
export interface FaultReport {
  /** For how long nothing could be acknowledged, whatever the brokers did; 0 unless given. */
  readonly outageMs?: number;
  /** How long a partition may pause beyond that, as it is promised. */
  readonly promisedMs?: number;
  /** A time in which no record that was sent in it may be acknowledged. */
  readonly silent?: TimeSpan;
}

/** What is broken, and how. */
export interface Scenario {
  readonly name: string;
  /** Whether a consumer group reads along. */
  readonly isGroupReading?: boolean;
  /** What passes by there is harmed; without it a process is, and records are late for it. */
  readonly harms?: LinkKind;
  /** After how long without an answer a client asks elsewhere, where it has to wait longer than usual. */
  readonly requestTimeoutMs?: number;
  /** Breaks and mends. */
  readonly fault: (scene: FaultScene) => Promise<FaultReport>;
}

/** How a scenario went. */
export interface ScenarioOutcome {
  readonly name: string;
  readonly topic: string;
  readonly streams: readonly RecordStream[];
  readonly group: GroupView | undefined;
  readonly report: FaultReport;
  readonly verdict: Verdict;
  /** Records that were read back. */
  readonly foundCount: number;
  /** Of each partition, longest first. */
  readonly gaps: readonly Gap[];
  /** Records that waited longer for their answer than any before the fault. */
  readonly delayedCount: number;
  /** What was harmed on its way to the stores and to other brokers. */
  readonly harmedCounts: Readonly<Record<LinkKind, number>>;
  readonly acknowledgedCount: number;
  /** Retries that kafkajs told of. */
  readonly retryCount: number;
  /** Acknowledgements a second before the fault. */
  readonly calmRate: number;
  /** The longest gap of any partition before the fault. */
  readonly calmGapMs: number;
  /** Faults that were planted into what was read back, and how many of them the checker told exactly. */
  readonly planted: { readonly count: number; readonly foundCount: number };
}

/** Runs a scenario on a topic of its own, prints its line, and fails when anything acknowledged is not as it was told. */
export async function runScenario(cluster: Cluster, scenario: Scenario, form: ScenarioForm): Promise<ScenarioOutcome> {
  const { topic } = form;
  await cluster.createTopic(topic, PARTITION_COUNT);
  const { requestTimeoutMs = REQUEST_TIMEOUT_MS } = scenario;
  const target = { bootstraps: cluster.bootstraps, topic, partitionCount: PARTITION_COUNT, requestTimeoutMs };
  const group = scenario.isGroupReading ? await pythonGroup(target, `${topic}-readers`, 2) : undefined;
  const streams = await startStreams(target);
  const before = cluster.harmedCounts;
  let spans: FaultSpans;
  try {
    spans = await breakAndMend(scenario, { cluster, form, streams, group });
  } finally {
    cluster.mendLinks();
    await Promise.all(streams.map((stream) => stream.end()));
  }
  const after = cluster.harmedCounts;
  const harmedCounts = {
    s3: after.s3 - before.s3,
    etcd: after.etcd - before.etcd,
    control: after.control - before.control,
  };
  const found = await readBack(cluster.bootstrap, topic);
  if (group) await untilAllRead(group, found);
  await group?.leave();
  const outcome = judge({ name: scenario.name, topic, streams, group, found, spans, harmedCounts });
  printLine(outcome, spans);
  form.onOutcome?.(outcome);
  expectNothingHarmed(streams, found);
  expectNotVoid(outcome, scenario, form);
  expectSilence(outcome);
  expectGapsWithin(outcome);
  if (group) expectStored(group, found);
  return outcome;
}

interface Running {
  readonly cluster: Cluster;
  readonly form: ScenarioForm;
  readonly streams: readonly RecordStream[];
  readonly group: GroupView | undefined;
}

/** When the clients had found their way, when the fault began, and when the load was ended. */
interface FaultSpans {
  readonly calmMs: number;
  readonly faultMs: number;
  readonly endMs: number;
  readonly report: FaultReport;
}

async function breakAndMend({ fault }: Scenario, running: Running): Promise<FaultSpans> {
  const { cluster, form, streams } = running;
  const leaders = await cluster.leaders(form.topic);
  const untilWritable = async (timeoutMs: number) => {
    const sinceMs = Date.now();
    const missing = () => {
      const written = partitionsWrittenSince(streams, sinceMs);
      return leaders.flatMap((id, partition) => (written.has(partition) ? [] : [`${partition} of broker ${id}`]));
    };
    const isWritable = () => missing().length === 0;
    await eventually(isWritable, () => `writable again: ${missing().join(", ")}`, timeoutMs);
  };
  const untilBalanced = () => cluster.untilLeadersAre(form.topic, leaders);
  await untilWritable(20_000);
  const calmMs = Date.now();
  await sleep(CALM_MS);
  await untilWritable(5_000);
  const faultMs = Date.now();
  const report = await fault({ ...running, leaders, untilWritable, untilBalanced });
  await untilWritable(20_000);
  return { calmMs, faultMs, endMs: Date.now(), report };
}

interface ScenarioFacts extends Pick<ScenarioOutcome, "name" | "topic" | "streams" | "group" | "harmedCounts"> {
  readonly found: readonly FoundRecord[];
  readonly spans: FaultSpans;
}

function judge({ found, spans, ...facts }: ScenarioFacts): ScenarioOutcome {
  const { streams } = facts;
  const { calmMs, faultMs, endMs, report } = spans;
  const records = streams.flatMap(({ sent }) => sent);
  const calm = records.filter(({ answeredMs }) => answeredMs >= calmMs && answeredMs < faultMs);
  const slowestCalmMs = calm.reduce((most, { sentMs, answeredMs }) => Math.max(most, answeredMs - sentMs), 0);
  const isDelayed = (record: SentRecord) =>
    record.answeredMs > faultMs && record.answeredMs - record.sentMs > slowestCalmMs;
  const plants = plantedFaults(streams, found);
  return {
    ...facts,
    report,
    verdict: check(streams, found),
    foundCount: found.length,
    calmGapMs: longestGaps(streams, PARTITION_COUNT, { fromMs: calmMs, toMs: faultMs })[0]?.ms ?? 0,
    gaps: longestGaps(streams, PARTITION_COUNT, { fromMs: calmMs, toMs: endMs }),
    delayedCount: records.filter(isDelayed).length,
    acknowledgedCount: records.filter(isAcknowledged).length,
    retryCount: streams.flatMap(({ warnings }) => warnings).filter((line) => line.includes("retryCount")).length,
    calmRate: (calm.filter(isAcknowledged).length / (faultMs - calmMs)) * 1_000,
    planted: { count: plants.length, foundCount: plants.filter(({ isFound }) => isFound).length },
  };
}

/**
 * How much longer than promised a pause may take here, where brokers, stores and clients share the cores of one machine:
 * this tells a move that waits for a lease of 10 s to run out, or a partition that hangs, from one that is slow. The
 * pause itself is printed beside its promise.
 */
function slackMs(): number {
  return 5_000 * Math.max(1, (loadavg()[0] ?? 0) / (2 * availableParallelism()));
}

/** Fails when a partition acknowledged nothing for much longer than is promised. */
function expectGapsWithin({ gaps, report: { outageMs = 0, promisedMs } }: ScenarioOutcome): void {
  if (promisedMs === undefined) return;
  const slack = Math.round(slackMs());
  const what = `longest gap in ms; ${outageMs} without a store and ${promisedMs} are promised, ${slack} more is a fault`;
  expect(gaps[0]?.ms, what).toBeLessThanOrEqual(outageMs + promisedMs + slack);
}

/** Fails when a record was acknowledged while no broker could have stored it. */
function expectSilence({ streams, report: { silent } }: ScenarioOutcome): void {
  if (!silent) return;
  const isImpossible = (record: SentRecord) =>
    isAcknowledged(record) && record.sentMs > silent.fromMs + NOTED_MS && record.answeredMs < silent.toMs;
  const impossible = streams.flatMap(({ sent }) => sent.filter(isImpossible));
  expect(impossible, "acknowledged while the stores were out of reach").toEqual([]);
}

async function startStreams(target: SpreadTarget): Promise<readonly RecordStream[]> {
  const partitions = Array.from({ length: target.partitionCount }, (_, partition) => partition);
  const lanes = { isIdempotent: false, partitions, batchRecords: 4 };
  const few = { isIdempotent: true, partitions: partitions.slice(0, 6), batchRecords: 4 };
  const plain = await kafkajsLanes(target, { name: "kafkajs", ...lanes });
  const idempotent = await kafkajsLanes(target, { name: "kafkajs-idempotent", ...few });
  return [pythonSpread(target, 500), plain, idempotent];
}

/** Waits until a group has read every record that is there. */
async function untilAllRead({ read }: GroupView, found: readonly FoundRecord[]): Promise<void> {
  const unread = () => {
    const places = new Set(read.map(({ partition, offset }) => `${partition}@${offset}`));
    return found.filter(({ partition, offset }) => !places.has(`${partition}@${offset}`)).length;
  };
  const isAllRead = () => read.length >= found.length && unread() === 0;
  await eventually(isAllRead, () => `${unread()} of ${found.length} not read by the group`, 30_000);
}

function printLine(outcome: ScenarioOutcome, { calmMs, endMs }: FaultSpans): void {
  const { name, streams, verdict, gaps, calmRate, calmGapMs, group, planted } = outcome;
  const { harmedCounts, report } = outcome;
  const failed = streams.flatMap(({ sent }) => sent).filter((record) => !isAcknowledged(record)).length;
  const [longest, ...others] = gaps;
  const median = others[Math.floor(others.length / 2)];
  const promised = report.promisedMs === undefined ? "none" : `${report.promisedMs} ms`;
  const outage = report.outageMs === undefined ? "" : ` beyond an outage of ${report.outageMs.toFixed(0)} ms`;
  const facts = [
    `${outcome.acknowledgedCount} acks in ${((endMs - calmMs) / 1_000).toFixed(1)} s (${calmRate.toFixed(0)}/s before the fault)`,
    `${outcome.delayedCount} delayed`,
    `${outcome.retryCount} retries of kafkajs`,
    `${failed} given up`,
    `longest gap ${longest?.ms.toFixed(0)} ms (partition ${longest?.partition}; promised ${promised}${outage}), median ${median?.ms.toFixed(0)} ms, before the fault ${calmGapMs.toFixed(0)} ms`,
    `harmed: ${harmedCounts.s3} of S3, ${harmedCounts.etcd} of etcd, ${harmedCounts.control} between brokers`,
    `${verdict.lost.length} lost, ${verdict.duplicated.length} duplicated, ${verdict.outOfOrder.length} out of order`,
    `${verdict.moved.length} moved, ${verdict.holes.length} holes, ${verdict.repeatCount} repeated without idempotence`,
    `${planted.foundCount} of ${planted.count} planted faults found`,
    ...(group ? [`group: ${group.assignmentCount} assignments`] : []),
  ];
  facts.push(`load ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} cores`);
  process.stdout.write(`${name}: ${facts.join("; ")}\n`);
}

/** Fails on anything lost, duplicated, moved or out of order. */
export function expectNothingHarmed(streams: readonly RecordStream[], found: readonly FoundRecord[]): void {
  const { repeatCount: _, ...findings } = check(streams, found);
  expect(findings).toEqual({ lost: [], duplicated: [], outOfOrder: [], moved: [], holes: [] });
}

/** Fails when the run shows nothing: nothing acknowledged, nothing harmed, or a planted fault that the checker misses. */
function expectNotVoid(outcome: ScenarioOutcome, { harms }: Scenario, { isFull }: ScenarioForm): void {
  const ratePerSecondMin = isFull ? ACKS_PER_SECOND_MIN.full : ACKS_PER_SECOND_MIN.short;
  expect(outcome.acknowledgedCount, "acknowledged records").toBeGreaterThan(0);
  expect(outcome.calmRate, "acknowledgements a second before the fault").toBeGreaterThanOrEqual(ratePerSecondMin);
  if (harms) expect(outcome.harmedCounts[harms], `void: nothing of ${harms} was harmed`).toBeGreaterThan(0);
  else expect(outcome.delayedCount, "void: no record was late for the fault").toBeGreaterThan(0);
  expect(outcome.planted.count, "planted faults").toBeGreaterThan(0);
  expect(outcome.planted.foundCount, "planted faults that were found").toBe(outcome.planted.count);
}

/** Fails when a group was given something that is not stored: a record that was never committed. */
function expectStored({ read }: GroupView, found: readonly FoundRecord[]): void {
  const stored = new Map(found.map((record) => [`${record.partition}@${record.offset}`, record.key]));
  const gone = read.filter(({ partition, offset, key }) => stored.get(`${partition}@${offset}`) !== key);
  expect(gone, "read by the group and not stored").toEqual([]);
}
