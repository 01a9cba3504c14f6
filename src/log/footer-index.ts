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

/** Footers of one session. Grows to the ranges asked for; bounded by how many flushes a checkpoint may lag behind. */
export class FooterIndex {
  readonly #read: ReadFooter;
  readonly #footers = new Map<number, ShardFooter[]>();
  /** The range held so far; empty while first > last. */
  #first = 1;
  #last = 0;
  /** Loads one after another, so that none is done twice. */
  #loading: Promise<void> = Promise.resolve();

  constructor(read: ReadFooter) {
    this.#read = read;
  }

  /** What flushes `from` to `to` say about a shard, ascending. */
  async of(shard: number, from: number, to: number): Promise<readonly ShardFooter[]> {
    if (from > to) return [];
    const loading = this.#loading.then(() => this.#ensure(from, to));
    this.#loading = loading.catch(() => {});
    await loading;
    const footers = this.#footers.get(shard) ?? [];
    return footers.filter((footer) => footer.flush >= from && footer.flush <= to);
  }

  async #ensure(from: number, to: number): Promise<void> {
    if (this.#first > this.#last) {
      await this.#load(from, to);
      this.#first = from;
      this.#last = to;
      return;
    }
    if (from < this.#first) {
      await this.#load(from, this.#first - 1);
      this.#first = from;
    }
    if (to > this.#last) {
      await this.#load(this.#last + 1, to);
      this.#last = to;
    }
  }

  async #load(from: number, to: number): Promise<void> {
    const loaded: (readonly [number, ShardFooter])[] = [];
    for (let first = from; first <= to; first += READS_IN_PARALLEL) {
      const count = Math.min(READS_IN_PARALLEL, to - first + 1);
      const flushes = Array.from({ length: count }, (_, index) => first + index);
      const footers = await Promise.all(flushes.map((flush) => this.#read(flush)));
      for (const [index, footer] of footers.entries()) loaded.push(...splitByShard(first + index, footer));
    }
    // Only now, so that a failed read leaves nothing half done.
    for (const [shard, footer] of loaded) {
      const known = this.#footers.get(shard);
      if (known) known.push(footer);
      else this.#footers.set(shard, [footer]);
    }
    for (const footers of this.#footers.values()) footers.sort((a, b) => a.flush - b.flush);
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
