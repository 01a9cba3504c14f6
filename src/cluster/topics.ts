// The only writer of topics: create, delete, and the internal ones at their first use. Every door (CreateTopics,
// automatic creation, the control plane) comes through here, so every topic obeys the same rules and limits. Answers
// when the image of every live broker shows the change, the own one first; a write without answer is sent again until it
// is known what became of it.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";
import type { KeyValue, Revision } from "../kv/key-value-store.ts";
import type { TopicId } from "../topic-partition.ts";
import { txnUntilAnswered, untilAnswered } from "./attempts.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import type { ImageBarrier } from "./image-barrier.ts";
import { type ImageFeed, topicFromEntry } from "./image-feed.ts";
import { encodeTopic } from "./keys.ts";
import { newUuid } from "./new-uuid.ts";
import {
  collisionKey,
  invalidName,
  isInternal,
  TOPIC_NAME_LENGTH_MAX,
  type Topic,
  validateTopicName,
} from "./topic.ts";
import { validateTopicConfigs } from "./topic-configs.ts";

/** How many partitions there may be. */
export interface TopicLimits {
  readonly partitionsPerTopicMax: number;
  readonly partitionsPerClusterMax: number;
}

/** The cluster limit is what one broker was measured to bear; the topic limit keeps one mistake from taking all of it. */
export const defaultTopicLimits: TopicLimits = { partitionsPerTopicMax: 1000, partitionsPerClusterMax: 20_000 };

/** Partitions of an internal topic, Kafka's default. */
export const INTERNAL_PARTITION_COUNT = 50;

/** A topic to be created. */
export interface NewTopic {
  readonly name: string;
  readonly partitionCount: number;
  /** Overrides, by Kafka's names. */
  readonly configs: ReadonlyMap<string, string>;
}

/** Names a topic for deletion. */
export type TopicTarget = { readonly name: string } | { readonly topicId: TopicId };

/** What the writer of topics needs besides the store and the image. */
export interface TopicsOptions {
  readonly limits?: TopicLimits;
  /** Without it, no other broker is waited for. */
  readonly barrier?: ImageBarrier;
}

/** A topic as a creation found or made it. */
interface Written {
  readonly isCreated: boolean;
  readonly stored: Topic;
  readonly revision: Revision;
}

/** The writer of topics. */
export class Topics {
  readonly #components: ClusterComponents;
  readonly #feed: ImageFeed;
  readonly #limits: TopicLimits;
  readonly #barrier: ImageBarrier | undefined;
  /** Being created by this process and perhaps not in the image yet: they count for limits and collisions. */
  readonly #creating = new Map<string, number>();

  constructor(components: ClusterComponents, feed: ImageFeed, options: TopicsOptions = {}) {
    this.#components = components;
    this.#feed = feed;
    this.#limits = options.limits ?? defaultTopicLimits;
    this.#barrier = options.barrier;
  }

  /**
   * Creates a topic; with `validateOnly`, checks all that a creation would check.
   * @returns the topic, which every live broker's image shows; with `validateOnly` one with the id of 16 zero bytes
   * @throws KafkaError INVALID_TOPIC_EXCEPTION, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS, POLICY_VIOLATION,
   *   INVALID_CONFIG; REQUEST_TIMED_OUT when `signal` aborts before the outcome is known to all
   */
  async create(
    topic: NewTopic,
    { signal, validateOnly = false }: { readonly signal: AbortSignal; readonly validateOnly?: boolean },
  ): Promise<Topic> {
    this.#validate(topic);
    if (validateOnly) return { ...topic, topicId: "AAAAAAAAAAAAAAAAAAAAAA", isInternal: false };
    const { isCreated, stored } = await this.#write(topic, signal);
    if (!isCreated) throw alreadyExists(topic.name);
    return stored;
  }

