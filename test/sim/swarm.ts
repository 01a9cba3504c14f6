// Swarm configuration: each seed draws which faults exist and how often each kind of call meets them, and what the broker
// and its clients are like. A bug that needs slow commits and healthy keep-alives shows only where rates differ by kind.
import type { ColdReadSettings } from "../../src/log/cold-reads.ts";
import { embeddedLogSettings } from "../../src/log/log-settings.ts";
import { defaultReconcile, type ReconcileSettings } from "../../src/log/reconcile-plan.ts";
import type { RemovalSettings } from "../../src/log/remover.ts";
import type { FaultRates, RatesByKind } from "./faulty-calls.ts";
import type { KvOperation, WatchLag } from "./faulty-key-value-store.ts";
import type { ObjectOperation } from "./faulty-object-store.ts";
import type { SimRandom } from "./sim-random.ts";

/** Mean times between events of the environment, in virtual milliseconds; 0 means never. */
export interface EnvironmentFaults {
  readonly crashEveryMs: number;
  readonly pauseEveryMs: number;
  /** Bounds of the length of a pause. */
  readonly pauseMs: readonly [number, number];
  /** A pause in which another process takes over, so that the paused one wakes as a zombie. */
  readonly takeoverEveryMs: number;
  readonly storeOutageEveryMs: number;
  readonly storeCutEveryMs: number;
  readonly kvOutageEveryMs: number;
  readonly outageMs: readonly [number, number];
  readonly leaseExpiryEveryMs: number;
  readonly cutEveryMs: number;
  readonly wallJumpEveryMs: number;
  /** How far a broker's wall clock is off at most, in both directions. */
  readonly wallJumpMs: number;
  readonly compactionEveryMs: number;
  readonly logStartEveryMs: number;
  readonly topicChurnEveryMs: number;
}

/** What happens to clusters of several brokers only. */
export interface ClusterFaults {
  /** A broker is told to stop, drains, and starts again. */
  readonly restartEveryMs: number;
  /** A broker leaves in order, and may come back after a while or never. */
  readonly leaveEveryMs: number;
  /** All brokers are killed and start again at once. */
  readonly restartAllEveryMs: number;
  readonly peerCutEveryMs: number;
}

/** What one seed runs with. */
export interface Swarm {
  /** Length of the phase with faults. */
  readonly faultPhaseMs: number;
  readonly brokerCount: number;
  /** How many of them start at once; the others join later. */
  readonly firstBrokerCount: number;
  readonly cluster: ClusterFaults;
  readonly environment: EnvironmentFaults;
  readonly storeRates: RatesByKind<ObjectOperation>;
  readonly kvRates: RatesByKind<KvOperation>;
  readonly storeLatencyMs: readonly [number, number];
  readonly kvLatencyMs: readonly [number, number];
  readonly lateMs: readonly [number, number];
  readonly watchBreakRate: number;
  readonly watchLag: WatchLag | undefined;
  readonly resetRate: number;
  readonly broker: BrokerSwarm;
  readonly clients: ClientSwarm;
}

/** Settings of the broker that a seed varies. */
export interface BrokerSwarm {
  readonly flushesInFlightMax: number;
  readonly putBudget: { readonly perSecond: number; readonly burst: number };
  readonly tailBytes: number;
  readonly readCacheBytes: number;
  readonly coldReads: ColdReadSettings;
  readonly checkpointIntervalMs: number;
  readonly checkpointFlushes: number;
  readonly putTimeoutMs: number;
  readonly headTimeoutMs: number;
  readonly storeAttemptTimeoutMs: number;
  readonly readPatienceMs: number;
  readonly failedShardRetryMs: number;
  readonly offsetsPartitionCount: number;
  readonly reconcile: ReconcileSettings;
  readonly retentionIntervalMs: number;
  readonly removal: RemovalSettings;
}

