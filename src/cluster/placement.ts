// Who should own what, as a pure function of ids. It decides nothing: a claim transaction says who does.
// Changing a hash here would move data between shards; a golden test pins both.
import { createHash } from "node:crypto";
import type { TopicId } from "../topic-partition.ts";
import type { SessionId } from "./session-id.ts";

/** Shards of a cluster, for ever. */
export const SHARD_COUNT = 1024;

/** Results kept: hashing again is dear for a path that every produce takes. */
const REMEMBERED_MAX = 65_536;
const remembered = new Map<TopicId, Map<number, number>>();
let rememberedCount = 0;

/** The shard of a partition: internal topics likewise, and growth of a topic moves nothing. */
export function shardOf(topicId: TopicId, partition: number): number {
  const known = remembered.get(topicId)?.get(partition);
  if (known !== undefined) return known;
  const input = Buffer.alloc(20);
  input.write(topicId, "base64url");
  input.writeInt32BE(partition, 16);
  const shard = createHash("sha256").update(input).digest().readUInt32BE(0) % SHARD_COUNT;
  // A bounded memory of a pure function: emptied rather than grown.
  if (++rememberedCount > REMEMBERED_MAX) {
    remembered.clear();
    rememberedCount = 1;
  }
  const ofTopic = remembered.get(topicId) ?? new Map<number, number>();
  remembered.set(topicId, ofTopic.set(partition, shard));
  return shard;
}

/** The shard whose owner removes what a dead session left: the id, 96 bits big-endian, modulo the number of shards. */
export function sweepingShardOf(sessionId: SessionId): number {
  return Number(BigInt(`0x${sessionId}`) % BigInt(SHARD_COUNT));
}

/**
 * The broker that should own a shard: rendezvous hashing over `brokerIds` (live and not draining), so that a broker
 * that leaves or returns moves only its own shards. Undefined if there is none.
 */
export function ownerFor(shard: number, brokerIds: readonly number[]): number | undefined {
  if (brokerIds.length <= 1) return brokerIds[0];
  let owner: number | undefined;
  let ownerWeight = -1n;
  for (const brokerId of brokerIds) {
    const weight = weightOf(brokerId, shard);
    if (weight > ownerWeight || (weight === ownerWeight && owner !== undefined && brokerId < owner)) {
      owner = brokerId;
      ownerWeight = weight;
    }
  }
  return owner;
}

/** The last placement computed: asked for again at every change of the image, and it changes with the brokers alone. */
let placed: { readonly key: string; readonly owners: readonly (number | undefined)[] } = { key: "", owners: [] };

/** {@link ownerFor} of every shard, by shard. */
export function placement(brokerIds: readonly number[]): readonly (number | undefined)[] {
  const key = brokerIds.join();
  if (placed.key !== key || placed.owners.length === 0) {
    placed = { key, owners: Array.from({ length: SHARD_COUNT }, (_, shard) => ownerFor(shard, brokerIds)) };
  }
  return placed.owners;
}

/** Broker ids whose weights are kept, 8 KiB each: more than a cluster has brokers. */
const WEIGHED_BROKERS_MAX = 256;
/** By broker id, the weights of all shards: hashed once, however often brokers come and go. */
const weights = new Map<number, BigUint64Array>();

function weightOf(brokerId: number, shard: number): bigint {
  const known = weights.get(brokerId);
  if (known) return known[shard] as bigint;
  // A bounded memory of a pure function, as that of shards.
  if (weights.size === WEIGHED_BROKERS_MAX) weights.clear();
  const hashed = BigUint64Array.from({ length: SHARD_COUNT }, (_, each) => hashOf(brokerId, each));
  weights.set(brokerId, hashed);
  return hashed[shard] as bigint;
}

function hashOf(brokerId: number, shard: number): bigint {
  const input = Buffer.alloc(8);
  input.writeInt32BE(brokerId, 0);
  input.writeInt32BE(shard, 4);
  return createHash("sha256").update(input).digest().readBigUInt64BE(0);
}
