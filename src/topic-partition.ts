// Addresses of a log and the number types of the protocol. An int64 is a `number`, refused outside the safe range.
import { invariant } from "./invariant.ts";

/** Offset of a record in its partition: 0 and up. */
export type Offset = number;
/** Milliseconds since the Unix epoch, -1 where Kafka says "none". */
export type TimestampMs = number;
/** Number of a leadership of a partition: the epoch of its shard, 1 and up. */
export type LeaderEpoch = number;
/** A topic id as Kafka prints it: base64url of 16 bytes without padding, 22 characters (KIP-516). */
export type TopicId = string;

/** A partition by the topic's id: what storage uses, so that a re-created topic shares nothing with its predecessor. */
export interface TopicIdPartition {
  readonly topicId: TopicId;
  readonly partition: number;
}

/** The id that stands for "none" (16 zero bytes). */
export const ZERO_TOPIC_ID: TopicId = "AAAAAAAAAAAAAAAAAAAAAA";

/** The one spelling of a partition as the key of a map: `<topic id>-<partition>`. */
export function partitionKey(topicId: TopicId, partition: number): string {
  return `${topicId}-${partition}`;
}

/** Distance of `offset` from `base` as an int32. */
export function relativeOffset(base: Offset, offset: Offset): number {
  const delta = offset - base;
  invariant(delta >= 0 && delta <= 0x7fff_ffff, `offset ${offset} is outside the batch or segment based at ${base}`);
  return delta;
}
