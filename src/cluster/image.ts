// What a broker knows of the cluster at one moment: topics, live sessions, claims. Immutable; each change makes a new
// one. It lags behind the store, so it may say who to ask and what exists, never that something was deleted.
import type { Revision } from "../kv/key-value-store.ts";
import type { LeaderEpoch, TopicId } from "../topic-partition.ts";
import type { SessionRecord } from "./keys.ts";
import { SHARD_COUNT } from "./placement.ts";
import type { SessionId } from "./session-id.ts";
import type { StoredClaim } from "./shard-claim.ts";
import type { Topic } from "./topic.ts";

/** A live session. */
export interface LiveSession extends SessionRecord {
  readonly sessionId: SessionId;
  readonly createRevision: Revision;
}

/** Where clients reach a broker. */
export interface BrokerEndpoint {
  readonly brokerId: number;
  readonly host: string;
  readonly port: number;
  /** Availability zone, empty if unknown. */
  readonly rack: string;
}

/** Who owns a shard, alive as far as the image knows. */
export interface ShardOwner {
  readonly sessionId: SessionId;
  readonly epoch: LeaderEpoch;
  readonly brokerId: number;
}

/** Parts of the image that are followed separately, each with the revision up to which it is known. */
export type ImageCollection = "topics" | "sessions" | "claims";

/** What an image is made of. Maps and arrays are never changed after they were given to one. */
export interface ImageContent {
  readonly clusterId: string;
  readonly topics: ReadonlyMap<string, Topic>;
  readonly topicsById: ReadonlyMap<TopicId, Topic>;
  readonly sessions: ReadonlyMap<SessionId, LiveSession>;
  readonly claims: ReadonlyMap<number, StoredClaim>;
  readonly revisions: Readonly<Record<ImageCollection, Revision>>;
}

/** The image. */
export class MetadataImage {
  readonly #content: ImageContent;
  #sortedTopics: readonly Topic[] | undefined;
  #brokers: readonly LiveSession[] | undefined;
  #partitionCount: number | undefined;

  constructor(content: ImageContent) {
    this.#content = content;
  }

  /** What the image is made of, for making the next one. */
  get content(): ImageContent {
    return this.#content;
  }

  /** Kafka's text form of a uuid. */
  get clusterId(): string {
    return this.#content.clusterId;
  }

  /** The newest revision of which any part is known. */
  get revision(): Revision {
    return Math.max(...Object.values(this.#content.revisions));
  }

  /** Revision up to which a part is known. */
  revisionOf(collection: ImageCollection): Revision {
    return this.#content.revisions[collection];
  }

  /** A topic by name. */
  topic(name: string): Topic | undefined {
    return this.#content.topics.get(name);
  }

  /** A topic by id. */
  topicById(topicId: TopicId): Topic | undefined {
    return this.#content.topicsById.get(topicId);
  }

  /** All topics by name. */
  topics(): readonly Topic[] {
    this.#sortedTopics ??= [...this.#content.topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return this.#sortedTopics;
  }

  /** Partitions of all topics. */
  get partitionCount(): number {
    this.#partitionCount ??= this.topics().reduce((sum, topic) => sum + topic.partitionCount, 0);
    return this.#partitionCount;
  }

  /** Live brokers by id. */
  brokers(): readonly BrokerEndpoint[] {
    return this.newestSessions();
  }

  /** Ids of the brokers that may be given shards: alive and not draining. Ascending. */
  placementBrokerIds(): readonly number[] {
    return this.newestSessions().flatMap((session) => (session.isDraining ? [] : [session.brokerId]));
  }

  /** All live sessions, in no order; a broker may have two for a moment. */
  sessions(): Iterable<LiveSession> {
    return this.#content.sessions.values();
  }

  /** A live session. */
  session(sessionId: SessionId): LiveSession | undefined {
    return this.#content.sessions.get(sessionId);
  }

  /** The live session of a broker, the newest should it have two. */
  sessionOf(brokerId: number): LiveSession | undefined {
    return this.newestSessions().find((session) => session.brokerId === brokerId);
  }

  /** Whether a broker still has a session that was registered before `createRevision`. */
  hasEarlierSession(brokerId: number, createRevision: Revision): boolean {
    for (const session of this.#content.sessions.values()) {
      if (session.brokerId === brokerId && session.createRevision < createRevision) return true;
    }
    return false;
  }

  /** The stored claim of a shard, whether or not its owner lives. */
  claim(shard: number): StoredClaim | undefined {
    return this.#content.claims.get(shard);
  }

  /** All stored claims, in no order. */
  claims(): Iterable<StoredClaim> {
    return this.#content.claims.values();
  }

  /** The owner of a shard, undefined if it has none or a dead one. */
  ownerOf(shard: number): ShardOwner | undefined {
    const stored = this.#content.claims.get(shard);
    const session = stored && this.#content.sessions.get(stored.claim.sessionId);
    return session && { sessionId: session.sessionId, epoch: stored.claim.epoch, brokerId: session.brokerId };
  }

  /** How many of the shards have a live owner. */
  get ownedShardCount(): number {
    let count = 0;
    for (let shard = 0; shard < SHARD_COUNT; shard += 1) if (this.ownerOf(shard)) count += 1;
    return count;
  }

  /** One session a broker, by broker id: the newest, should an earlier one not have ended yet. */
  newestSessions(): readonly LiveSession[] {
    if (this.#brokers) return this.#brokers;
    const newest = new Map<number, LiveSession>();
    for (const session of this.#content.sessions.values()) {
      const known = newest.get(session.brokerId);
      if (!known || known.createRevision < session.createRevision) newest.set(session.brokerId, session);
    }
    this.#brokers = [...newest.values()].sort((a, b) => a.brokerId - b.brokerId);
    return this.#brokers;
  }
}
