// Compares what brokers hold in RAM with what the stores say: what a shard was recovered as, when it was loaded (recovery
// is a function of the stores), and bounds afterwards.
import { shardOf } from "../../src/cluster/placement.ts";
import { KafkaError } from "../../src/kafka-error.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import type { CommittedPartition } from "./committed-log.ts";
import type { Ledger } from "./ledger.ts";
import type { BrokerLife } from "./sim-broker.ts";
import type { StoreOracle } from "./store-oracle.ts";

interface Watched {
  readonly life: BrokerLife;
  readonly log: PartitionLog;
  readonly committed: CommittedPartition;
  start: number;
  end: number;
}

/** Watches the partitions of the lives that serve. */
export class StateCheck {
  readonly #ledger: Ledger;
  readonly #oracle: StoreOracle;
  /** By life and partition: the log that serves, with the bounds seen last. */
  readonly #watched = new Map<string, Watched>();

  constructor(ledger: Ledger, oracle: StoreOracle) {
    this.#ledger = ledger;
    this.#oracle = oracle;
  }

  /** `life` has just loaded shards: each log that was not seen before is new. */
  onServing(life: BrokerLife): void {
    let hasData = false;
    for (const committed of this.#oracle.log.partitions()) {
      const log = this.#logOf(life, committed);
      const key = `${life.name} ${committed.name}`;
      if (!log || this.#watched.get(key)?.log === log) continue;
      hasData ||= committed.end > 0;
      this.#checkRecovered(life, committed, log);
      this.#watched.set(key, { life, log, committed, start: log.logStart, end: log.highWatermark });
    }
    if (hasData) this.#ledger.count("recoveries with records");
  }

  #logOf(life: BrokerLife, committed: CommittedPartition): PartitionLog | undefined {
    const { topicId, partition } = committed;
    if (!this.#oracle.liveTopicIds.has(topicId)) return undefined;
    try {
      return life.brokerLog?.partition(topicId, partition);
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return undefined;
    }
  }

  /** Against the terms before the one of `log`: its own may have committed since it was loaded. */
  #checkRecovered(life: BrokerLife, committed: CommittedPartition, log: PartitionLog): void {
    const { name, topicId, partition } = committed;
    const shard = shardOf(topicId, partition);
    const moves = this.#oracle.logStarts.get(committed) ?? [];
    const before = committed.extents.filter(({ extent }) => extent.shardEpoch < log.leaderEpoch);
    const last = before.at(-1)?.extent;
    const end = last ? last.baseOffset + last.offsetCount : 0;
    const start = moves.filter(({ epoch }) => epoch < log.leaderEpoch).at(-1)?.logStart ?? 0;
    const isWithin = log.highWatermark >= end && log.highWatermark <= committed.end;
    const isFrom = log.logStart >= start && log.logStart <= committed.logStart;
    this.#ledger.check("I10 recovery gives the committed log", isWithin && isFrom, () => {
      return `${life.name} recovered ${name} as ${log.logStart} to ${log.highWatermark}, committed were ${start} to ${end}, are ${committed.logStart} to ${committed.end}`;
    });
    const { segments } = log.stored;
    const reconciledEnd = segments.all.at(-1)?.endOffset ?? 0;
    if (segments.all.length > 0) this.#ledger.count("recoveries with segments");
    const extents = before.filter(({ extent }) => {
      return extent.baseOffset + extent.offsetCount > Math.max(log.logStart, reconciledEnd);
    });
    const found = log.extents.all.filter(({ leaderEpoch }) => leaderEpoch < log.leaderEpoch);
    const isExtents =
      extents.length === found.length &&
      extents.every(({ sessionId, flush, extent }, index) => {
        const other = found[index];
        return (
          other?.sessionId === sessionId &&
          other.flush === flush &&
          other.baseOffset === extent.baseOffset &&
          other.position === extent.position &&
          other.crc32c === extent.crc32c
        );
      });
    this.#ledger.check("I12 every committed extent is referenced once", isExtents, () => {
      return `${life.name} recovered ${found.length} extents of ${name} (shard ${shard}), ${extents.length} are committed and not below its start`;
    });
    if (log.highWatermark === end) this.#checkProducers(life, committed, log);
  }

  #checkProducers(life: BrokerLife, committed: CommittedPartition, log: PartitionLog): void {
    const expected = committed.producers(log.highWatermark);
    const found = log.producers.snapshot();
    const isSame =
      found.length === expected.size &&
      found.every(({ producerId, producerEpoch, batches }) => {
        const state = expected.get(producerId);
        return (
          state?.epoch === producerEpoch &&
          state.batches.length === batches.length &&
          state.batches.every((batch, index) => {
            const other = batches[index];
            return (
              other?.firstSequence === batch.firstSequence &&
              other.lastSequence === batch.lastSequence &&
              other.baseOffset === batch.baseOffset
            );
          })
        );
      });
    this.#ledger.check("I10 recovery gives the committed producer state", isSame, () => {
      return `${life.name} recovered ${found.length} producers of ${committed.name}, committed are ${expected.size}`;
    });
  }

  /** Whether every offset of a log has one place. Segments and extents are dense each by themselves. */
  #isDense({ logStart, highWatermark, stored }: PartitionLog): boolean {
    const segments = stored.segments.all;
    const extents = stored.extents.all;
    const first = segments[0] ?? extents[0];
    if (!first) return logStart === highWatermark;
    const end = (extents.at(-1) ?? segments.at(-1))?.endOffset;
    const isJoined =
      segments.length === 0 || extents.length === 0 || segments.at(-1)?.endOffset === extents[0]?.baseOffset;
    return isJoined && first.baseOffset <= logStart && first.endOffset > logStart && end === highWatermark;
  }

  /** Bounds that hold at every moment. */
  checkBounds(): void {
    for (const [key, watched] of this.#watched) {
      const { life, log, committed } = watched;
      if (life.clock.isDead) this.#watched.delete(key);
      if (life.clock.isDead || life.isPaused) continue;
      const { logStart, lastStableOffset, highWatermark, stored } = log;
      const isDense = this.#isDense(log);
      this.#ledger.check("I12 segments and pending extents are dense", isDense, () => {
        const ranges = [...stored.units()].map(({ baseOffset, endOffset }) => `${baseOffset}-${endOffset}`);
        return `${committed.name} from ${logStart} to ${highWatermark} lies in ${ranges.join(" ")}`;
      });
      const isOrdered = logStart <= lastStableOffset && lastStableOffset <= highWatermark;
      const isForward = logStart >= watched.start && highWatermark >= watched.end;
      this.#ledger.check("I14 log start <= stable offset <= high watermark", isOrdered && isForward, () => {
        return `${committed.name}: ${logStart}, ${lastStableOffset}, ${highWatermark} after ${watched.start}, ${watched.end}`;
      });
      this.#ledger.check("I14 the log start is the committed one", logStart <= committed.logStart, () => {
        return `${committed.name} starts at ${logStart}, committed is ${committed.logStart}`;
      });
      this.#ledger.check("I8 the high watermark is committed", highWatermark <= committed.end, () => {
        return `${committed.name} has the high watermark ${highWatermark}, committed are ${committed.end}`;
      });
      watched.start = logStart;
      watched.end = highWatermark;
    }
  }
}
