// The witness of both stores. It keeps a picture of what is stored, checks each change against the commit protocol at the
// moment it is made, and feeds the committed log from the bytes of the objects that a head names. It trusts no broker.
import { ClusterKeys, decodeCheckpointPointer, decodeClaim, decodeHead, decodeTopic } from "../../src/cluster/keys.ts";
import { shardOf } from "../../src/cluster/placement.ts";
import type { ShardClaim } from "../../src/cluster/shard-claim.ts";
import type { KeyValue, LeaseId, Txn, TxnResult, WatchBatch } from "../../src/kv/key-value-store.ts";
import { ObjectKeys } from "../../src/objects/object-keys.ts";
import { verifyExtent, type WalFooter } from "../../src/objects/wal-object.ts";
import { RecordBatchView } from "../../src/records/record-batch.ts";
import { ClaimOracle } from "./claim-oracle.ts";
import { type CommittedExtent, CommittedLog, type CommittedPartition } from "./committed-log.ts";
import type { GroupOracle } from "./group-oracle.ts";
import type { Ledger } from "./ledger.ts";
import { entryOf, footerOf, txnBytes } from "./readings.ts";
import type { RemovalOracle } from "./removal-oracle.ts";
import { isPlainSegment, segmentKind } from "./segment-oracle.ts";
import type { KvWitness, ObjectWitness } from "./store-observers.ts";
import { TopicOracle } from "./topic-oracle.ts";
import type { Trace } from "./trace.ts";

/** Names the one cluster of a simulation. */
export const SIM_CLUSTER = "sim";

/** A move of a log start, as the flush that committed it says. */
export interface CommittedLogStart {
  readonly sessionId: string;
  readonly epoch: number;
  readonly flush: number;
  readonly logStart: number;
}

/** A WAL object, checkpoint or segment was put; a session, head, claim, checkpoint pointer or topic was written. */
export type StoreEvent = "wal" | "ckpt" | "segment" | "s" | "h" | "a" | "c" | "topics";

/** Hears of what concerns checkpoints. */
export interface CheckpointWitness {
  onPointer(sessionId: string, objectKey: string, before: string | undefined): void;
  onClaim(shard: number, claim: ShardClaim, before: ShardClaim | undefined): void;
}

interface TopicState {
  readonly name: string;
  readonly topicId: string;
}

/** Keys that are written more than once on purpose. */
const REWRITTEN = /(^|\/)(probe\/|cluster-id$)/;

/** Puts of one object that may find it there: each answer may be lost, but not so many of the thirty that a flush is tried. */
const PUTS_IN_VAIN_MAX = 24;

/** What is stored now, and the judge of how it came there. */
export class StoreOracle implements ObjectWitness, KvWitness {
  readonly log: CommittedLog;
  readonly keys = new ClusterKeys(SIM_CLUSTER);
  readonly objectKeys = new ObjectKeys(SIM_CLUSTER);
  readonly objects = new Map<string, Uint8Array>();
  readonly heads = new Map<string, number>();
  /** Who owns what, and who did. */
  readonly terms: ClaimOracle;
  readonly pointers = new Map<string, string>();
  /** By name. */
  readonly topics = new Map<string, TopicState>();
  readonly liveTopicIds = new Set<string>();
  /** What clients were told of topics. */
  readonly told: TopicOracle;
  /** Every session whose key is there. */
  readonly liveSessions = new Set<string>();
  /** When each session was registered. */
  readonly sessionSinceMs = new Map<string, number>();
  /** Committed extents by shard, in the order of their commits. */
  readonly extentsByShard = new Map<number, CommittedExtent[]>();
  readonly logStarts = new Map<CommittedPartition, CommittedLogStart[]>();
  checkpoints: CheckpointWitness | undefined;
  removals: RemovalOracle | undefined;
  /** Who waits for the next change of a kind. */
  readonly #waiting = new Map<StoreEvent, (() => void)[]>();
  readonly #ledger: Ledger;
  readonly #trace: Trace;
  /** The life of each session so far. */
  readonly sessionWriters = new Map<string, string>();
  readonly #objectWriters = new Map<string, string>();
  readonly #deletedObjects = new Map<string, Uint8Array>();
  readonly #headsSent = new Set<string>();
  readonly #putsInVain = new Map<string, number>();
  readonly #knownTopicIds = new Set<string>();
  readonly #internalTopicIds = new Set<string>();
  /** Leases by live session. */
  readonly leases = new Map<string, LeaseId>();
  /** The newest revision seen. */
  revision = 0;
  readonly #groups: GroupOracle;

