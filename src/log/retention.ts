// Cuts logs by age and size as Kafka does: whole units from the oldest on, by moving the log start through the log itself.
// Never an internal partition, never a topic whose policy does not say `delete`. The wall clock decides age and nothing else.
import type { ImageFeed } from "../cluster/image-feed.ts";
import { topicConfigNumber, topicConfigText } from "../cluster/topic-configs.ts";
import { type Clock, sleep } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { KafkaError } from "../kafka-error.ts";
import type { Offset, TimestampMs } from "../topic-partition.ts";
import type { PartitionLog } from "./partition-log.ts";
import type { ShardLog } from "./shard-log.ts";
import type { TimedRange } from "./timestamp-search.ts";

/** Parts of {@link runRetention}. */
export interface RetentionComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly feed: ImageFeed;
  readonly intervalMs: number;
  readonly shards: () => readonly ShardLog[];
}

/** How long a log may be. */
export interface RetentionLimits {
  /** A unit goes when its newest record is older; -1 is never. */
  readonly retentionMs: number;
  /** Units go while so much is left without them; -1 is never. */
  readonly retentionBytes: number;
}

/** Looks at every partition, again and again, until the signal aborts. */
export async function runRetention(parts: RetentionComponents, signal: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(parts.clock, parts.intervalMs, signal);
    const moves: Promise<void>[] = [];
    for (const shardLog of parts.shards()) {
      if (shardLog.status !== "ready") continue;
      for (const partition of shardLog.partitions.values()) {
        const offset = expiredUpTo(parts, partition);
        if (offset > partition.logStart) moves.push(move(parts.log, partition, offset));
      }
    }
    await Promise.all(moves);
  }
}

async function move(log: Log, partition: PartitionLog, offset: Offset): Promise<void> {
  const { topicId, partition: index } = partition;
  try {
    await partition.moveLogStart(offset);
    log.debug("records expired", { topicId, partition: index, logStart: offset });
  } catch (error) {
    // The shard has left or the session has ended: who owns it now looks for himself.
    if (!(error instanceof KafkaError)) throw error;
  }
}

/** The offset up to which a partition has outlived what its topic asks for; its log start when it has not. */
function expiredUpTo({ feed, clock }: RetentionComponents, partition: PartitionLog): Offset {
  const topic = feed.current.topicById(partition.topicId);
  if (!topic || topic.isInternal || partition.isInternal) return partition.logStart;
  const policies = topicConfigText(topic.configs, "cleanup.policy").split(",");
  if (!policies.some((policy) => policy.trim() === "delete")) return partition.logStart;
  const limits = {
    retentionMs: topicConfigNumber(topic.configs, "retention.ms"),
    retentionBytes: topicConfigNumber(topic.configs, "retention.bytes"),
  };
  return retentionOffset(partition.stored, limits, clock.wallMs()) ?? partition.logStart;
}

/** The end of the last unit that goes; undefined when none does. A unit without any timestamp has no age. */
export function retentionOffset(
  stored: { readonly bytes: number; units(): Iterable<TimedRange & { readonly bytes: number }> },
  { retentionMs, retentionBytes }: RetentionLimits,
  nowMs: TimestampMs,
): Offset | undefined {
  let remaining = stored.bytes;
  let offset: Offset | undefined;
  let isYoung = retentionMs < 0;
  for (const { endOffset, maxTimestampMs, bytes } of stored.units()) {
    isYoung ||= maxTimestampMs < 0 || nowMs - maxTimestampMs <= retentionMs;
    const isSurplus = retentionBytes >= 0 && remaining - bytes >= retentionBytes;
    if (isYoung && !isSurplus) return offset;
    offset = endOffset;
    remaining -= bytes;
  }
  return offset;
}
