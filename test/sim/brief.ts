// Brief schedules: the same faults and clients as in a long one, closer together and for a few seconds only, so that many
// more interleavings are met in the same time. What takes long by nature (a lease that runs out, a frozen broker) stays.
import type { SimRandom } from "./sim-random.ts";
import type { Swarm } from "./swarm.ts";

/** How much shorter the phase with faults is, and the times between them. */
const SHORTER = 0.15;
/** How much sooner the broker's slow work is due, so that a few seconds see all of it. */
const SOONER = 0.3;

const PREFIX = "b";

/** The name of the brief schedule of a seed. */
export function briefName(seed: number): string {
  return `${PREFIX}${seed}`;
}

/** Whether a schedule of this name is a brief one. */
export function isBrief(name: string): boolean {
  return name.startsWith(PREFIX);
}

/** The swarm as a brief schedule runs it. */
export function brief(swarm: Swarm): Swarm {
  const { environment, broker, clients } = swarm;
  const [outageMsMin, outageMsMax] = environment.outageMs;
  const reconcile = { ...broker.reconcile, pendingAgeMs: broker.reconcile.pendingAgeMs * SOONER };
  return {
    ...swarm,
    faultPhaseMs: swarm.faultPhaseMs * SHORTER,
    cluster: timesScaled(swarm.cluster, SHORTER),
    environment: {
      ...timesScaled(environment, SHORTER),
      outageMs: [outageMsMin * SOONER, outageMsMax * SOONER],
    },
    broker: {
      ...broker,
      reconcile,
      checkpointIntervalMs: broker.checkpointIntervalMs * SOONER,
      retentionIntervalMs: broker.retentionIntervalMs * SOONER,
      removal: timesScaled(broker.removal, SOONER),
    },
    clients: {
      ...clients,
      memberStayMs: clients.memberStayMs * SOONER,
      retention: retentionScaled(clients.retention),
    },
  };
}

/** Share of the brief schedules that read as from a bucket: in chunks and runs of segments, ahead of who reads on. */
const CHUNKS_SHARE = 0.5;

/**
 * The swarm with reads as from a bucket, in a share of the schedules; the others, and all long ones, read what is asked
 * for. A run is a part of a segment, a chunk one of a write-ahead object, and the tail holds little.
 */
export function withChunks(swarm: Swarm, random: SimRandom): Swarm {
  if (!random.chance(CHUNKS_SHARE)) return swarm;
  const { broker } = swarm;
  const chunkBytes = random.pick([500, 1_500, 4_096, 4_096, 65_536]);
  const coldReads = {
    ...broker.coldReads,
    chunkBytes,
    walChunkBytes: chunkBytes * random.pick([1, 3]),
    getsInFlightMax: random.pick([2, 16]),
    readAheadBytes: chunkBytes * random.pick([0, 2, 8]),
  };
  return { ...swarm, broker: { ...broker, coldReads, tailBytes: random.pick([0, 0, 2_000, broker.tailBytes]) } };
}

/** The same with every `…EveryMs` that much shorter. */
function timesScaled<T extends object>(settings: T, factor: number): T {
  const scaled = Object.entries(settings).map(([name, value]) => [
    name,
    name.endsWith("EveryMs") && typeof value === "number" ? value * factor : value,
  ]);
  return Object.fromEntries(scaled) as T;
}

function retentionScaled(retention: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const ageMs = retention["retention.ms"];
  return ageMs === undefined ? retention : { ...retention, "retention.ms": String(Number(ageMs) * SOONER) };
}
