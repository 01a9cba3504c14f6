// Incremental fetch sessions (KIP-227): what a consumer asked for before, so that it names only changes and hears only
// of partitions with news. A session is an optimisation: it is refused (id 0) or forgotten under pressure, never relied on.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { Clock } from "../host/clock.ts";
import type { Random } from "../host/random.ts";
import { KafkaError } from "../kafka-error.ts";
import { type Offset, partitionKey, type TopicId, ZERO_TOPIC_ID } from "../topic-partition.ts";

const FIRST_INCREMENTAL_EPOCH = 1;
const EPOCH_MAX = 0x7fff_ffff;
/** Epoch of a request that creates a session, and of one that wants none. */
const INITIAL_EPOCH = 0;
const FINAL_EPOCH = -1;

/** A partition as a Fetch names it: by topic id from version 13 on, by name before. */
export interface FetchTarget {
  /** "" from version 13 on. */
  readonly topic: string;
  /** The zero id before version 13. */
  readonly topicId: TopicId;
  readonly partition: number;
}

/** What is asked of one partition. */
export interface FetchPartition extends FetchTarget {
  readonly fetchOffset: Offset;
  readonly partitionBytesMax: number;
  /** -1 when the client does not know it. */
  readonly currentLeaderEpoch: number;
  /** -1 when the client does not know it. */
  readonly lastFetchedEpoch: number;
}

/** What decides whether an incremental answer mentions a partition. */
export interface FetchNews {
  readonly highWatermark: Offset;
  readonly logStart: Offset;
  /** Whether there are records, an error, a divergence or a better replica. */
  readonly isNoteworthy: boolean;
  readonly isError: boolean;
}

/** The session part of a Fetch request. */
export interface FetchSessionRequest {
  readonly sessionId: number;
  readonly sessionEpoch: number;
  readonly usesTopicIds: boolean;
  readonly partitions: readonly FetchPartition[];
  readonly forgotten: readonly FetchTarget[];
}

/** One request's view: what to evaluate, and what of it to tell. */
export interface FetchScope {
  /** In the order in which they are to be served. */
  readonly partitions: readonly FetchPartition[];
  /**
   * Whether the answer mentions `partition`. Called once per partition, when the answer is made, in any order; it
   * remembers what was told.
   */
  tell(partition: FetchPartition, news: FetchNews): boolean;
  /** The session id of the answer; 0 for none. Called after every {@link tell}. */
  close(): number;
}

interface CachedPartition {
  request: FetchPartition;
  /** What the client was told last; -1 after an error, so that recovery is told. */
  highWatermark: Offset;
  logStart: Offset;
}

interface Session {
  readonly sessionId: number;
  readonly usesTopicIds: boolean;
  /** By {@link keyOf}, in serving order: partitions that gave records go to the end. */
  readonly partitions: Map<string, CachedPartition>;
  nextEpoch: number;
  lastUsedMs: number;
}

/** How many sessions there may be. */
export interface FetchSessionsSettings {
  readonly fetchSessionsMax: number;
  readonly fetchSessionEvictionMs: number;
  /** Partitions of one session; a request that would exceed it is INVALID_REQUEST. */
  readonly fetchPartitionsMax: number;
}

/** The sessions of this broker, least recently used first. */
export class FetchSessions {
  readonly #settings: FetchSessionsSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sessions = new Map<number, Session>();

  constructor(components: { clock: Clock; random: Random }, settings: FetchSessionsSettings) {
    this.#clock = components.clock;
    this.#random = components.random;
    this.#settings = settings;
  }

  /** How many sessions exist. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /**
   * Applies the session part of a request.
   * @throws KafkaError FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR or
   * INVALID_REQUEST: the whole answer is that code, without topics and with session id 0
   */
  open(request: FetchSessionRequest): FetchScope {
    const { sessionId, sessionEpoch } = request;
    if (sessionEpoch === FINAL_EPOCH || sessionEpoch === INITIAL_EPOCH) {
      if (sessionId !== 0) this.#sessions.delete(sessionId);
      const scope = new FullScope(request.partitions);
      if (sessionEpoch === INITIAL_EPOCH) scope.create = (told) => this.#create(request.usesTopicIds, told);
      return scope;
    }
    const session = this.#find(request);
    this.#update(session, request);
    if (session.partitions.size === 0) {
      this.#sessions.delete(sessionId);
      return new FullScope([]);
    }
    return new IncrementalScope(session);
  }