/** Clients of a seed. */
export interface ClientSwarm {
  readonly idempotentProducers: number;
  readonly plainProducers: number;
  readonly inFlightMax: number;
  readonly partitionCount: number;
  readonly recordsPerBatchMax: number;
  readonly paddingBytesMax: number;
  /** Mean pause of a lane between two batches. */
  readonly batchEveryMs: number;
  readonly requestTimeoutMs: number;
  /** How long a producer lets the broker wait for a commit. */
  readonly produceTimeoutMs: number;
  readonly readers: number;
  readonly groupMembers: number;
  /** Whether the topic that comes and goes is stamped with the broker's time. */
  readonly hasAppendTimes: boolean;
  /** Mean time a group member stays, 0 for ever. */
  readonly memberStayMs: number;
  /** How long the topic keeps its records. */
  readonly retention: Readonly<Record<string, string>>;
}

/** Draws the swarm of a seed. */
export function drawSwarm(random: SimRandom): Swarm {
  const harshness = random.pick([0, 0.3, 0.3, 1, 1, 1, 2]);
  const storeLatencyMs = random.pick([
    [0.5, 3],
    [1, 20],
    [5, 60],
    [1, 150],
  ] as const);
  const swarm = {
    faultPhaseMs: random.between(56_000, 64_000),
    brokerCount: 1,
    firstBrokerCount: 1,
    cluster: noClusterFaults,
    environment: drawEnvironment(random),
    storeRates: {
      put: drawRates(random, harshness),
      get: drawRates(random, harshness),
      head: drawRates(random, harshness),
      ...drawRemovalRates(random.split("removal rates"), harshness),
    },
    kvRates: {
      txn: drawRates(random, harshness * 0.5),
      get: drawRates(random, harshness * 0.5),
      range: drawRates(random, harshness * 0.5),
      lease: drawRates(random, harshness),
    },
    storeLatencyMs,
    kvLatencyMs: random.pick([
      [0.2, 1],
      [0.5, 3],
      [1, 10],
      [0.5, 40],
    ] as const),
    lateMs: random.pick([
      [1, 2_000],
      [1, 12_000],
      [3_000, 30_000],
    ] as const),
    watchBreakRate: random.pick([0, 0, 0.002, 0.02]),
    watchLag: undefined,
    resetRate: random.pick([0, 0, 0.0005, 0.003]),
    broker: { ...drawBroker(random), removal: drawRemoval(random.split("removal")) },
    clients: drawClients(random, storeLatencyMs[1]),
  };
  const reconciling = withReconciling(swarm, random.split("reconcile"));
  const patient = withBrokers(
    withOvertakenCommits(reconciling, random.split("overtaken heads")),
    random.split("brokers"),
  );
  return withStoreCuts(withFailedShards(patient, random.split("failed shards")), random.split("store cuts"));
}

/** Drawn apart: sizes and ages so small that a minute sees segments, groups, merges and records that expire. */
function withReconciling(swarm: Swarm, random: SimRandom): Swarm {
  const pendingBytes = random.pick([300, 2_000, 20_000]);
  const reconcile = {
    intervalMs: random.pick([100, 300, 1_000]),
    pendingBytes,
    pendingAgeMs: random.pick([500, 2_000, 6_000, 20_000]),
    segmentBytes: pendingBytes * random.pick([2, 10, 40]),
    groupBytes: random.pick([0, 300, 2_000, 20_000]),
    mergedCountMin: random.pick([2, 3, 8]),
    bytesPerSecond: random.pick([0, 0, 50_000]),
    heldBytes: random.pick([1, 5_000, 1_000_000]),
    smallPutsPerSecond: random.pick([0, 0, 10, 50]),
    pendingExtentsMax: random.pick([20, 100, 1_000_000]),
  };
  const retention: Record<string, string> = {};
  if (random.chance(0.3)) retention["retention.bytes"] = String(random.pick([0, 3_000, 30_000]));
  if (random.chance(0.3)) retention["retention.ms"] = String(random.pick([2_000, 8_000, 20_000]));
  const retentionIntervalMs = random.pick([500, 2_000, 10_000]);
  return {
    ...swarm,
    broker: { ...swarm.broker, reconcile, retentionIntervalMs },
    clients: { ...swarm.clients, retention },
  };
}

