// Everything a broker keeps of its partitions during one session: claimed shards, their logs, the flush pipeline, the
// tail and the checkpoints. It ends as a whole with the session and is rebuilt by recovery, never repaired.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { GivenShard } from "../cluster/hand-over.ts";
import type { ImageFeed } from "../cluster/image-feed.ts";
import { shardOf } from "../cluster/placement.ts";
import type { Session } from "../cluster/session.ts";
import type { StoredClaim } from "../cluster/shard-claim.ts";
import { Bell } from "../host/bell.ts";
import { type Clock, sleep } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Metrics } from "../host/metrics.ts";
import { TaskGroup } from "../host/tasks.ts";
import { invariant } from "../invariant.ts";
import { KafkaError } from "../kafka-error.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";
import type { TopicId } from "../topic-partition.ts";
import { Checkpointer } from "./checkpoint.ts";
import { Flusher, type FlushMetrics } from "./flush.ts";
import type { LogSettings } from "./log-settings.ts";
import type { PartitionLog, PartitionTerm } from "./partition-log.ts";
import type { ReconcileCounters } from "./reconcile.ts";
import { Recovery, type TopicFacts } from "./recovery.ts";
import { inPlaces } from "./recovery-places.ts";
import type { Remover } from "./remover.ts";
import type { SealedFlush } from "./seal.ts";
import { SessionJobs } from "./session-jobs.ts";
import { SessionProof } from "./session-proof.ts";
import { ShardLog } from "./shard-log.ts";
import { Tail } from "./tail.ts";
import { untilCommitted } from "./until-committed.ts";
import type { WalReader } from "./wal-reader.ts";
import type { WalWriter } from "./wal-writer.ts";

/** Parts of a {@link SessionLog}. */
export interface SessionLogComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly flushMetrics: FlushMetrics;
  readonly reconcileCounters: ReconcileCounters;
  readonly feed: ImageFeed;
  readonly store: ObjectStore;
  readonly objectKeys: ObjectKeys;
  readonly walWriter: WalWriter;
  readonly walReader: WalReader;
  readonly remover: Remover;
  readonly settings: LogSettings;
  /** What recovery has to know of topics, by a linearizable read made after the call. */
  readonly readTopicFacts: (signal: AbortSignal) => Promise<TopicFacts>;
}

/** How often idle producers are looked for. */
const EXPIRY_INTERVAL_MS = 600_000;

/** The log of one session. */
export class SessionLog {
  readonly session: Session;
  readonly proof: SessionProof;
  readonly #parts: SessionLogComponents;
  readonly #tasks: TaskGroup;
  readonly #tail: Tail;
  readonly #flusher: Flusher;
  readonly #checkpointer: Checkpointer;
  readonly #jobs: SessionJobs;
  readonly #shards = new Map<number, ShardLog>();
  /** Since the last checkpoint was taken. */
  #flushesSince = 0;
  #footerBytesSince = 0;
  #hasChanged = false;
  readonly #wakeCheckpoint: Bell;
  /** The checkpoint under way; never rejects. */
  #checkpointing: Promise<void> = Promise.resolve();

