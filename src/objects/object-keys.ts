// The only place that spells the key of an object. Refuses what would make a key ambiguous: an empty or dotted part of
// the prefix, a session id that is not 24 hex digits, a number below 1, a topic's name or id that Kafka would not give.
import { invariant } from "../invariant.ts";
import type { Offset, TopicId } from "../topic-partition.ts";

/** Longest prefix in bytes, so that the longest key stays well below the 1,024 bytes of S3. */
export const OBJECT_PREFIX_BYTES_MAX = 512;

/** What a segment's two keys are made of. */
export interface SegmentName {
  /** For people: the id alone would do. */
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: number;
  /** Offset of the segment's first batch. */
  readonly baseOffset: Offset;
  /**
   * Who wrote it, and the how-manieth object of that kind it was. Without it the content is a function of the committed
   * log, so that two writers of one key write the same; merged, compacted and otherwise unlike segments have it.
   */
  readonly writer?: { readonly sessionId: string; readonly n: number };
}

/** Keys of one cluster's objects, all below `<prefix>/`. Session ids are 24 lower-case hex digits. */
export class ObjectKeys {
  /** The part in front, without a slash at its end; empty where the store belongs to one cluster alone. */
  readonly prefix: string;

  /** @param prefix parts of `[A-Za-z0-9._-]` with single slashes between them; slashes at either end are dropped */
  constructor(prefix: string) {
    this.prefix = prefix.replace(/^\/+|\/+$/g, "");
    if (!isPrefix(this.prefix)) throw new Error(`object prefix "${prefix}" is not made of [A-Za-z0-9._-] parts`);
  }

  /** `cluster-id`: which cluster the objects belong to. */
  get clusterId(): string {
    return this.#key("cluster-id");
  }

  /** `wal/<session>/<n>`: flush `n` (1 and up) of a session. */
  wal(sessionId: string, n: number): string {
    return this.#key(`wal/${checkedSession(sessionId)}/${checkedNumber(n).toString().padStart(12, "0")}`);
  }

  /** What the keys of all flushes begin with. */
  get flushes(): string {
    return this.#key("wal/");
  }

  /** The flush that a key below {@link flushes} names; undefined for what no broker wrote there. */
  flushOf(key: string): { readonly sessionId: string; readonly n: number } | undefined {
    const [sessionId, number, ...rest] = key.slice(this.flushes.length).split("/");
    if (!key.startsWith(this.flushes) || sessionId === undefined || number === undefined || rest.length > 0) return;
    const n = Number(number);
    if (!isSession(sessionId) || !Number.isSafeInteger(n) || n < 1 || this.wal(sessionId, n) !== key) return;
    return { sessionId, n };
  }

  /** `ckpt/<session>/<k>`: the k-th (1 and up) checkpoint of a session. */
  checkpoint(sessionId: string, k: number): string {
    return this.#key(`ckpt/${checkedSession(sessionId)}/${checkedNumber(k)}`);
  }

  /** What the keys of a session's own objects begin with: its WAL objects, and its checkpoints. */
  ofSession(sessionId: string): { readonly wal: string; readonly checkpoints: string } {
    const checked = checkedSession(sessionId);
    return { wal: this.#key(`wal/${checked}/`), checkpoints: this.#key(`ckpt/${checked}/`) };
  }

  /** `probe/<broker id>`: what a broker writes to learn whether the store works. */
  probe(brokerId: number): string {
    return this.#key(`probe/${brokerId}`);
  }

  /** `grp/<shard>/<session>-<n>`: the n-th (1 and up) object of a session that groups small parts of one shard. */
  group(shard: number, sessionId: string, n: number): string {
    invariant(Number.isInteger(shard) && shard >= 0, `${shard} is not a shard`);
    return this.#key(`grp/${shard}/${checkedSession(sessionId)}-${checkedNumber(n)}`);
  }

  /** `<topic>/<topic id>/<partition>/segment-<base offset>.kfs`, with `-<session>-<n>` behind it where a writer is named. */
  segment(name: SegmentName): string {
    return this.#segmentKey(name, "kfs");
  }

  /** The same with `.index`. */
  segmentIndex(name: SegmentName): string {
    return this.#segmentKey(name, "index");
  }

  #segmentKey({ topic, topicId, partition, baseOffset, writer }: SegmentName, kind: "kfs" | "index"): string {
    invariant(isPart(topic) && topic.length <= 249, `"${topic}" is not the name of a topic`);
    invariant(/^[A-Za-z0-9_-]{22}$/.test(topicId), `"${topicId}" is not the id of a topic`);
    invariant(Number.isInteger(partition) && partition >= 0, `${partition} is not a partition`);
    invariant(Number.isSafeInteger(baseOffset) && baseOffset >= 0, `${baseOffset} is not an offset`);
    const suffix = writer === undefined ? "" : `-${checkedSession(writer.sessionId)}-${checkedNumber(writer.n)}`;
    const name = `segment-${baseOffset.toString().padStart(20, "0")}.${kind}${suffix}`;
    return this.#key(`${topic}/${topicId}/${partition}/${name}`);
  }

  /** `probe/<broker id>-<unique>`: what one start writes and removes again; `unique` is hex digits never used before. */
  startProbe(brokerId: number, unique: string): string {
    invariant(/^[0-9a-f]+$/.test(unique), `"${unique}" does not name a probe`);
    return this.#key(`probe/${brokerId}-${unique}`);
  }

  #key(rest: string): string {
    return this.prefix === "" ? rest : `${this.prefix}/${rest}`;
  }
}

function isPrefix(prefix: string): boolean {
  if (prefix === "") return true;
  if (prefix.length > OBJECT_PREFIX_BYTES_MAX) return false;
  return prefix.split("/").every(isPart);
}

function isPart(part: string): boolean {
  return /^[A-Za-z0-9._-]+$/.test(part) && part !== "." && part !== "..";
}

function isSession(sessionId: string): boolean {
  return /^[0-9a-f]{24}$/.test(sessionId);
}

function checkedSession(sessionId: string): string {
  invariant(isSession(sessionId), `"${sessionId}" is not a session id`);
  return sessionId;
}

function checkedNumber(n: number): number {
  invariant(Number.isSafeInteger(n) && n >= 1, `${n} does not number a flush, checkpoint or segment`);
  return n;
}
