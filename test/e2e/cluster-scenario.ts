// One scenario on a running cluster: real clients write to a hundred partitions, something is broken, mended again, and
// what was acknowledged is held against what is read back. The outcome is one line.
import { availableParallelism, loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { type GroupView, kafkajsLanes, pythonGroup, pythonSpread, type SpreadTarget } from "./clients/record-stream.ts";
import type { Cluster } from "./cluster.ts";
import {
  type Gap,
  isAcknowledged,
  longestGaps,
  partitionsWrittenSince,
  type RecordStream,
  type SentRecord,
} from "./history.ts";
import { check, type FoundRecord, readBack, type Verdict } from "./history-check.ts";
import { eventually } from "./wait.ts";

/** Partitions of each scenario's topic. */
const PARTITION_COUNT = 100;
/** Acknowledgements a second that a run without a fault has to reach. */
const ACKS_PER_SECOND_MIN = 1_000;
const CALM_MS = 3_000;
const REQUEST_TIMEOUT_MS = 1_500;

/** What a fault can see of its scenario. */
export interface FaultScene {
  readonly cluster: Cluster;
  readonly streams: readonly RecordStream[];
  readonly group: GroupView | undefined;
  /** Leaders by partition before the fault. */
  readonly leaders: readonly number[];
  /** Waits until each partition has acknowledged a record that was sent after this call. */
  readonly untilWritable: (timeoutMs: number) => Promise<void>;
  /** Waits until each partition is led by the broker that led it before the fault. */
  readonly untilBalanced: () => Promise<void>;
}

/** What is broken, and how. */
export interface Scenario {
  readonly name: string;
  /** Whether a consumer group reads along. */
  readonly isGroupReading?: boolean;
  /** Breaks and mends. */
  readonly fault: (scene: FaultScene) => Promise<void>;
}

/** How a scenario went. */
export interface ScenarioOutcome {
  readonly topic: string;
  readonly streams: readonly RecordStream[];
  readonly group: GroupView | undefined;
  readonly verdict: Verdict;
  /** Records that were read back. */
  readonly foundCount: number;
  /** Of each partition, longest first. */
  readonly gaps: readonly Gap[];
  /** Records that waited longer for their answer than any before the fault. */
  readonly harmedCount: number;
  readonly acknowledgedCount: number;
  /** Acknowledgements a second before the fault. */
  readonly calmRate: number;
  /** The longest gap of any partition before the fault. */
  readonly calmGapMs: number;
}

/** Runs a scenario on a topic of its own, prints its line, and fails when anything acknowledged is not as it was told. */
export async function runScenario(cluster: Cluster, scenario: Scenario): Promise<ScenarioOutcome> {
  const topic = scenario.name.replaceAll(/[^A-Za-z0-9]+/g, "-");
  await cluster.createTopic(topic, PARTITION_COUNT);
  const times = { requestTimeoutMs: REQUEST_TIMEOUT_MS };
  const target = { bootstraps: cluster.bootstraps, topic, partitionCount: PARTITION_COUNT, ...times };
  const group = scenario.isGroupReading ? await pythonGroup(target, `${topic}-readers`, 2) : undefined;
  const streams = await startStreams(target);
  let spans: FaultSpans;
  try {
    spans = await breakAndMend(scenario, { cluster, topic, streams, group });
  } finally {
    await Promise.all(streams.map((stream) => stream.end()));
  }
  const found = await readBack(cluster.bootstrap, topic);
  if (group) await untilAllRead(group, found);
  await group?.leave();
  const outcome = judge({ topic, streams, group, found, spans });
  printLine(scenario.name, outcome, spans);
  expectNothingHarmed(streams, found);
  expectNotVoid(outcome, found);
  if (group) expectStored(group, found);
  return outcome;
}

interface Running {
  readonly cluster: Cluster;
  readonly topic: string;
  readonly streams: readonly RecordStream[];
  readonly group: GroupView | undefined;
}

/** When the clients had found their way, when the fault began, and when the load was ended. */
interface FaultSpans {
  readonly calmMs: number;
  readonly faultMs: number;
  readonly endMs: number;
}

async function breakAndMend({ fault }: Scenario, running: Running): Promise<FaultSpans> {
  const { cluster, topic, streams } = running;
  const leaders = await cluster.leaders(topic);
  const untilWritable = async (timeoutMs: number) => {
    const sinceMs = Date.now();
    const missing = () => {
      const written = partitionsWrittenSince(streams, sinceMs);
      return leaders.flatMap((id, partition) => (written.has(partition) ? [] : [`${partition} of broker ${id}`]));
    };
    const isWritable = () => missing().length === 0;
    await eventually(isWritable, () => `writable again: ${missing().join(", ")}`, timeoutMs);
  };
  const untilBalanced = () => cluster.untilLeadersAre(topic, leaders);
  await untilWritable(20_000);
  const calmMs = Date.now();
  await sleep(CALM_MS);
  await untilWritable(5_000);
  const faultMs = Date.now();
  await fault({ ...running, leaders, untilWritable, untilBalanced });
  await untilWritable(20_000);
  return { calmMs, faultMs, endMs: Date.now() };
}

function judge(
  facts: Omit<Running, "cluster"> & { readonly found: readonly FoundRecord[]; readonly spans: FaultSpans },
) {
  const { topic, streams, group, found, spans } = facts;
  const { calmMs, faultMs, endMs } = spans;
  const records = streams.flatMap(({ sent }) => sent);
  const calm = records.filter(({ answeredMs }) => answeredMs >= calmMs && answeredMs < faultMs);
  const slowestCalmMs = calm.reduce((most, { sentMs, answeredMs }) => Math.max(most, answeredMs - sentMs), 0);
  const isHarmed = (record: SentRecord) =>
    record.answeredMs > faultMs && record.answeredMs - record.sentMs > slowestCalmMs;
  return {
    topic,
    streams,
    group,
    verdict: check(streams, found),
    foundCount: found.length,
    calmGapMs: longestGaps(streams, PARTITION_COUNT, { fromMs: calmMs, toMs: faultMs })[0]?.ms ?? 0,
    gaps: longestGaps(streams, PARTITION_COUNT, { fromMs: calmMs, toMs: endMs }),
    harmedCount: records.filter(isHarmed).length,
    acknowledgedCount: records.filter(isAcknowledged).length,
    calmRate: (calm.filter(isAcknowledged).length / (faultMs - calmMs)) * 1_000,
  };
}

/**
 * How many times its promise a pause may take here, where brokers, stores and clients share the cores of one machine:
 * this tells a partition that hangs from one that moves. The pause itself is printed.
 */
function pauseFactor(): number {
  return Math.max(2.5, (loadavg()[0] ?? 0) / availableParallelism());
}

/** Fails when a partition acknowledged nothing for much longer than the `limitMs` that is promised. */
export function expectGapsWithin({ gaps }: ScenarioOutcome, limitMs: number): void {
  const factor = pauseFactor();
  const what = `longest gap in ms; ${limitMs} are promised, ${factor.toFixed(1)} times that is a fault`;
  expect(gaps[0]?.ms, what).toBeLessThanOrEqual(limitMs * factor);
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

function printLine(
  name: string,
  { streams, verdict, gaps, harmedCount, acknowledgedCount, calmRate, calmGapMs, group }: ScenarioOutcome,
  { calmMs, endMs }: FaultSpans,
): void {
  const retryCount = streams.flatMap(({ warnings }) => warnings).filter((line) => line.includes("retryCount")).length;
  const failed = streams.flatMap(({ sent }) => sent).filter((record) => !isAcknowledged(record)).length;
  const [longest, ...others] = gaps;
  const median = others[Math.floor(others.length / 2)];
  const facts = [
    `${acknowledgedCount} acks in ${((endMs - calmMs) / 1_000).toFixed(1)} s (${calmRate.toFixed(0)}/s before the fault)`,
    `${harmedCount} delayed`,
    `${retryCount} retries of kafkajs`,
    `${failed} given up`,
    `longest gap ${longest?.ms.toFixed(0)} ms (partition ${longest?.partition}), median ${median?.ms.toFixed(0)} ms, before the fault ${calmGapMs.toFixed(0)} ms`,
    `${verdict.lost.length} lost, ${verdict.duplicated.length} duplicated, ${verdict.outOfOrder.length} out of order`,
    `${verdict.moved.length} moved, ${verdict.holes.length} holes, ${verdict.repeatCount} repeated without idempotence`,
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

/** Fails when the run shows nothing: nothing acknowledged, nothing harmed, or a loss that the checker does not see. */
function expectNotVoid(outcome: ScenarioOutcome, found: readonly FoundRecord[]): void {
  expect(outcome.acknowledgedCount, "acknowledged records").toBeGreaterThan(0);
  expect(outcome.calmRate, "acknowledgements a second before the fault").toBeGreaterThanOrEqual(ACKS_PER_SECOND_MIN);
  expect(outcome.harmedCount, "records that the fault delayed").toBeGreaterThan(0);
  expect(check(outcome.streams, withoutOne(outcome, found)).lost, "a planted loss").toHaveLength(1);
}

/** What was found without one acknowledged record of a client that stores each once: taking one of two would be no loss. */
function withoutOne({ streams }: ScenarioOutcome, found: readonly FoundRecord[]): readonly FoundRecord[] {
  const acknowledged = streams.find(({ isIdempotent }) => isIdempotent)?.sent.filter(isAcknowledged) ?? [];
  const { partition, outcome } = acknowledged[Math.floor(acknowledged.length / 2)] ?? {};
  return found.filter((record) => record.partition !== partition || record.offset !== outcome);
}

/** Fails when a group was given something that is not stored: a record that was never committed. */
function expectStored({ read }: GroupView, found: readonly FoundRecord[]): void {
  const stored = new Map(found.map((record) => [`${record.partition}@${record.offset}`, record.key]));
  const gone = read.filter(({ partition, offset, key }) => stored.get(`${partition}@${offset}`) !== key);
  expect(gone, "read by the group and not stored").toEqual([]);
}
