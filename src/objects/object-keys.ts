// The only place that spells the key of an object, and that reads one. Refuses what would make a key ambiguous: an
// empty or dotted part of the prefix, a session id that is not 24 hex digits, a number below 1, a topic's name or id
// that Kafka would not give.
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

/** What stands at a key, as the key says. `n` is the number of a flush, a checkpoint or a group. */
export type ObjectName =
  | { readonly type: "cluster-id" | "probe" }
  | { readonly type: "wal" | "checkpoint"; readonly sessionId: string; readonly n: number }
  | { readonly type: "group"; readonly shard: number; readonly sessionId: string; readonly n: number }
  | { readonly type: "segment" | "index"; readonly name: SegmentName };

/** Keys of one cluster's objects, all below `<prefix>/`. Session ids are 24 lower-case hex digits. */
export class ObjectKeys {
  /** The part in front, without a slash at its end; empty where the store belongs to one cluster alone. */
  readonly prefix: string;

  /** @param prefix parts of `[A-Za-z0-9._-]` with single slashes between them; slashes at either end are dropped */
  constructor(prefix: string) {
    this.prefix = prefix.replace(/^\/+|\/+$/g, "");
    if (!isPrefix(this.prefix)) throw new Error(`object prefix "${prefix}" is not made of [A-Za-z0-9._-] parts`);
  }

  /** What the keys of all objects begin with. */
  get all(): string {
    return this.#key("");
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

  /** `probe/<broker id>-reach`: what it writes to learn whether the store works for those who ask. */
  reach(brokerId: number): string {
    return this.#key(`probe/${brokerId}-reach`);
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

  /** What a key names; undefined for one that this class does not spell. */
  parse(key: string): ObjectName | undefined {
    if (!key.startsWith(this.all)) return undefined;
    const rest = key.slice(this.all.length);
    const parsed = rest === "cluster-id" ? ({ type: "cluster-id" } as const) : (parseOwn(rest) ?? parseSegment(rest));
    return parsed && this.#spell(parsed, rest) === key ? parsed : undefined;
  }

  #spell(object: ObjectName, rest: string): string {
    switch (object.type) {
      case "wal":
        return this.wal(object.sessionId, object.n);
      case "checkpoint":
        return this.checkpoint(object.sessionId, object.n);
      case "group":
        return this.group(object.shard, object.sessionId, object.n);
      case "segment":
        return this.segment(object.name);
      case "index":
        return this.segmentIndex(object.name);
      case "cluster-id":
      case "probe":
        return this.#key(rest);
    }
  }

  #key(rest: string): string {
    return this.prefix === "" ? rest : `${this.prefix}/${rest}`;
  }
}

const OWN = /^(wal|ckpt)\/([0-9a-f]{24})\/(\d{1,16})$/;
const GROUP = /^grp\/(\d{1,9})\/([0-9a-f]{24})-(\d{1,16})$/;
const PROBE = /^probe\/\d{1,10}(?:-(?:[0-9a-f]+|reach))?$/;
const SEGMENT =
  /^([A-Za-z0-9._-]{1,249})\/([A-Za-z0-9_-]{22})\/(\d{1,10})\/segment-(\d{20})\.(kfs|index)(?:-([0-9a-f]{24})-(\d{1,16}))?$/;

function parseOwn(rest: string): ObjectName | undefined {
  if (PROBE.test(rest)) return { type: "probe" };
  const [, folder, sessionId = "", n] = OWN.exec(rest) ?? [];
  if (folder)
    return isNumber(Number(n)) ? { type: folder === "wal" ? "wal" : "checkpoint", sessionId, n: Number(n) } : undefined;
  const [, shard, writer = "", count] = GROUP.exec(rest) ?? [];
  if (shard === undefined || !isNumber(Number(count))) return undefined;
  return { type: "group", shard: Number(shard), sessionId: writer, n: Number(count) };
}

function parseSegment(rest: string): ObjectName | undefined {
  const [, topic = "", topicId = "", partition, offset, kind, sessionId, n] = SEGMENT.exec(rest) ?? [];
  const baseOffset = Number(offset);
  if (kind === undefined || !isPart(topic) || !Number.isSafeInteger(baseOffset)) return undefined;
  if (sessionId !== undefined && !isNumber(Number(n))) return undefined;
  const writer = sessionId === undefined ? {} : { writer: { sessionId, n: Number(n) } };
  const name = { topic, topicId, partition: Number(partition), baseOffset, ...writer };
  return { type: kind === "kfs" ? "segment" : "index", name };
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

/** Whether it numbers a flush, checkpoint or segment. */
function isNumber(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 1;
}

function checkedNumber(n: number): number {
  invariant(isNumber(n), `${n} does not number a flush, checkpoint or segment`);
  return n;
}