  /**
   * Deletes a topic; every live broker's image shows that it is gone.
   * @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_TOPIC_EXCEPTION for internal topics;
   *   REQUEST_TIMED_OUT when `signal` aborts before the outcome is known to all
   */
  async delete(target: TopicTarget, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const name = "name" in target ? target.name : this.#feed.current.topicById(target.topicId)?.name;
    // A name that cannot exist is not asked for: it might not even be a key.
    if (name === undefined || name.length > TOPIC_NAME_LENGTH_MAX) throw unknown(target);
    if (isInternal(name)) throw invalidName(`${name} holds the state of coordinators and cannot be deleted`);
    await orTimedOut(`deletion of topic ${name}`, signal, () => this.#remove(name, target, signal));
  }

  /**
   * An internal topic, created at its first use. Whatever partition count is stored wins.
   * @throws KafkaError REQUEST_TIMED_OUT when `signal` aborts before the outcome is known
   */
  async ensureInternal(
    name: string,
    {
      signal,
      partitionCount = INTERNAL_PARTITION_COUNT,
    }: { readonly signal: AbortSignal; readonly partitionCount?: number },
  ): Promise<Topic> {
    const known = this.#feed.current.topic(name);
    if (known) return known;
    const configs = new Map([["cleanup.policy", "compact"]]);
    return (await this.#write({ name, partitionCount, configs }, signal)).stored;
  }

  #validate({ name, partitionCount, configs }: NewTopic): void {
    validateTopicName(name);
    const image = this.#feed.current;
    if (image.topic(name) || this.#creating.has(name)) throw alreadyExists(name);
    if (isInternal(name)) throw invalidName(`${name} is made by the cluster itself`);
    this.#refuseCollision(name);
    const { partitionsPerTopicMax, partitionsPerClusterMax } = this.#limits;
    if (!Number.isInteger(partitionCount) || partitionCount < 1 || partitionCount > partitionsPerTopicMax) {
      throw new KafkaError(
        ErrorCode.INVALID_PARTITIONS,
        `topic ${name} with ${partitionCount} partitions: 1 to ${partitionsPerTopicMax} are allowed`,
      );
    }
    const creating = [...this.#creating].reduce((sum, [other, count]) => sum + (image.topic(other) ? 0 : count), 0);
    if (image.partitionCount + creating + partitionCount > partitionsPerClusterMax) {
      throw new KafkaError(
        ErrorCode.POLICY_VIOLATION,
        `topic ${name} would take the cluster past ${partitionsPerClusterMax} partitions`,
      );
    }
    validateTopicConfigs(configs);
  }

  #refuseCollision(name: string): void {
    if (!/[._]/.test(name)) return;
    const key = collisionKey(name);
    const names = [...this.#feed.current.topics().map((topic) => topic.name), ...this.#creating.keys()];
    const other = names.find((candidate) => candidate !== name && collisionKey(candidate) === key);
    if (other !== undefined) throw invalidName(`topic ${name} collides with ${other}: "." and "_" count as the same`);
  }

  async #write(topic: NewTopic, signal: AbortSignal): Promise<Written> {
    const { name, partitionCount } = topic;
    this.#creating.set(name, partitionCount);
    try {
      return await orTimedOut(`creation of topic ${name}`, signal, async () => {
        const written = await this.#put(topic, signal);
        await this.#feed.waitFor("topics", written.revision, { signal });
        if (written.isCreated) await this.#barrier?.topics(written.revision, { signal });
        return written;
      });
    } finally {
      this.#creating.delete(name);
    }
  }

  /** Creates under a fresh id each time a deletion came between: the copies of an attempt are then void for ever. */
  async #put(topic: NewTopic, signal: AbortSignal): Promise<Written> {
    const { kv, keys } = this.#components;
    for (;;) {
      const what = "read of the deletions of topics";
      const { entry } = await untilAnswered(this.#components, { what, signal }, (call) =>
        kv.get(keys.topicDeletions, { signal: call }),
      );
      const put = await this.#putUnlessDeleting(topic, entry?.modRevision ?? 0, signal);
      if (put) return put;
    }
  }

  async #putUnlessDeleting(topic: NewTopic, deletions: Revision, signal: AbortSignal): Promise<Written | undefined> {
    const { keys, clock, random } = this.#components;
    const { name, partitionCount, configs } = topic;
    const key = keys.topic(name);
    const record = { topicId: newUuid(random), partitionCount, configs, createdAtMs: clock.wallMs() };
    const { succeeded, revision, results } = await txnUntilAnswered(
      this.#components,
      { what: "creation of a topic", signal },
      {
        compare: [
          { key, target: "create", equals: 0 },
          { key: keys.topicDeletions, target: "mod", equals: deletions },
        ],
        then: [{ type: "put", key, value: encodeTopic(record) }],
        otherwise: [{ type: "get", key }],
      },
    );
    if (succeeded) {
      return { isCreated: true, stored: { name, ...topicOf(record), isInternal: isInternal(name) }, revision };
    }
    const entry = results[0];
    if (!entry) return undefined;
    // The one with our id is ours: an earlier copy of the transaction landed.
    const stored = topicFromEntry(name, entry);
    return { isCreated: stored.topicId === record.topicId, stored, revision: entry.modRevision };
  }