const noClusterFaults: ClusterFaults = { restartEveryMs: 0, leaveEveryMs: 0, restartAllEveryMs: 0, peerCutEveryMs: 0 };

/**
 * Drawn apart, so that a schedule of one broker stays what it is. Several brokers make more events in a minute, so they
 * get a shorter one.
 */
function withBrokers(swarm: Swarm, random: SimRandom): Swarm {
  const brokerCount = random.pick([1, 1, 2, 3, 3, 4, 5]);
  if (brokerCount === 1) return swarm;
  const sometimes = (share: number, everyMs: readonly [number, number]) => {
    const exists = random.chance(share);
    const drawn = random.between(...everyMs);
    return exists ? drawn : 0;
  };
  const drawn: Swarm = {
    ...swarm,
    brokerCount,
    firstBrokerCount: random.pick([brokerCount, brokerCount, 1 + random.below(brokerCount)]),
    faultPhaseMs: swarm.faultPhaseMs * random.between(0.5, 0.7),
    cluster: {
      restartEveryMs: sometimes(0.6, [5_000, 15_000]),
      leaveEveryMs: sometimes(0.4, [8_000, 20_000]),
      restartAllEveryMs: sometimes(0.15, [15_000, 40_000]),
      peerCutEveryMs: sometimes(0.4, [4_000, 15_000]),
    },
    watchLag: drawWatchLag(random),
    clients: { ...swarm.clients, partitionCount: 2 + swarm.clients.partitionCount },
  };
  const moving = random.chance(BACK_AND_FORTH_SHARE) ? backAndForth(drawn, random) : drawn;
  return random.chance(LATE_CLAIMS_SHARE) ? withLateClaims(moving, random) : moving;
}

/** Share of the clusters whose transactions land after their senders have tried again, or are done without an answer. */
const LATE_CLAIMS_SHARE = 0.25;

/** A hand-over whose outcome is open while its shards are wanted is rare where most transactions are heads. */
function withLateClaims(swarm: Swarm, random: SimRandom): Swarm {
  const { kvRates } = swarm;
  const txn = { ...kvRates.txn, late: random.between(0.01, 0.06), "lost-reply": random.between(0.01, 0.06) };
  return { ...swarm, kvRates: { ...kvRates, txn }, lateMs: [300, random.pick([1_500, 4_000])] };
}

/** Share of the clusters in which shards go to and fro while checkpoints are rare. */
const BACK_AND_FORTH_SHARE = 0.25;

/** A session that gets a shard back and dies before its next checkpoint hardly ever comes up by chance. */
function backAndForth(swarm: Swarm, random: SimRandom): Swarm {
  return {
    ...swarm,
    brokerCount: Math.min(3, swarm.brokerCount),
    firstBrokerCount: Math.min(3, swarm.firstBrokerCount),
    broker: { ...swarm.broker, checkpointIntervalMs: 60_000, checkpointFlushes: 2_048 },
    cluster: { ...swarm.cluster, restartEveryMs: random.between(1_500, 4_000) },
    environment: { ...swarm.environment, crashEveryMs: random.between(4_000, 10_000) },
  };
}

/** Share of the seeds whose sessions die of commits that land while their end is being settled. */
const OVERTAKEN_SHARE = 0.25;

/**
 * Drawn apart from everything else, so that all other seeds stay what they are. A head transaction that nobody answers
 * ends the session before the call is sent again, lands about when the dying session fences itself, and those who wait
 * for it still do: by chance alone these hardly ever meet.
 */
function withOvertakenCommits(swarm: Swarm, random: SimRandom): Swarm {
  if (!random.chance(OVERTAKEN_SHARE)) return swarm;
  const { broker, clients, kvRates } = swarm;
  return {
    ...swarm,
    kvRates: { ...kvRates, txn: { ...kvRates.txn, overtaken: random.between(0.004, 0.03) } },
    broker: { ...broker, headTimeoutMs: random.pick([1_000, 2_500]) },
    clients: { ...clients, requestTimeoutMs: Math.max(clients.requestTimeoutMs, 4_000), produceTimeoutMs: 30_000 },
  };
}

