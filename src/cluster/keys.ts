// The only place that spells a key of the metadata store, and the protobuf codec of each value. protobuf's int64 becomes
// a number here and nowhere else. Refuses a value that is not what its key says, naming the key.
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  ClusterIdentitySchema,
  ProducerIdBlockSchema,
  TopicConfigSchema,
} from "../../generated/proto/kafscale/metadata/v1/cluster_pb.ts";
import {
  CheckpointPointerSchema,
  HeadSchema,
  SessionSchema,
  ShardClaimSchema,
} from "../../generated/proto/kafscale/metadata/v1/ownership_pb.ts";
import { invariant } from "../invariant.ts";
import type { KeyValue } from "../kv/key-value-store.ts";
import type { TimestampMs, TopicId } from "../topic-partition.ts";
import { SHARD_COUNT } from "./placement.ts";
import { type SessionId, sessionIdFromBytes, sessionIdToBytes } from "./session-id.ts";
import type { ShardClaim } from "./shard-claim.ts";

/** A stored value that cannot be read: corruption, or a newer program's. */
export class MetadataFormatError extends Error {
  override readonly name = "MetadataFormatError";
}

/** Who the cluster is. */
export interface ClusterIdentity {
  /** Kafka's text form of a uuid. */
  readonly clusterId: string;
  /** 1 at first; grows when an operator accepts a restored backup. */
  readonly generation: number;
}

/** What a live session says of itself. */
export interface SessionRecord {
  readonly brokerId: number;
  /** Hex digits, random per process start. */
  readonly process: string;
  /** Where clients reach the broker. */
  readonly host: string;
  readonly port: number;
  /** Where other brokers reach it; "" and 0 where they cannot. */
  readonly controlHost: string;
  readonly controlPort: number;
  /** Availability zone, empty if unknown. */
  readonly rack: string;
  /** Version of the program. */
  readonly version: string;
  readonly isDraining: boolean;
}

/** "Flushes up to `n` of this session are committed." */
export interface HeadRecord {
  readonly n: number;
  /** For people; it makes no decision. */
  readonly committedAtMs: TimestampMs;
}

/** A topic as stored; the key carries its name. */
export interface TopicRecord {
  readonly topicId: TopicId;
  readonly partitionCount: number;
  /** Overrides only, by Kafka's names. */
  readonly configs: ReadonlyMap<string, string>;
  /** For people. */
  readonly createdAtMs: TimestampMs;
}

/** Every key of one cluster: `/kafscale/<cluster>/…`. */
export class ClusterKeys {
  readonly #prefix: string;

  /** @param clusterName 1 to 63 of `[A-Za-z0-9._-]`, not a dot or two */
  constructor(clusterName: string) {
    if (!/^[A-Za-z0-9._-]{1,63}$/.test(clusterName) || /^\.{1,2}$/.test(clusterName)) {
      throw new Error(`cluster name "${clusterName}" is not 1 to 63 of [A-Za-z0-9._-]`);
    }
    this.#prefix = `/kafscale/${clusterName}/`;
  }

  /** What every key of the cluster begins with. */
  get prefix(): string {
    return this.#prefix;
  }

  /** The identity of the cluster. */
  get cluster(): string {
    return `${this.#prefix}cluster`;
  }

  /** The next block of producer ids. */
  get producerIdBlock(): string {
    return `${this.#prefix}p/block`;
  }

  /** Changed by every deletion of a topic: a creation compares it, so that no late copy revives a deleted id. */
  get topicDeletions(): string {
    return `${this.#prefix}topic-deletions`;
  }

  /** Prefix of all sessions. */
  get sessions(): string {
    return `${this.#prefix}s/`;
  }

  /** Prefix of all shard claims. */
  get claims(): string {
    return `${this.#prefix}a/`;
  }

  /** Prefix of all topics. */
  get topics(): string {
    return `${this.#prefix}topics/`;
  }