  async #remove(name: string, target: TopicTarget, signal: AbortSignal): Promise<void> {
    const { kv, keys } = this.#components;
    const key = keys.topic(name);
    const read = await untilAnswered(this.#components, { what: "read of a topic", signal }, (call) =>
      kv.get(key, { signal: call }),
    );
    let entry = requireTarget(name, target, read.entry);
    const { topicId } = topicFromEntry(name, entry);
    let removed = await this.#removeRevision(key, entry.modRevision, signal);
    while (removed.entry && topicFromEntry(name, removed.entry).topicId === topicId) {
      // Changed, not replaced: partitions were added or a configuration altered.
      entry = removed.entry;
      removed = await this.#removeRevision(key, entry.modRevision, signal);
    }
    // The id is never used again: once it has left the image it stays away.
    await this.#feed.waitUntil((image) => image.topicById(topicId) === undefined, { signal });
    await this.#barrier?.topics(removed.lastDeletion, { signal });
  }

  /** What is stored after the attempt, and the revision of the newest deletion of any topic: this one's, if it is gone. */
  async #removeRevision(
    key: string,
    modRevision: Revision,
    signal: AbortSignal,
  ): Promise<{ readonly entry: KeyValue | undefined; readonly lastDeletion: Revision }> {
    const { topicDeletions } = this.#components.keys;
    const { succeeded, revision, results } = await txnUntilAnswered(
      this.#components,
      { what: "deletion of a topic", signal },
      {
        compare: [{ key, target: "mod", equals: modRevision }],
        then: [
          { type: "delete", key },
          { type: "put", key: topicDeletions, value: new TextEncoder().encode(key) },
        ],
        otherwise: [
          { type: "get", key },
          { type: "get", key: topicDeletions },
        ],
      },
    );
    if (succeeded) return { entry: undefined, lastDeletion: revision };
    const [entry, deletion] = results;
    return { entry, lastDeletion: deletion?.modRevision ?? 0 };
  }
}

function topicOf({
  topicId,
  partitionCount,
  configs,
}: Omit<Topic, "name" | "isInternal">): Omit<Topic, "name" | "isInternal"> {
  return { topicId, partitionCount, configs };
}

/**
 * Every topic, by a linearizable read: what is missing here and was known before is deleted for certain. `revision` is
 * that of the last change of any of them.
 */
export async function readTopics(
  components: ClusterComponents,
  { signal }: { readonly signal: AbortSignal },
): Promise<{ readonly topics: readonly Topic[]; readonly revision: Revision }> {
  const { kv, keys } = components;
  const { entries } = await untilAnswered(components, { what: "range of topics", signal }, (call) =>
    kv.range(keys.topics, { signal: call }),
  );
  const { entry: deletion } = await untilAnswered(components, { what: "read of the last deletion", signal }, (call) =>
    kv.get(keys.topicDeletions, { signal: call }),
  );
  const topics = entries.map((entry) => topicFromEntry(keys.topicOf(entry.key), entry));
  return { topics, revision: Math.max(deletion?.modRevision ?? 0, ...entries.map(({ modRevision }) => modRevision)) };
}

function requireTarget(name: string, target: TopicTarget, entry: KeyValue | undefined): KeyValue {
  if (!entry) throw unknown(target);
  if ("topicId" in target && topicFromEntry(name, entry).topicId !== target.topicId) throw unknown(target);
  return entry;
}

function unknown(target: TopicTarget): KafkaError {
  return "name" in target
    ? new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `there is no topic ${JSON.stringify(target.name)}`)
    : new KafkaError(ErrorCode.UNKNOWN_TOPIC_ID, `there is no topic with id ${target.topicId}`);
}

function alreadyExists(name: string): KafkaError {
  return new KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, `topic ${name} exists`);
}

async function orTimedOut<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!signal.aborted || error instanceof KafkaError) throw error;
    throw new KafkaError(ErrorCode.REQUEST_TIMED_OUT, `${what} has no known outcome yet`, { cause: error });
  }
}