  #find(request: FetchSessionRequest): Session {
    const { sessionId, sessionEpoch, usesTopicIds } = request;
    const session = this.#sessions.get(sessionId);
    if (!session) throw new KafkaError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND, `there is no fetch session ${sessionId}`);
    if (session.nextEpoch !== sessionEpoch) {
      const text = `fetch session ${sessionId} is at epoch ${session.nextEpoch}, not ${sessionEpoch}`;
      throw new KafkaError(ErrorCode.INVALID_FETCH_SESSION_EPOCH, text);
    }
    if (session.usesTopicIds !== usesTopicIds) {
      const text = `fetch session ${sessionId} was made with ${session.usesTopicIds ? "topic ids" : "topic names"}`;
      throw new KafkaError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR, text);
    }
    session.nextEpoch = sessionEpoch === EPOCH_MAX ? FIRST_INCREMENTAL_EPOCH : sessionEpoch + 1;
    session.lastUsedMs = this.#clock.monotonicMs();
    this.#sessions.delete(sessionId);
    this.#sessions.set(sessionId, session);
    return session;
  }

  #update(session: Session, request: FetchSessionRequest): void {
    for (const target of request.forgotten) session.partitions.delete(keyOf(target));
    for (const partition of request.partitions) {
      const key = keyOf(partition);
      const cached = session.partitions.get(key);
      if (cached) cached.request = partition;
      else session.partitions.set(key, { request: partition, highWatermark: -1, logStart: -1 });
    }
    const { fetchPartitionsMax } = this.#settings;
    if (session.partitions.size <= fetchPartitionsMax) return;
    this.#sessions.delete(session.sessionId);
    const text = `fetch session ${session.sessionId} has more than ${fetchPartitionsMax} partitions`;
    throw new KafkaError(ErrorCode.INVALID_REQUEST, text);
  }

  #create(usesTopicIds: boolean, told: ReadonlyMap<FetchPartition, FetchNews>): number {
    if (told.size === 0 || !this.#makeRoom()) return 0;
    const partitions = new Map<string, CachedPartition>();
    for (const [request, news] of told) {
      const { highWatermark, logStart } = news.isError ? { highWatermark: -1, logStart: -1 } : news;
      partitions.set(keyOf(request), { request, highWatermark, logStart });
    }
    const sessionId = this.#freshId();
    const lastUsedMs = this.#clock.monotonicMs();
    this.#sessions.set(sessionId, {
      sessionId,
      usesTopicIds,
      partitions,
      nextEpoch: FIRST_INCREMENTAL_EPOCH,
      lastUsedMs,
    });
    return sessionId;
  }

  /** Evicts the least recently used session if it is old enough; false when there is no room for another. */
  #makeRoom(): boolean {
    const { fetchSessionsMax, fetchSessionEvictionMs } = this.#settings;
    if (this.#sessions.size < fetchSessionsMax) return true;
    const [oldest] = this.#sessions.values();
    if (!oldest || this.#clock.monotonicMs() - oldest.lastUsedMs < fetchSessionEvictionMs) return false;
    this.#sessions.delete(oldest.sessionId);
    return true;
  }

  #freshId(): number {
    for (;;) {
      const sessionId = 1 + Math.floor(this.#random.uniform() * EPOCH_MAX);
      if (sessionId <= EPOCH_MAX && !this.#sessions.has(sessionId)) return sessionId;
    }
  }
}

/** A request that names everything it wants and hears of all of it. */
class FullScope implements FetchScope {
  readonly partitions: readonly FetchPartition[];
  /** Makes the session at the end, if one was asked for. */
  create: ((told: ReadonlyMap<FetchPartition, FetchNews>) => number) | undefined;
  readonly #told = new Map<FetchPartition, FetchNews>();

  constructor(partitions: readonly FetchPartition[]) {
    this.partitions = partitions;
  }

  tell(partition: FetchPartition, news: FetchNews): boolean {
    if (this.create) this.#told.set(partition, news);
    return true;
  }

  close(): number {
    return this.create?.(this.#told) ?? 0;
  }
}

class IncrementalScope implements FetchScope {
  readonly partitions: readonly FetchPartition[];
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
    this.partitions = Array.from(session.partitions.values(), (cached) => cached.request);
  }

  tell(partition: FetchPartition, news: FetchNews): boolean {
    const { partitions } = this.#session;
    const key = keyOf(partition);
    const cached = partitions.get(key);
    if (!cached) return news.isNoteworthy;
    const isNew = news.highWatermark !== cached.highWatermark || news.logStart !== cached.logStart;
    cached.highWatermark = news.isError ? -1 : news.highWatermark;
    cached.logStart = news.isError ? -1 : news.logStart;
    if (news.isNoteworthy && !news.isError) {
      // What had records goes behind what had none, so that no partition starves another.
      partitions.delete(key);
      partitions.set(key, cached);
    }
    return news.isNoteworthy || isNew;
  }

  close(): number {
    return this.#session.sessionId;
  }
}

function keyOf(target: FetchTarget): string {
  return target.topicId === ZERO_TOPIC_ID
    ? partitionKey(target.topic, target.partition)
    : partitionKey(target.topicId, target.partition);
}