/** Share of the seeds with several brokers in which a broker is cut from the object store for longer than it bears. */
const STORE_CUTS_SHARE = 0.35;

/** Drawn apart: puts have to be as patient as they are by default, or sessions end before anybody is asked. */
function withStoreCuts(swarm: Swarm, random: SimRandom): Swarm {
  if (swarm.brokerCount === 1 || !random.chance(STORE_CUTS_SHARE)) return swarm;
  const environment = { ...swarm.environment, storeCutEveryMs: random.between(6_000, 20_000) };
  return { ...swarm, broker: { ...swarm.broker, putTimeoutMs: 30_000 }, environment };
}

/** Share of the seeds whose recoveries give an object up soon, so that shards fail, move as they are, and are tried again. */
const FAILED_SHARDS_SHARE = 0.4;

/** Nothing is damaged in a schedule: what cannot be read for a while stands for what cannot be read. */
function withFailedShards(swarm: Swarm, random: SimRandom): Swarm {
  if (!random.chance(FAILED_SHARDS_SHARE)) return swarm;
  const { broker, storeRates } = swarm;
  const failing = { ...storeRates.get, refused: random.between(0.05, 0.4) };
  const failed: Swarm = {
    ...swarm,
    broker: {
      ...broker,
      readPatienceMs: random.pick([0, 0, 500]),
      failedShardRetryMs: random.pick([400, 3_000, 6_000]),
      // Sections in claims, so that there is something to be forgotten.
      checkpointIntervalMs: random.pick([500, 1_500]),
    },
    storeRates: { ...storeRates, get: failing },
  };
  return swarm.brokerCount > 1 && random.chance(SLOW_RETRIES_SHARE) ? withSlowRetries(failed) : failed;
}

/** Share of those clusters in which a shard may be given away while it is tried again. */
const SLOW_RETRIES_SHARE = 0.4;

/** By chance alone a retry that succeeds is over before its shard is wanted elsewhere. */
function withSlowRetries(swarm: Swarm): Swarm {
  const { broker, storeRates, cluster } = swarm;
  return {
    ...swarm,
    broker: { ...broker, failedShardRetryMs: 400, readPatienceMs: 0 },
    storeRates: { ...storeRates, get: { ...storeRates.get, refused: 0.15, late: 0.5 } },
    lateMs: [500, 2_500],
    cluster: { ...cluster, restartEveryMs: 2_500 },
  };
}

/** What one broker sees of topics, sessions and claims may be of different times. */
function drawWatchLag(random: SimRandom): WatchLag | undefined {
  const exists = random.chance(0.5);
  const drawn = {
    prefixEnd: random.pick(["/topics/", "/topics/", "/s/", "/a/"]),
    rate: random.pick([0.05, 0.3, 1]),
    lagMs: [100, random.pick([500, 5_000])],
  } as const;
  return exists ? drawn : undefined;
}

function drawEnvironment(random: SimRandom): EnvironmentFaults {
  const sometimes = (share: number, everyMs: readonly [number, number]) => {
    const exists = random.chance(share);
    const drawn = random.between(...everyMs);
    return exists ? drawn : 0;
  };
  return {
    crashEveryMs: sometimes(0.95, [5_000, 18_000]),
    pauseEveryMs: sometimes(0.5, [8_000, 30_000]),
    pauseMs: random.pick([
      [50, 1_500],
      [1_000, 9_000],
      [6_000, 16_000],
    ] as const),
    takeoverEveryMs: sometimes(0.35, [15_000, 40_000]),
    storeOutageEveryMs: sometimes(0.4, [8_000, 30_000]),
    storeCutEveryMs: 0,
    kvOutageEveryMs: sometimes(0.5, [6_000, 20_000]),
    outageMs: random.pick([
      [200, 2_000],
      [1_000, 8_000],
      [5_000, 15_000],
    ] as const),
    leaseExpiryEveryMs: sometimes(0.4, [8_000, 30_000]),
    cutEveryMs: sometimes(0.4, [5_000, 20_000]),
    wallJumpEveryMs: sometimes(0.4, [5_000, 20_000]),
    // Far beyond any lease, and within what a broker accepts in timestamps.
    wallJumpMs: 50 * 60_000,
    compactionEveryMs: sometimes(0.3, [3_000, 15_000]),
    logStartEveryMs: sometimes(0.5, [3_000, 15_000]),
    topicChurnEveryMs: sometimes(0.5, [6_000, 20_000]),
  };
}