  constructor(ledger: Ledger, trace: Trace, groups: GroupOracle) {
    this.#ledger = ledger;
    this.#trace = trace;
    this.#groups = groups;
    this.log = new CommittedLog(ledger);
    this.terms = new ClaimOracle(ledger, this);
    this.told = new TopicOracle(ledger, this);
  }

  /** The life that owns a partition, if its owner's session is there. */
  ownerOf(topicId: string, partition: number): string | undefined {
    const sessionId = this.claims.get(shardOf(topicId, partition))?.sessionId ?? "";
    return this.liveSessions.has(sessionId) ? this.sessionWriters.get(sessionId) : undefined;
  }

  /** Whether a life had a session, and has none now. */
  isFenced(writer: string): boolean {
    const own = [...this.sessionWriters].filter(([, life]) => life === writer);
    return own.length > 0 && own.every(([sessionId]) => !this.liveSessions.has(sessionId));
  }

  /** The claims as they are. */
  get claims(): ReadonlyMap<number, ShardClaim> {
    return this.terms.claims;
  }

  /** Resolves in the step in which the next change of a kind is made. */
  next(event: StoreEvent): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(event, [...(this.#waiting.get(event) ?? []), resolve]);
    });
  }

  #tellOf(event: string): void {
    const waiting = this.#waiting.get(event as StoreEvent);
    if (!waiting) return;
    this.#waiting.delete(event as StoreEvent);
    for (const resolve of waiting) resolve();
  }

  /** Whether a topic with this id was ever created. */
  knowsTopicId(topicId: string): boolean {
    return this.#knownTopicIds.has(topicId);
  }

  /** Whether the records of a topic are the state of coordinators. */
  isInternal(topicId: string): boolean {
    return this.#internalTopicIds.has(topicId);
  }

  onPut(key: string, bytes: Uint8Array, writer: string): void {
    this.#trace.decide(`put ${key}`);
    const standing = this.objects.get(key);
    const before = standing ?? this.#deletedObjects.get(key);
    this.objects.set(key, bytes);
    if (REWRITTEN.test(key)) return;
    this.removals?.onPut(key);
    const kind = segmentKind(key);
    if (kind) this.#ledger.count(kind);
    this.#tellOf(key.includes("/wal/") ? "wal" : key.includes("/ckpt/") ? "ckpt" : "segment");
    // A late copy for a plain name that was taken by another cut, after that one was removed: no list names it any more.
    const isLateCut = isPlainSegment(key) && standing === undefined;
    this.#ledger.check("I4 one key has one content", isLateCut || !before || Buffer.from(before).equals(bytes), () => {
      return `${key} was overwritten with other bytes`;
    });
    if (this.#deletedObjects.has(key)) this.#ledger.count("puts that landed after the removal");
    const first = this.#objectWriters.get(key) ?? writer;
    this.#objectWriters.set(key, first);
    this.#ledger.check("I3 two sessions never write one key", first === writer || isPlainSegment(key), () => {
      return `${key} was written by ${first} and by ${writer}`;
    });
  }

  onExisting(key: string, bytes: Uint8Array): void {
    const before = this.objects.get(key);
    this.#ledger.count("put of an object that is there");
    // Another owner may have cut the same records in another way; he, or this one, goes on under a name of his own.
    if (isPlainSegment(key)) {
      const isSame = before !== undefined && Buffer.from(before).equals(bytes);
      this.#ledger.count(isSame ? "segment found as it should be" : "plain name of a segment taken by another cut");
      return;
    }
    const count = (this.#putsInVain.get(key) ?? 0) + 1;
    this.#putsInVain.set(key, count);
    this.#ledger.check("I4 a put that meets its own copy is done", count <= PUTS_IN_VAIN_MAX, () => {
      return `${key} is there, and is put for the ${count}th time`;
    });
    this.#ledger.check("I4 one key has one content", !before || Buffer.from(before).equals(bytes), () => {
      return `${key} was to be written with other bytes`;
    });
  }

  onDelete(key: string): void {
    this.#trace.decide(`delete ${key}`);
    const object = this.objects.get(key);
    if (!object || REWRITTEN.test(key)) return;
    this.#deletedObjects.set(key, object);
    this.objects.delete(key);
    this.removals?.onDelete(key);
  }

  onMissing(key: string): void {
    if (!this.objects.has(key)) this.removals?.onMissing(key);
  }

  onList(prefix: string): void {
    this.removals?.onList(prefix);
  }

  onTxn(txn: Txn, result: TxnResult, writer: string): void {
    const sizes = [txn.compare.length, txn.then.length, txn.otherwise?.length ?? 0];
    this.#trace.decide(`txn ${sizes.join("/")} ${txn.then[0]?.key ?? ""} ${result.succeeded} at ${result.revision}`);
    this.#ledger.check("I16 a transaction is small", Math.max(...sizes) <= 64 && txnBytes(txn) <= 256 * 1024, () => {
      return `a transaction of ${sizes.join("/")} entries and ${txnBytes(txn)} bytes`;
    });
    for (const operation of txn.then) {
      if (operation.type !== "put") continue;
      this.terms.onTxnPut(operation, { result, writer });
      const sessionId = this.#ownerOfKey(operation.key);
      if (sessionId === undefined) continue;
      const isRegistration = operation.key === this.keys.session(sessionId);
      // Its key is put again when the session begins to drain.
      const isNew = txn.compare.some(({ key, target, equals }) => {
        return key === operation.key && target === "create" && equals === 0;
      });
      const isFirst = isNew || !this.sessionWriters.has(sessionId);
      if (result.succeeded && isRegistration && isFirst) this.#noteRegistration(sessionId, writer);
      if (result.succeeded && isRegistration && !isFirst) this.#ledger.count("drains");
      if (isRegistration || operation.key !== this.keys.head(sessionId) || txn.then.length > 1) continue;
      this.#checkHeadTxn({ txn, result, writer, sessionId, bytes: operation.value.length });
    }
  }

  #ownerOfKey(key: string): string | undefined {
    return /\/[sh]\/([0-9a-f]{24})$/.exec(key)?.[1];
  }

  #noteRegistration(sessionId: string, writer: string): void {
    this.#ledger.count("sessions");
    if ([...this.sessionWriters.values()].includes(writer)) {
      this.#ledger.count("session re-registered in the same process");
    }
    this.#ledger.check("I3 a session id is never reused", !this.sessionWriters.has(sessionId), () => sessionId);
    this.sessionWriters.set(sessionId, writer);
  }

  #checkHeadTxn(head: { txn: Txn; result: TxnResult; writer: string; sessionId: string; bytes: number }): void {
    const { txn, result, writer, sessionId } = head;
    const isConstant = txn.compare.length <= 2 && txn.then.length === 1 && head.bytes <= 60;
    this.#ledger.check("I16 the head transaction has one size", isConstant, () => {
      return `a head transaction of ${txn.compare.length}/${txn.then.length} entries and ${head.bytes} bytes`;
    });
    const owner = this.sessionWriters.get(sessionId);
    this.#ledger.check("I2 a head is written by its own session only", owner === writer, () => {
      return `the head of ${sessionId}, a session of ${owner}, was written by ${writer}`;
    });
    const wanted = decodeHead(entryOf(txn.then[0])).n;
    const sending = `${sessionId}/${wanted}`;
    if (this.#headsSent.has(sending)) this.#ledger.count("head transaction sent again");
    this.#headsSent.add(sending);
    if (result.succeeded) return;
    const isAlive = this.liveSessions.has(sessionId);
    const committed = this.heads.get(sessionId) ?? 0;
    if (committed >= wanted) this.#ledger.count("own head transaction met its earlier copy");
    else if (!isAlive) this.#ledger.count("zombie commit refused");
  }

  /** A revision of the key-value store, in order. */
  onChange(change: WatchBatch): void {
    this.revision = change.revision;
    for (const event of change.events) {
      if (event.type === "put") this.#onPutKey(event.entry);
      else this.#onDeleteKey(event.key);
    }
  }

  #onPutKey(entry: KeyValue): void {
    const { key } = entry;
    const [kind = "", name = ""] = key.slice(`/kafscale/${SIM_CLUSTER}/`.length).split("/");
    if (kind === "s") {
      this.liveSessions.add(name);
      if (!this.sessionSinceMs.has(name)) this.sessionSinceMs.set(name, this.#ledger.nowMs);
      if (entry.lease !== undefined) this.leases.set(name, entry.lease);
    } else if (kind === "h") this.#onHead(name, decodeHead(entry).n);
    else if (kind === "a") this.#onClaim(Number(name), decodeClaim(entry), entry.modRevision);
    else if (kind === "c") this.#onPointer(name, decodeCheckpointPointer(entry));
    else if (kind === "topics") this.#onTopic(name, decodeTopic(entry).topicId);
    this.#tellOf(kind);
  }

  #onDeleteKey(key: string): void {
    const [kind = "", name = ""] = key.slice(`/kafscale/${SIM_CLUSTER}/`.length).split("/");
    if (kind === "s") {
      this.#trace.decide(`session ${name} is gone`);
      this.liveSessions.delete(name);
      this.leases.delete(name);
      this.terms.onSessionGone(name);
    } else if (kind === "topics") {
      this.liveTopicIds.delete(this.topics.get(name)?.topicId ?? "");
      this.topics.delete(name);
      this.#ledger.count("topics deleted");
    } else if (kind === "h") this.removals?.onForgotten(name);
  }

  #onTopic(name: string, topicId: string): void {
    const known = this.topics.get(name);
    this.#ledger.check(
      "I15 a topic id is never used again",
      known?.topicId === topicId || !this.#knownTopicIds.has(topicId),
      () => `${name} got the id ${topicId}`,
    );
    this.#knownTopicIds.add(topicId);
    if (name.startsWith("__")) this.#internalTopicIds.add(topicId);
    this.topics.set(name, { name, topicId });
    this.liveTopicIds.add(topicId);
  }

  #onHead(sessionId: string, n: number): void {
    const before = this.heads.get(sessionId);
    this.heads.set(sessionId, n);
    if (before === undefined) {
      this.#ledger.check("I2 a head begins at 0", n === 0, () => `the head of ${sessionId} begins at ${n}`);
      return;
    }
    const isLive = this.liveSessions.has(sessionId);
    this.#ledger.check("I2 a head moves up under a live session", isLive && n > before, () => {
      return `the head of ${isLive ? "live" : "dead"} session ${sessionId} went from ${before} to ${n}`;
    });
    this.#ledger.count("head transactions");
    if (n > before + 1) this.#ledger.count("several flushes in one head transaction");
    for (let flush = before + 1; flush <= n; flush++) this.#commit(sessionId, flush);
  }

  #commit(sessionId: string, flush: number): void {
    const key = this.objectKeys.wal(sessionId, flush);
    const object = this.objects.get(key);
    this.#ledger.check("I1 a head names objects that are there", object !== undefined, () => `${key} is not there`);
    if (!object) return;
    this.#ledger.count("flushes");
    const footer = footerOf(object);
    for (const extent of footer.extents) {
      const shard = shardOf(extent.topicId, extent.partition);
      this.#checkTerm(shard, { sessionId, epoch: extent.shardEpoch });
      const bytes = object.subarray(extent.position, extent.position + extent.length);
      verifyExtent(extent, bytes);
      const partition = this.log.partition(extent.topicId, extent.partition);
      const isInternal = this.isInternal(extent.topicId);
      this.#ledger.check(
        "I15 an extent names a topic that was created",
        this.#knownTopicIds.has(extent.topicId),
        () => {
          return `${key} holds an extent of ${extent.topicId}`;
        },
      );
      this.#ledger.check("I6 offsets are dense across sessions", extent.baseOffset === partition.end, () => {
        return `${key}: an extent of ${partition.name} begins at ${extent.baseOffset}, committed are ${partition.end}`;
      });
      for (let at = 0; at < bytes.length; ) {
        const view = new RecordBatchView(bytes, at);
        this.log.commit(partition, view, { isInternal, sessionId });
        if (isInternal) this.#groups.commit(view);
        at += view.sizeInBytes;
      }
      const committed = { sessionId, flush, extent };
      partition.extents.push(committed);
      const inShard = this.extentsByShard.get(shard);
      if (inShard) inShard.push(committed);
      else this.extentsByShard.set(shard, [committed]);
    }
    this.#commitLogStarts(sessionId, flush, footer);
  }

  #commitLogStarts(sessionId: string, flush: number, footer: WalFooter): void {
    for (const { topicId, partition: index, shardEpoch, logStart } of footer.logStarts) {
      this.#checkTerm(shardOf(topicId, index), { sessionId, epoch: shardEpoch });
      const partition = this.log.partition(topicId, index);
      this.#ledger.check("I14 log start <= committed end", logStart <= partition.end, () => {
        return `${partition.name}: a log start of ${logStart} is committed, the end is ${partition.end}`;
      });
      partition.logStart = Math.max(partition.logStart, logStart);
      this.#ledger.count("log start moves");
      const moves = this.logStarts.get(partition) ?? [];
      moves.push({ sessionId, epoch: shardEpoch, flush, logStart: partition.logStart });
      this.logStarts.set(partition, moves);
    }
  }

  #checkTerm(shard: number, term: { sessionId: string; epoch: number }): void {
    const claim = this.claims.get(shard);
    const isOwner = claim?.sessionId === term.sessionId && claim.epoch === term.epoch;
    this.#ledger.check("I5 only the owner of a shard commits to it", isOwner, () => {
      return `session ${term.sessionId} committed to shard ${shard} under epoch ${term.epoch}, the claim is of ${claim?.sessionId} under ${claim?.epoch}`;
    });
  }

  #onClaim(shard: number, claim: ShardClaim, revision: number): void {
    const before = this.claims.get(shard);
    this.terms.onClaim(shard, claim, revision);
    if (this.extentsByShard.has(shard)) this.checkpoints?.onClaim(shard, claim, before);
    this.removals?.onClaim(shard);
  }

  #onPointer(sessionId: string, objectKey: string): void {
    const before = this.pointers.get(sessionId);
    this.pointers.set(sessionId, objectKey);
    this.#ledger.count("checkpoints");
    this.#ledger.check(
      "I11 a checkpoint pointer moves under a live session",
      this.liveSessions.has(sessionId) && this.objects.has(objectKey),
      () => `the pointer of ${sessionId} was moved to ${objectKey}`,
    );
    this.checkpoints?.onPointer(sessionId, objectKey, before);
    this.removals?.onPointer(sessionId);
  }
}
