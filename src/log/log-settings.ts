// Bounds and waits of the log. Plain numbers; every default says where it comes from.
import type { ColdReadSettings } from "./cold-reads.ts";
import type { PutBudgetSettings } from "./put-budget.ts";
import { defaultReconcile, type ReconcileSettings } from "./reconcile-plan.ts";
import type { RemovalSettings } from "./remover.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Settings of a broker's log. Bytes, milliseconds, counts. */
export interface LogSettings {
  readonly putBudget: PutBudgetSettings;
  /** A flush leaves without a token at this many bytes; a buffer of more than one and a half times as many is split evenly. */
  readonly flushBytes: number;
  /** A flush leaves without a token at this many partitions. */
  readonly flushExtentsMax: number;
  /** How long the first item of a flush waits for company while tokens last. */
  readonly lingerMinMs: number;
  /** How long it waits at most: `flushIntervalMs` of the user's settings. */
  readonly lingerMaxMs: number;
  /** Flushes sealed and not yet committed. */
  readonly flushesInFlightMax: number;
  readonly storeAttemptTimeoutMs: number;
  /**
   * How long recovery tries to read one object. More than a broker that has lost the whole store needs to find out: that
   * one ends its session, so that another claims its shards.
   */
  readonly readPatienceMs: number;
  /** Pause before a shard that could not be recovered or claimed is tried again. */
  readonly failedShardRetryMs: number;
  /** After this the session dies: what it could not write it gives up for good. */
  readonly putTimeoutMs: number;
  /** After this without an answer to a head transaction the session dies. */
  readonly headTimeoutMs: number;
  /** A waiter whose outcome is unknown is told so after this long. */
  readonly unknownOutcomeMs: number;
  /** Newest committed bytes kept in RAM. */
  readonly tailBytes: number;
  /** Bytes of older extents kept in RAM. */
  readonly readCacheBytes: number;
  /** Bytes of older extents that may be on their way from the store at the same time. */
  readonly readsInFlightBytes: number;
  readonly coldReads: ColdReadSettings;
  readonly checkpointIntervalMs: number;
  readonly checkpointFlushes: number;
  readonly checkpointFooterBytes: number;
  readonly removal: RemovalSettings;
  /** `producer.id.expiration.ms` of Kafka. */
  readonly producerIdExpirationMs: number;
  readonly reconcile: ReconcileSettings;
  /** How often logs are cut by age and size; `log.retention.check.interval.ms` of Kafka. */
  readonly retentionIntervalMs: number;
}

/** The defaults of the embedded stores: no price per PUT, so flushes are bounded by the pipeline alone. */
export const embeddedLogSettings: LogSettings = {
  putBudget: { perSecond: 0, burst: 0 },
  flushBytes: 8 * MIB,
  flushExtentsMax: 4096,
  lingerMinMs: 2,
  lingerMaxMs: 250,
  flushesInFlightMax: 8,
  storeAttemptTimeoutMs: 10_000,
  readPatienceMs: 60_000,
  failedShardRetryMs: 60_000,
  putTimeoutMs: 30_000,
  headTimeoutMs: 30_000,
  unknownOutcomeMs: 10_000,
  tailBytes: 64 * MIB,
  readCacheBytes: 32 * MIB,
  readsInFlightBytes: 64 * MIB,
  // A GET costs no more than its bytes here, and nothing is gained by a second one.
  coldReads: {
    chunkBytes: 0,
    walChunkBytes: 0,
    getsInFlightMax: 1_024,
    largeGetsInFlightMax: 1_024,
    bytesPerSecond: 0,
    bytesPerSecondBesideProducers: 0,
    hedgeMsMin: Number.POSITIVE_INFINITY,
    readAheadBytes: 0,
  },
  checkpointIntervalMs: 5_000,
  // At most this many footers are read back at a start: one file each, so that a start stays within two seconds.
  checkpointFlushes: 2_048,
  checkpointFooterBytes: 4 * MIB,
  // A reader may hold on to what it found for as long as a slow client takes; a look is one range of the claims.
  removal: { graceMs: 600_000, lookEveryMs: 60_000, sweepEveryMs: 3_600_000, objectsPerSecond: 1_000 },
  producerIdExpirationMs: 86_400_000,
  // Nothing is paid for a file.
  reconcile: { ...defaultReconcile, smallPutsPerSecond: 0 },
  retentionIntervalMs: 300_000,
};
