// The footers of one session's flushes, read once and split by shard: what the terms of all its shards are replayed from.
import { shardOf } from "../cluster/placement.ts";
import type { WalExtent, WalFooter, WalLogStart } from "../objects/wal-object.ts";
import type { TopicId } from "../topic-partition.ts";
import type { CommittedProducerBatch } from "./partition-log.ts";

/** One flush as one shard sees it. */
export interface ShardFooter {
  readonly flush: number;
  readonly extents: { readonly extent: WalExtent; readonly producerBatches: CommittedProducerBatch[] }[];
  readonly logStarts: WalLogStart[];
}

/** Reads one footer. */
export type ReadFooter = (flush: number) => Promise<WalFooter>;

/** Footers read at the same time. */
const READS_IN_PARALLEL = 16;

/**
 * Footers of one session. Grows to the flushes asked for; bounded by how many flushes a checkpoint may lag behind. Who
 * asks waits for the footers in his range and for no other: one that cannot be read holds up nobody who needs it not.
 */
export class FooterIndex {
  readonly #read: ReadFooter;
  /** Of each flush that was read, its parts by shard. */
  readonly #footers = new Map<number, Map<number, ShardFooter>>();
  /** Reads under way: none is done twice, and none that failed is remembered. */
  readonly #reading = new Map<number, Promise<void>>();

  constructor(read: ReadFooter) {
    this.#read = read;
  }

  /** What flushes `from` to `to` say about a shard, ascending. */
  async of(shard: number, from: number, to: number): Promise<readonly ShardFooter[]> {
    for (let first = from; first <= to; first += READS_IN_PARALLEL) {
      const reads: Promise<void>[] = [];
      for (let flush = first; flush <= Math.min(to, first + READS_IN_PARALLEL - 1); flush++) {
        if (!this.#footers.has(flush)) reads.push(this.#load(flush));
      }
      if (reads.length > 0) await Promise.all(reads);
    }
    const found: ShardFooter[] = [];
    for (let flush = from; flush <= to; flush++) {
      const part = this.#footers.get(flush)?.get(shard);
      if (part) found.push(part);
    }
    return found;
  }

  #load(flush: number): Promise<void> {
    const known = this.#reading.get(flush);
    if (known) return known;
    const reading = this.#read(flush)
      .then((footer) => void this.#footers.set(flush, splitByShard(flush, footer)))
      .finally(() => this.#reading.delete(flush));
    this.#reading.set(flush, reading);
    return reading;
  }
}

function splitByShard(flush: number, footer: WalFooter): Map<number, ShardFooter> {
  const shards = new Map<number, ShardFooter>();
  const of = (at: { topicId: TopicId; partition: number }): ShardFooter => {
    const shard = shardOf(at.topicId, at.partition);
    let part = shards.get(shard);
    if (!part) {
      part = { flush, extents: [], logStarts: [] };
      shards.set(shard, part);
    }
    return part;
  };
  const producerBatches = footer.extents.map((extent) => {
    const batches: CommittedProducerBatch[] = [];
    of(extent).extents.push({ extent, producerBatches: batches });
    return batches;
  });
  for (const batch of footer.producerBatches) producerBatches[batch.extentIndex]?.push(batch);
  for (const change of footer.logStarts) of(change).logStarts.push(change);
  return shards;
}