  /** A live session. */
  session(sessionId: SessionId): string {
    return this.sessions + sessionId;
  }

  /** Prefix of all heads. */
  get heads(): string {
    return `${this.#prefix}h/`;
  }

  /** A session's head. */
  head(sessionId: SessionId): string {
    return this.heads + sessionId;
  }

  /** Prefix of all pointers to newest checkpoints. */
  get checkpoints(): string {
    return `${this.#prefix}c/`;
  }

  /** A session's newest checkpoint. */
  checkpoint(sessionId: SessionId): string {
    return this.checkpoints + sessionId;
  }

  /** A shard's claim. */
  claim(shard: number): string {
    invariant(Number.isInteger(shard) && shard >= 0 && shard < SHARD_COUNT, `${shard} is not a shard`);
    return this.claims + shard;
  }

  /** A topic. */
  topic(name: string): string {
    return this.topics + name;
  }

  /** The session of a key below {@link sessions}. */
  sessionOf(key: string): SessionId {
    return checkedTail(key, this.sessions, /^[0-9a-f]{24}$/);
  }

  /** The session of a key below {@link heads}. */
  sessionOfHead(key: string): SessionId {
    return checkedTail(key, this.heads, /^[0-9a-f]{24}$/);
  }

  /** The session of a key below {@link checkpoints}. */
  sessionOfCheckpoint(key: string): SessionId {
    return checkedTail(key, this.checkpoints, /^[0-9a-f]{24}$/);
  }

  /** The shard of a key below {@link claims}. */
  shardOf(key: string): number {
    const shard = Number(checkedTail(key, this.claims, /^(0|[1-9][0-9]{0,3})$/));
    if (shard >= SHARD_COUNT) throw new MetadataFormatError(`${key}: there is no such shard`);
    return shard;
  }

  /** The name of a key below {@link topics}. */
  topicOf(key: string): string {
    return checkedTail(key, this.topics, /^[A-Za-z0-9._-]{1,249}$/);
  }
}

/** Bytes of the value of `cluster`. */
export function encodeClusterIdentity(identity: ClusterIdentity): Uint8Array {
  return encode(ClusterIdentitySchema, { clusterId: identity.clusterId, generation: BigInt(identity.generation) });
}

/** @throws MetadataFormatError naming the key */
export function decodeClusterIdentity(entry: KeyValue): ClusterIdentity {
  return decode(entry, ClusterIdentitySchema, ({ clusterId, generation }) => ({
    clusterId,
    generation: natural(generation),
  }));
}

/** Bytes of the value of `s/`. */
export function encodeSession({ process, isDraining, ...record }: SessionRecord): Uint8Array {
  return encode(SessionSchema, {
    ...record,
    process: new Uint8Array(Buffer.from(process, "hex")),
    draining: isDraining,
  });
}

/** @throws MetadataFormatError naming the key */
export function decodeSession(entry: KeyValue): SessionRecord {
  return decode(entry, SessionSchema, ({ process, draining, ...record }) => ({
    brokerId: record.brokerId,
    process: Buffer.from(process).toString("hex"),
    host: record.host,
    port: record.port,
    controlHost: record.controlHost,
    controlPort: record.controlPort,
    rack: record.rack,
    version: record.version,
    isDraining: draining,
  }));
}

/** Bytes of the value of `h/`. */
export function encodeHead(head: HeadRecord): Uint8Array {
  return encode(HeadSchema, { n: BigInt(head.n), committedAtMs: BigInt(head.committedAtMs) });
}

/** @throws MetadataFormatError naming the key */
export function decodeHead(entry: KeyValue): HeadRecord {
  return decode(entry, HeadSchema, ({ n, committedAtMs }) => ({ n: natural(n), committedAtMs: Number(committedAtMs) }));
}

/** Bytes of the value of `c/`. */
export function encodeCheckpointPointer(objectKey: string): Uint8Array {
  return encode(CheckpointPointerSchema, { objectKey });
}

