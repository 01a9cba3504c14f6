// Compares what a broker holds in RAM with what the stores say: exactly, in the step in which a session begins to serve
// (recovery is a function of the stores), and by bounds afterwards.
import { KafkaError } from "../../src/kafka-error.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import type { CommittedPartition } from "./committed-log.ts";
import type { Ledger } from "./ledger.ts";
import type { BrokerLife } from "./sim-broker.ts";
import type { StoreOracle } from "./store-oracle.ts";

/** Watches the partitions of the life that serves. */
export class StateCheck {
  readonly #ledger: Ledger;
  readonly #oracle: StoreOracle;
  /** Logs of the serving session, with the bounds seen last. */
  #watched: { readonly log: PartitionLog; readonly committed: CommittedPartition; start: number; end: number }[] = [];

  constructor(ledger: Ledger, oracle: StoreOracle) {
    this.#ledger = ledger;
    this.#oracle = oracle;
  }

  /** A session of `life` has just begun to serve: nothing can have been appended yet. */
  onServing(life: BrokerLife): void {
    this.#watched = [];
    let hasData = false;
    for (const committed of this.#oracle.log.partitions()) {
      const log = this.#logOf(life, committed);
      if (!log) continue;
      hasData ||= committed.end > 0;
      this.#checkRecovered(life, committed, log);
      this.#watched.push({ log, committed, start: log.logStart, end: log.highWatermark });
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

  #checkRecovered(life: BrokerLife, committed: CommittedPartition, log: PartitionLog): void {
    const { name, end, logStart } = committed;
    const isSame = log.highWatermark === end && log.logStart === logStart;
    this.#ledger.check("I10 recovery gives the committed log", isSame, () => {
      return `${life.name} recovered ${name} as ${log.logStart} to ${log.highWatermark}, committed are ${logStart} to ${end}`;
    });
    const extents = committed.extents.filter(({ extent }) => extent.baseOffset + extent.offsetCount > logStart);
    const isExtents =
      extents.length === log.extents.all.length &&
      extents.every(({ sessionId, flush, extent }, index) => {
        const found = log.extents.all[index];
        return (
          found?.sessionId === sessionId &&
          found.flush === flush &&
          found.baseOffset === extent.baseOffset &&
          found.position === extent.position &&
          found.crc32c === extent.crc32c
        );
      });
    this.#ledger.check("I12 every committed extent is referenced once", isExtents, () => {
      return `${life.name} recovered ${log.extents.all.length} extents of ${name}, ${extents.length} are committed and not below its start`;
    });
    this.#checkProducers(life, committed, log);
  }

  #checkProducers(life: BrokerLife, committed: CommittedPartition, log: PartitionLog): void {
    const expected = committed.producers();
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

  /** Bounds that hold at every moment. */
  checkBounds(life: BrokerLife): void {
    if (life.clock.isDead || life.isPaused) return;
    for (const watched of this.#watched) {
      const { log, committed } = watched;
      const { logStart, lastStableOffset, highWatermark } = log;
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
