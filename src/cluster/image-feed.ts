// Keeps the image current: lists topics, sessions and claims once, then follows each by a watch, and lists again where a
// watch broke or its revisions are gone. A value that cannot be read ends the feed: a broker must not guess.
import { sleep } from "../host/clock.ts";
import { TaskGroup } from "../host/tasks.ts";
import { type KeyValue, KvError, type Revision, type WatchBatch } from "../kv/key-value-store.ts";
import { isTransient, untilAnswered } from "./attempts.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import { type ImageCollection, type ImageContent, type LiveSession, MetadataImage } from "./image.ts";
import { decodeClaim, decodeSession, decodeTopic } from "./keys.ts";
import type { Session } from "./session.ts";
import { isInternal, type Topic } from "./topic.ts";

/** Called after each change, in order. `previous` is the image before it. */
export type ImageListener = (image: MetadataImage, previous: MetadataImage) => void;

const COLLECTIONS: readonly ImageCollection[] = ["topics", "sessions", "claims"];
/** Pause before a broken watch is opened again. */
const RELIST_PAUSE_MS = 100;

interface Waiter {
  readonly isDone: (image: MetadataImage) => boolean;
  readonly resolve: (image: MetadataImage) => void;
}

/** The source of images of one broker. */
export class ImageFeed {
  readonly #components: ClusterComponents;
  readonly #tasks: TaskGroup;
  readonly #listeners = new Set<ImageListener>();
  readonly #waiters = new Set<Waiter>();
  #image: MetadataImage;