/** The object key in a value of `c/`. @throws MetadataFormatError naming the key */
export function decodeCheckpointPointer(entry: KeyValue): string {
  return decode(entry, CheckpointPointerSchema, ({ objectKey }) => objectKey);
}

/** Bytes of the value of `a/`. */
export function encodeClaim(claim: ShardClaim): Uint8Array {
  const { base } = claim;
  return encode(ShardClaimSchema, {
    session: sessionIdToBytes(claim.sessionId),
    epoch: claim.epoch,
    ...(base && {
      base: {
        objectKey: base.objectKey,
        position: BigInt(base.position),
        length: BigInt(base.length),
        session: sessionIdToBytes(base.sessionId),
        n: BigInt(base.n),
      },
    }),
    prev: claim.prev.map(({ sessionId, epoch, from, to }) => ({
      session: sessionIdToBytes(sessionId),
      epoch,
      from: BigInt(from),
      to: BigInt(to),
    })),
  });
}

/** @throws MetadataFormatError naming the key */
export function decodeClaim(entry: KeyValue): ShardClaim {
  return decode(entry, ShardClaimSchema, ({ session, epoch, base, prev }) => ({
    sessionId: sessionIdFromBytes(session),
    epoch,
    base: base && {
      objectKey: base.objectKey,
      position: natural(base.position),
      length: natural(base.length),
      sessionId: sessionIdFromBytes(base.session),
      n: natural(base.n),
    },
    prev: prev.map((term) => ({
      sessionId: sessionIdFromBytes(term.session),
      epoch: term.epoch,
      from: natural(term.from),
      to: natural(term.to),
    })),
  }));
}

/** Bytes of the value of `topics/`. */
export function encodeTopic(topic: TopicRecord): Uint8Array {
  return encode(TopicConfigSchema, {
    topicId: new Uint8Array(Buffer.from(topic.topicId, "base64url")),
    partitionCount: topic.partitionCount,
    configs: Object.fromEntries(topic.configs),
    createdAtMs: BigInt(topic.createdAtMs),
  });
}

/** @throws MetadataFormatError naming the key */
export function decodeTopic(entry: KeyValue): TopicRecord {
  return decode(entry, TopicConfigSchema, ({ topicId, partitionCount, configs, createdAtMs }) => {
    if (topicId.length !== 16 || partitionCount < 1) {
      throw new RangeError(`${topicId.length} bytes of id, ${partitionCount} partitions`);
    }
    return {
      topicId: Buffer.from(topicId).toString("base64url"),
      partitionCount,
      configs: new Map(Object.entries(configs)),
      createdAtMs: Number(createdAtMs),
    };
  });
}

/** Bytes of the value of `p/block`. */
export function encodeProducerIdBlock(next: number): Uint8Array {
  return encode(ProducerIdBlockSchema, { next: BigInt(next) });
}

/** The lowest producer id that belongs to nobody. @throws MetadataFormatError naming the key */
export function decodeProducerIdBlock(entry: KeyValue): number {
  return decode(entry, ProducerIdBlockSchema, ({ next }) => natural(next));
}

function encode<Desc extends DescMessage>(schema: Desc, value: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, value));
}

function decode<Desc extends DescMessage, T>(
  entry: KeyValue,
  schema: Desc,
  read: (message: MessageShape<Desc>) => T,
): T {
  try {
    return read(fromBinary(schema, entry.value));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MetadataFormatError(`${entry.key}: the value is no ${schema.typeName}: ${reason}`, { cause: error });
  }
}

function natural(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`${value} is not a number from 0 to 2^53 - 1`);
  return number;
}

function checkedTail(key: string, prefix: string, pattern: RegExp): string {
  const tail = key.slice(prefix.length);
  if (!key.startsWith(prefix) || !pattern.test(tail)) throw new MetadataFormatError(`${key} is no key below ${prefix}`);
  return tail;
}
