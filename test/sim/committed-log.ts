// What is committed, as the stores themselves say it: one global log that every answer of the broker is compared with.
// It is fed by the store oracle from the bytes of WAL objects, in the order in which head transactions are applied.

import type { WalExtent } from "../../src/objects/wal-object.ts";
import type { RecordBatchView } from "../../src/records/record-batch.ts";
import { partitionKey, type TopicId } from "../../src/topic-partition.ts";
import { attemptName, type BatchIdentity, identityOfBatch } from "./batch-identity.ts";
import type { Ledger } from "./ledger.ts";

/** A committed batch. */
export interface CommittedBatch {
  readonly baseOffset: number;
  readonly nextOffset: number;
  /** Checksum of everything but offset and epoch: the same in the store, in a fetch and at the producer. */
  readonly crc: number;
  readonly leaderEpoch: number;
  readonly baseTimestampMs: number;
  readonly maxTimestampMs: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Undefined for records of coordinators. */
  readonly identity: BatchIdentity | undefined;
  /** Who committed it. */
  readonly sessionId: string;
}

/** A committed extent. */
export interface CommittedExtent {
  readonly sessionId: string;
  readonly flush: number;
  readonly extent: WalExtent;
}

/** The committed records of one partition. */
export class CommittedPartition {
  readonly topicId: TopicId;
  readonly partition: number;
  /** Ascending and dense. */
  readonly batches: CommittedBatch[] = [];
  readonly extents: CommittedExtent[] = [];
  readonly #indexByOffset = new Map<number, number>();
  end = 0;
  logStart = 0;
  /** Largest log start that somebody was told to be in force. */
  answeredLogStart = 0;

  constructor(topicId: TopicId, partition: number) {
    this.topicId = topicId;
    this.partition = partition;
  }

  get name(): string {
    return partitionKey(this.topicId, this.partition);
  }

  add(batch: CommittedBatch): void {
    this.#indexByOffset.set(batch.baseOffset, this.batches.length);
    this.batches.push(batch);
    this.end = batch.nextOffset;
  }

  /** The batch that begins at an offset. */
  batchAt(baseOffset: number): CommittedBatch | undefined {
    const index = this.#indexByOffset.get(baseOffset);
    return index === undefined ? undefined : this.batches[index];
  }

  /** The batch that holds an offset. */
  batchWith(offset: number): CommittedBatch | undefined {
    let low = 0;
    let high = this.batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.batches[middle]?.nextOffset ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return this.batches[low];
  }

  /** The last five batches of each producer below `end`, oldest first: what a broker has to recognise. */
  producers(end = this.end): Map<number, { epoch: number; batches: CommittedBatch[] }> {
    const states = new Map<number, { epoch: number; batches: CommittedBatch[] }>();
    for (const batch of this.batches) {
      if (batch.producerId < 0 || batch.nextOffset > end) continue;
      const state = states.get(batch.producerId) ?? { epoch: batch.producerEpoch, batches: [] };
      states.set(batch.producerId, state);
      if (state.epoch !== batch.producerEpoch) state.batches.length = 0;
      state.epoch = batch.producerEpoch;
      state.batches.push(batch);
      if (state.batches.length > 5) state.batches.shift();
    }
    return states;
  }
}

/** All partitions, and what clients were told of the attempts to append. */
export class CommittedLog {
  readonly #ledger: Ledger;
  readonly #partitions = new Map<string, CommittedPartition>();
  /** Attempts that were answered with an error that says: this is not and will not be in the log. */
  readonly #refused = new Map<string, number>();
  readonly #landed = new Set<string>();
  /** Last committed sequence by partition, producer id and epoch. */
  readonly #sequences = new Map<string, { epoch: number; last: number }>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  partitions(): Iterable<CommittedPartition> {
    return this.#partitions.values();
  }

  /** A partition's committed records; empty for one that nothing was committed to. */
  partition(topicId: TopicId, partition: number): CommittedPartition {
    const key = partitionKey(topicId, partition);
    let known = this.#partitions.get(key);
    if (!known) {
      known = new CommittedPartition(topicId, partition);
      this.#partitions.set(key, known);
    }
    return known;
  }

  /** Takes a batch of a committed extent in. */
  commit(
    partition: CommittedPartition,
    view: RecordBatchView,
    { isInternal, sessionId }: { readonly isInternal: boolean; readonly sessionId: string },
  ): void {
    const identity = isInternal ? undefined : identityOfBatch(view);
    this.#ledger.check("I6 offsets are dense across sessions", view.baseOffset === partition.end, () => {
      return `${partition.name} ends at ${partition.end}, the next committed batch begins at ${view.baseOffset}`;
    });
    const last = partition.batches.at(-1);
    // What lies below the log start is gone, and its times with it.
    const before = last && last.nextOffset > partition.logStart ? last.maxTimestampMs : -1;
    if (view.timestampType === "LogAppendTime") {
      this.#ledger.check("I17 append times of a partition never go back", view.maxTimestamp >= before, () => {
        return `${partition.name} at ${view.baseOffset}: ${view.maxTimestamp} follows ${before}`;
      });
    }
    const batch: CommittedBatch = {
      baseOffset: view.baseOffset,
      nextOffset: view.nextOffset,
      crc: view.crc,
      leaderEpoch: view.partitionLeaderEpoch,
      baseTimestampMs: view.baseTimestamp,
      maxTimestampMs: view.maxTimestamp,
      producerId: view.producerId,
      producerEpoch: view.producerEpoch,
      firstSequence: view.baseSequence,
      lastSequence: view.lastSequence,
      identity,
      sessionId,
    };
    partition.add(batch);
    if (identity) this.#noteLanded(partition, identity);
    if (batch.producerId >= 0) this.#checkSequence(partition, batch);
  }

  /** A client got an error that is definite. */
  refuse(identity: BatchIdentity, code: number): void {
    const name = attemptName(identity);
    this.#refused.set(name, code);
    this.#ledger.check("a definite error is never followed by the record", !this.#landed.has(name), () => {
      return `attempt ${name} is committed and was answered with error ${code}`;
    });
  }

  #noteLanded(partition: CommittedPartition, identity: BatchIdentity): void {
    const name = attemptName(identity);
    const code = this.#refused.get(name);
    this.#ledger.check("a definite error is never followed by the record", code === undefined, () => {
      return `attempt ${name} was answered with error ${code} and is now committed to ${partition.name}`;
    });
    this.#ledger.check("I6 an attempt is committed once", !this.#landed.has(name), () => {
      return `attempt ${name} is committed twice, the second time to ${partition.name}`;
    });
    this.#landed.add(name);
  }

  #checkSequence(partition: CommittedPartition, batch: CommittedBatch): void {
    const key = `${partition.name}/${batch.producerId}`;
    const known = this.#sequences.get(key);
    const expected = !known || known.epoch !== batch.producerEpoch ? 0 : known.last + 1;
    this.#ledger.check("I7 no duplicate and no gap under idempotence", batch.firstSequence === expected, () => {
      return `${partition.name} at ${batch.baseOffset}: producer ${batch.producerId} has sequence ${batch.firstSequence}, expected ${expected}`;
    });
    this.#sequences.set(key, { epoch: batch.producerEpoch, last: batch.lastSequence });
  }
}