  constructor(session: Session, components: SessionLogComponents) {
    const { clock, log, metrics, settings, walWriter, objectKeys } = components;
    this.session = session;
    this.proof = new SessionProof(session.components, session);
    this.#parts = components;
    this.#tasks = new TaskGroup(log, (name, error) => session.die(new Error(`${name} failed`, { cause: error })));
    this.#tail = new Tail(settings.tailBytes);
    this.#wakeCheckpoint = new Bell(clock);
    this.#checkpointer = new Checkpointer({ session, wal: walWriter, objectKeys, log });
    this.#jobs = new SessionJobs({
      ...components,
      session,
      checkpointer: this.#checkpointer,
      shards: () => this.shards,
      shard: (shard) => this.#shards.get(shard),
      onChange: () => this.#noteChange(),
    });
    const onCommit = (flush: SealedFlush) => this.#noteCommit(flush);
    const parts = { clock, log, metrics, session, wal: walWriter, tail: this.#tail, settings, onCommit };
    this.#flusher = new Flusher(parts, components.flushMetrics);
    const onEnd = () => this.#onSessionEnd();
    if (session.signal.aborted) onEnd();
    else session.signal.addEventListener("abort", onEnd, { once: true });
  }

  /** Shards of this session, in whatever state. */
  get shards(): readonly ShardLog[] {
    return [...this.#shards.values()];
  }

  /** Bytes appended and not committed. */
  get pendingBytes(): number {
    return this.#flusher.pendingBytes;
  }

  /** Whether nothing waits for a commit. */
  get isIdle(): boolean {
    return this.#flusher.isIdle;
  }

  /** Bytes of the newest records in RAM. */
  get tailBytes(): number {
    return this.#tail.bytes;
  }

  /** Starts the background work. */
  start(): void {
    this.#tasks.spawn("checkpoints", (signal) => this.#checkpointLoop(signal));
    this.#tasks.spawn("producer expiry", (signal) => this.#expiryLoop(signal));
    this.#jobs.start(this.#tasks);
  }

  /**
   * Recovers claimed shards; a log that an earlier claim left is replaced. Calls `onLoaded` for each that is ready or
   * failed, and resolves when all are; rejects when `signal` aborts, which it does with the session at the latest.
   */
  async load(
    claims: readonly StoredClaim[],
    { onLoaded, signal }: { readonly onLoaded: () => void; readonly signal: AbortSignal },
  ): Promise<void> {
    const loads = claims.map((claim) => this.#beginLoad(claim));
    const recovery = await this.#newRecovery(signal);
    await inPlaces(this.#parts.clock, loads, (load) =>
      this.session.watched(this.#load(load, recovery, signal)).then(onLoaded),
    );
    if (claims.some(({ claim }) => claim.base !== undefined || claim.prev.length > 0)) this.#noteChange();
  }

  #beginLoad(claim: StoredClaim): ShardLoad {
    const shardLog = new ShardLog(claim, () => this.#noteChange());
    const before = this.#shards.get(claim.shard);
    const isNew = !before || before.status === "failed" || before.claim.claim.epoch < claim.claim.epoch;
    invariant(isNew, `shard ${claim.shard} is loaded twice under epoch ${claim.claim.epoch}`);
    before?.wake();
    // A failed one stays what it is for clients until it is readable.
    if (before?.status === "failed") return { shardLog, standing: before };
    this.#shards.set(claim.shard, shardLog);
    return { shardLog, standing: shardLog };
  }

  /** Knows the topics as of now: what was deleted since the claims must not come back. */
  async #newRecovery(signal: AbortSignal): Promise<Recovery> {
    const { walReader, objectKeys, clock, readTopicFacts } = this.#parts;
    return new Recovery({ wal: walReader, objectKeys, clock, topics: await readTopicFacts(signal), signal });
  }

  async #load({ shardLog, standing }: ShardLoad, recovery: Recovery, signal: AbortSignal): Promise<void> {
    const { shard, claim } = shardLog;
    let failure: unknown;
    try {
      await recovery.recover(shardLog, this.#termOf(shardLog));
      signal.throwIfAborted();
    } catch (error) {
      if (signal.aborted) throw error;
      failure = error;
    }
    // A failed one that was tried again may have been given away meanwhile.
    const isWanted = this.#shards.get(shard) === standing && (standing === shardLog || standing.status === "failed");
    if (!isWanted) return;
    this.#shards.set(shard, shardLog);
    if (failure === undefined) return shardLog.becomeReady();
    // Also where an invariant broke: recovery changes nothing but the log it fills, which nobody will see.
    shardLog.fail();
    this.#parts.log.error("shard cannot be recovered", { shard, epoch: claim.claim.epoch, error: failure });
  }

  /** A shard of this session. */
  shard(shard: number): ShardLog | undefined {
    return this.#shards.get(shard);
  }

  /**
   * Prepares shards for another owner: they take no appends from here on. Resolves when everything of them is committed
   * and in a checkpoint in force, with what the receiver starts from. What failed has nothing to be prepared.
   */
  async prepareToGive(shardLogs: readonly ShardLog[], signal: AbortSignal): Promise<GivenShard[]> {
    for (const shardLog of shardLogs) {
      const { shard, status } = shardLog;
      invariant(status === "ready" || status === "failed", `shard ${shard} is ${status} and cannot be given`);
      shardLog.status = shardLog.isLoaded ? "leaving" : "offered";
    }
    const hasUncommitted = (shardLog: ShardLog) => [...shardLog.partitions.values()].some((log) => log.hasUncommitted);
    if (shardLogs.some(hasUncommitted)) this.#flusher.hurry();
    for (const shardLog of shardLogs) {
      for (const partition of shardLog.partitions.values()) await untilCommitted(partition, signal);
    }
    // A checkpoint in force may still be rewriting these claims; from the next one on they are left alone.
    await this.#checkpointing;
    signal.throwIfAborted();
    const hasSection = (shardLog: ShardLog) => shardLog.isLoaded && !shardLog.isEmpty;
    const isMissing = (shardLog: ShardLog) => hasSection(shardLog) && !this.#checkpointer.sectionInForce(shardLog);
    // A checkpoint under way may have been taken before the last commit; the one after it was not.
    while (shardLogs.some(isMissing)) {
      this.#hasChanged = true;
      // A drain that is cut short must not leave a checkpoint half in force: the last one comes after it.
      await this.checkpoint(this.session.signal);
      signal.throwIfAborted();
    }
    return shardLogs.map((shardLog) => ({
      stored: shardLog.claim,
      section: hasSection(shardLog) ? this.#checkpointer.sectionInForce(shardLog) : undefined,
      isLoaded: shardLog.isLoaded,
    }));
  }

  /** Objects of a shard that may be deleted: see {@link Checkpointer.droppedInForce}. */
  droppedInForce(shardLog: ShardLog): readonly string[] {
    return this.#checkpointer.droppedInForce(shardLog);
  }

  /** Forgets a shard that belongs to another session now; its waiters look elsewhere. */
  forget(shardLog: ShardLog): void {
    if (this.#shards.get(shardLog.shard) === shardLog) this.#shards.delete(shardLog.shard);
    this.#noteChange();
    shardLog.wake();
  }

  /**
   * The log of a partition whose shard this session owns.
   * @throws KafkaError NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR for a failed shard, UNKNOWN_TOPIC_OR_PARTITION
   */
  partition(topicId: TopicId, partition: number): PartitionLog {
    this.#requireAlive();
    const shardLog = this.#shards.get(shardOf(topicId, partition));
    if (!shardLog) {
      const text = `the shard of ${topicId}-${partition} is not owned by session ${this.session.sessionId}`;
      throw new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, text);
    }
    shardLog.requireReadable();
    const topic = this.#parts.feed.current.topicById(topicId);
    if (!topic || partition < 0 || partition >= topic.partitionCount) {
      throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `there is no partition ${topicId}-${partition}`);
    }
    const { isInternal } = topic;
    const known = shardLog.partition(topicId, partition);
    // A shard on its way out does not change any more.
    if (!known) shardLog.requireWritable();
    return known ?? shardLog.ensurePartition({ topicId, partition, isInternal }, this.#termOf(shardLog));
  }

  #requireAlive(): void {
    if (!this.session.signal.aborted) return;
    const text = `session ${this.session.sessionId} has ended`;
    throw new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, text, { cause: this.session.signal.reason });
  }

  #termOf(shardLog: ShardLog): PartitionTerm {
    const { clock, walReader } = this.#parts;
    return {
      leaderEpoch: shardLog.claim.claim.epoch,
      requireWritable: () => {
        this.#requireAlive();
        shardLog.requireWritable();
      },
      requireReadable: () => {
        this.#requireAlive();
        shardLog.requireReadable();
        if (this.session.isProven()) return;
        const text = `session ${this.session.sessionId} has no proof that it lives`;
        throw new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, text);
      },
      enqueue: (item) => this.#flusher.enqueue(item),
      reads: walReader,
      places: shardLog.places,
      monotonicMs: () => clock.monotonicMs(),
    };
  }

  #noteCommit(flush: SealedFlush): void {
    this.#flushesSince++;
    this.#footerBytesSince += flush.footerBytes;
    if (!this.#hasChanged || this.#isCheckpointDue()) this.#wakeCheckpoint.ring();
    this.#hasChanged = true;
  }

  #noteChange(): void {
    this.#hasChanged = true;
    this.#wakeCheckpoint.ring();
  }

  #isCheckpointDue(): boolean {
    const { checkpointFlushes, checkpointFooterBytes } = this.#parts.settings;
    return this.#flushesSince >= checkpointFlushes || this.#footerBytesSince >= checkpointFooterBytes;
  }

  async #checkpointLoop(signal: AbortSignal): Promise<void> {
    const { clock, settings } = this.#parts;
    for (;;) {
      while (!this.#hasChanged) await this.#wakeCheckpoint.wait(signal);
      const deadlineMs = clock.monotonicMs() + settings.checkpointIntervalMs;
      while (!this.#isCheckpointDue() && clock.monotonicMs() < deadlineMs) {
        await this.#wakeCheckpoint.wait(signal, deadlineMs - clock.monotonicMs());
      }
      await this.checkpoint(signal);
    }
  }

  /**
   * Writes a checkpoint, if anything changed since the last one, after the one under way: two at a time would refer to
   * objects that may never be there.
   */
  checkpoint(signal: AbortSignal): Promise<void> {
    const written = this.session.watched(this.#checkpointing.then(() => this.#writeCheckpoint(signal)));
    this.#checkpointing = written.catch(() => {});
    return written;
  }

  async #writeCheckpoint(signal: AbortSignal): Promise<void> {
    if (!this.#hasChanged) return;
    this.#hasChanged = false;
    this.#flushesSince = 0;
    this.#footerBytesSince = 0;
    const loaded = this.shards.filter((shardLog) => shardLog.isLoaded);
    await this.#checkpointer.write(this.#flusher.head, loaded, signal);
    this.#jobs.noteCheckpoint();
  }

  async #expiryLoop(signal: AbortSignal): Promise<void> {
    const { clock, settings } = this.#parts;
    for (;;) {
      await sleep(clock, EXPIRY_INTERVAL_MS, signal);
      const nowMs = clock.monotonicMs();
      for (const shardLog of this.#shards.values()) {
        if (shardLog.status !== "ready") continue;
        for (const partition of shardLog.partitions.values()) {
          partition.producers.expire(nowMs, settings.producerIdExpirationMs);
        }
      }
    }
  }

  /**
   * Drops the logs of topics proven deleted, as soon as nothing of them is under way, and wakes their readers.
   * @returns how many have to be tried again
   */
  dropDeletedTopics(gone: ReadonlySet<TopicId>): number {
    let remaining = 0;
    for (const shardLog of this.#shards.values()) {
      for (const partition of shardLog.partitions.values()) {
        if (!gone.has(partition.topicId)) continue;
        partition.wake();
        // A shard that is still loading would bring it back: recovery asked before the deletion.
        // One on its way out is changed by nobody: its new owner drops it.
        if (partition.hasUncommitted || shardLog.status !== "ready") {
          remaining++;
          continue;
        }
        shardLog.dropPartition(partition);
        this.#noteChange();
      }
    }
    return this.session.signal.aborted ? 0 : remaining;
  }

  /** Everything that was in RAM is void from here: waiters of what was never sent are refused at once. */
  #onSessionEnd(): void {
    this.#tasks.abort();
    this.#flusher.failDefinite(this.session.signal.reason);
    this.#tail.clear();
    for (const shardLog of this.#shards.values()) {
      for (const partition of shardLog.partitions.values()) partition.wake();
    }
  }

  /** Waits for the session's end to be known and answers what was sent; within `unknownOutcomeMs` at any rate. */
  async settle(): Promise<void> {
    const { clock, settings } = this.#parts;
    const cancel = clock.setTimer(settings.unknownOutcomeMs, () => this.#flusher.settle(undefined));
    const { head } = await this.session.closed;
    cancel();
    this.#flusher.settle(head);
    await this.#tasks.stop();
  }
}

/** A shard that is being recovered, and what stands for it until it is. */
interface ShardLoad {
  readonly shardLog: ShardLog;
  /** Itself, or the failed one that is tried again. */
  readonly standing: ShardLog;
}