function drawRates(random: SimRandom, harshness: number): FaultRates {
  const rate = () => {
    const exists = random.chance(0.5);
    const drawn = 0.1 * random.uniform() ** 2 * harshness;
    return exists ? drawn : 0;
  };
  return { refused: rate(), unreachable: rate(), "lost-request": rate(), "lost-reply": rate(), late: rate() };
}

function drawRemovalRates(random: SimRandom, harshness: number): RatesByKind<"list" | "delete"> {
  return { list: drawRates(random, harshness), delete: drawRates(random, harshness) };
}

/** Drawn apart. All of it is short, so that much is removed within a minute. */
function drawRemoval(random: SimRandom): RemovalSettings {
  return {
    graceMs: random.pick([20, 500, 2_000, 6_000]),
    lookEveryMs: random.pick([50, 400, 2_000]),
    sweepEveryMs: random.pick([1_000, 4_000, 8_000]),
    objectsPerSecond: random.pick([50, 1_000]),
  };
}

function drawBroker(random: SimRandom): Omit<BrokerSwarm, "removal"> {
  return {
    flushesInFlightMax: random.pick([1, 2, 4, 8, 8]),
    putBudget: random.pick([
      { perSecond: 0, burst: 0 },
      { perSecond: 0, burst: 0 },
      { perSecond: 20, burst: 5 },
      { perSecond: 4, burst: 40 },
    ]),
    tailBytes: random.pick([0, 2_000, 64 * 1024, 16 * 1024 * 1024]),
    readCacheBytes: random.pick([1, 4_000, 1024 * 1024]),
    coldReads: embeddedLogSettings.coldReads,
    checkpointIntervalMs: random.pick([500, 1_500, 5_000, 5_000, 60_000]),
    checkpointFlushes: random.pick([3, 16, 64, 2_048]),
    putTimeoutMs: random.pick([2_000, 8_000, 30_000]),
    headTimeoutMs: random.pick([1_000, 2_500, 8_000, 30_000]),
    storeAttemptTimeoutMs: random.pick([1_000, 3_000, 10_000]),
    readPatienceMs: 60_000,
    failedShardRetryMs: 60_000,
    offsetsPartitionCount: random.pick([1, 4]),
    reconcile: defaultReconcile,
    retentionIntervalMs: 300_000,
  };
}

function drawClients(random: SimRandom, storeLatencyMsMax: number): ClientSwarm {
  return {
    idempotentProducers: 1 + random.below(2),
    plainProducers: random.below(2),
    inFlightMax: 1 + random.below(5),
    partitionCount: 1 + random.below(4),
    recordsPerBatchMax: random.pick([1, 3, 10]),
    paddingBytesMax: random.pick([0, 20, 300]),
    batchEveryMs: random.pick([25, 40, 70]),
    // Long enough for a flush and a read of a healthy store.
    requestTimeoutMs: Math.max(random.pick([700, 1_500, 4_000]), 15 * storeLatencyMsMax),
    produceTimeoutMs: 1_000,
    readers: 1,
    groupMembers: random.pick([0, 1, 2, 2]),
    hasAppendTimes: random.chance(0.5),
    memberStayMs: random.pick([0, 6_000, 20_000]),
    retention: {},
  };
}