  /** @param options.onFailure told once when the feed ends for another reason than its stop: the broker ends too */
  constructor(
    components: ClusterComponents,
    options: { readonly clusterId: string; readonly onFailure: (error: unknown) => void },
  ) {
    this.#components = components;
    this.#image = new MetadataImage({
      clusterId: options.clusterId,
      topics: new Map(),
      topicsById: new Map(),
      sessions: new Map(),
      claims: new Map(),
      revisions: { topics: 0, sessions: 0, claims: 0 },
    });
    this.#tasks = new TaskGroup(components.log, (_name, error) => options.onFailure(error));
  }

  /** The newest image; empty before {@link start}. */
  get current(): MetadataImage {
    return this.#image;
  }

  /** Lists everything, then follows until {@link stop} or until `signal` aborts. */
  async start({ signal }: { readonly signal: AbortSignal }): Promise<MetadataImage> {
    const listed = await Promise.all(COLLECTIONS.map((collection) => this.#list(collection, signal)));
    signal.throwIfAborted();
    signal.addEventListener("abort", () => this.#tasks.abort(), { once: true });
    for (const [index, collection] of COLLECTIONS.entries()) {
      this.#tasks.spawn(`watch of ${collection}`, (stop) => this.#follow(collection, listed[index] ?? 0, stop));
    }
    return this.#image;
  }

  /** Ends the watches and waits for them. */
  stop(): Promise<void> {
    return this.#tasks.stop();
  }

  /** Calls `listener` after each change from now on. Returns the way to end that. */
  subscribe(listener: ImageListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Waits until a change of `collection` made at `revision` is in the image. The revision has to be one at which the
   * collection changed: others may never be seen.
   */
  waitFor(
    collection: ImageCollection,
    revision: Revision,
    options: { readonly signal: AbortSignal },
  ): Promise<MetadataImage> {
    return this.waitUntil((image) => image.revisionOf(collection) >= revision, options);
  }

  /** Waits until `isDone` holds of the image. Rejects with the signal's reason. */
  waitUntil(
    isDone: (image: MetadataImage) => boolean,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<MetadataImage> {
    if (isDone(this.#image)) return Promise.resolve(this.#image);
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const onAbort = () => {
        this.#waiters.delete(waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        isDone,
        resolve: (image) => {
          signal.removeEventListener("abort", onAbort);
          resolve(image);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  async #list(collection: ImageCollection, signal: AbortSignal): Promise<Revision> {
    const { kv } = this.#components;
    const prefix = this.#prefix(collection);
    const { revision, entries } = await untilAnswered(
      this.#components,
      { what: `range of ${collection}`, signal },
      (call) => kv.range(prefix, { signal: call }),
    );
    const emptied: ImageContent = {
      ...this.#image.content,
      ...(collection === "topics" && { topics: new Map(), topicsById: new Map() }),
      ...(collection === "sessions" && { sessions: new Map() }),
      ...(collection === "claims" && { claims: new Map() }),
    };
    const events = entries.map((entry) => ({ type: "put" as const, entry }));
    this.#show(collection, revision, this.#applied(collection, emptied, events));
    return revision;
  }

  async #follow(collection: ImageCollection, listed: Revision, signal: AbortSignal): Promise<void> {
    let revision = listed;
    for (;;) {
      try {
        const options = { signal, fromRevision: revision + 1 };
        for await (const batch of this.#components.kv.watch(this.#prefix(collection), options)) {
          this.#show(collection, batch.revision, this.#applied(collection, this.#image.content, batch.events));
          revision = batch.revision;
        }
      } catch (error) {
        signal.throwIfAborted();
        const isCompacted = error instanceof KvError && error.kind === "compacted";
        if (!isCompacted && !isTransient(error)) throw error;
        this.#components.log.warn("a watch broke, listing again", { collection, revision, error });
      }
      await sleep(this.#components.clock, RELIST_PAUSE_MS * (1 + this.#components.random.uniform()), signal);
      revision = await this.#list(collection, signal);
    }
  }

  #show(collection: ImageCollection, revision: Revision, content: ImageContent): void {
    const previous = this.#image;
    this.#image = new MetadataImage({ ...content, revisions: { ...content.revisions, [collection]: revision } });
    for (const listener of this.#listeners) listener(this.#image, previous);
    for (const waiter of this.#waiters) {
      if (!waiter.isDone(this.#image)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(this.#image);
    }
  }

  #applied(collection: ImageCollection, content: ImageContent, events: WatchBatch["events"]): ImageContent {
    if (collection === "topics") return this.#withTopics(content, events);
    return collection === "sessions" ? this.#withSessions(content, events) : this.#withClaims(content, events);
  }

  #withTopics(content: ImageContent, events: WatchBatch["events"]): ImageContent {
    const topics = new Map(content.topics);
    const topicsById = new Map(content.topicsById);
    for (const event of events) {
      const name = this.#components.keys.topicOf(event.type === "put" ? event.entry.key : event.key);
      const known = topics.get(name);
      if (known) topicsById.delete(known.topicId);
      topics.delete(name);
      if (event.type === "delete") continue;
      const topic = topicFromEntry(name, event.entry);
      topics.set(name, topic);
      topicsById.set(topic.topicId, topic);
    }
    return { ...content, topics, topicsById };
  }

  #withSessions(content: ImageContent, events: WatchBatch["events"]): ImageContent {
    const sessions = new Map(content.sessions);
    for (const event of events) {
      const sessionId = this.#components.keys.sessionOf(event.type === "put" ? event.entry.key : event.key);
      if (event.type === "delete") sessions.delete(sessionId);
      else sessions.set(sessionId, liveSession(sessionId, event.entry));
    }
    return { ...content, sessions };
  }

  #withClaims(content: ImageContent, events: WatchBatch["events"]): ImageContent {
    const claims = new Map(content.claims);
    for (const event of events) {
      const shard = this.#components.keys.shardOf(event.type === "put" ? event.entry.key : event.key);
      if (event.type === "delete") claims.delete(shard);
      else claims.set(shard, { shard, claim: decodeClaim(event.entry), modRevision: event.entry.modRevision });
    }
    return { ...content, claims };
  }

  #prefix(collection: ImageCollection): string {
    return this.#components.keys[collection];
  }
}

/**
 * The revision at which what is now in `collection` changed last, by one linearizable read; 0 where there is nothing. An
 * image that has reached it lacks none of it: what was deleted since is missing in nobody's view.
 */
export async function newestChange(
  { kv, keys }: ClusterComponents,
  collection: ImageCollection,
  { signal }: { readonly signal: AbortSignal },
): Promise<Revision> {
  const { entries } = await kv.range(keys[collection], { signal, isNewestOnly: true });
  return entries[0]?.modRevision ?? 0;
}

/**
 * Ends `session` as soon as the image shows that its key is gone: a fenced session without traffic learns it here.
 * Returns the way to end that.
 */
export function endWhenFenced(session: Session, feed: ImageFeed): () => void {
  const check = (image: MetadataImage) => {
    if (image.revisionOf("sessions") < session.createRevision || image.session(session.sessionId)) return;
    session.die("the session was fenced");
  };
  check(feed.current);
  return feed.subscribe(check);
}

/** A topic from its stored form. */
export function topicFromEntry(name: string, entry: KeyValue): Topic {
  const { topicId, partitionCount, configs } = decodeTopic(entry);
  return { name, topicId, partitionCount, configs, isInternal: isInternal(name) };
}

function liveSession(sessionId: LiveSession["sessionId"], entry: KeyValue): LiveSession {
  return { ...decodeSession(entry), sessionId, createRevision: entry.createRevision };
}
