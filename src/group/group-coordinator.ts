// The coordinator of the consumer groups whose partition of `__consumer_offsets` this broker leads. Finds and loads
// partitions, gives each request to its group, and answers for the rest: 15 until the topic exists, 14 while its
// partition is being taken over, 16 when another broker leads it. Knows nothing of the state of a group.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { shardOf } from "../cluster/placement.ts";
import { OFFSETS_TOPIC } from "../cluster/topic.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Metrics } from "../host/metrics.ts";
import type { Random } from "../host/random.ts";
import { KafkaError } from "../kafka-error.ts";
import { type TopicId, ZERO_TOPIC_ID } from "../topic-partition.ts";
import { DecodeError } from "../wire/decode-error.ts";
import type {
  CommittedOffset,
  FetchOffsetsReply,
  FetchOffsetsRequest,
  GroupDescription,
  GroupRequest,
} from "./group.ts";
import type {
  CoordinatorNode,
  GroupFeed,
  GroupImage,
  GroupLog,
  GroupPartitionLog,
  GroupTopic,
  GroupTopics,
} from "./group-log.ts";
import { coordinatorCode, type ReplyTo } from "./group-mailbox.ts";
import { validateGroupId, validateRequest } from "./group-members.ts";
import { GroupPartition } from "./group-partition.ts";
import { groupPartition } from "./group-placement.ts";
import type { GroupSettings } from "./group-settings.ts";

/** What the coordinator works with. */
export interface GroupCoordinatorComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly settings: GroupSettings;
  readonly brokerId: number;
  readonly brokerLog: GroupLog;
  readonly feed: GroupFeed;
  readonly topics: GroupTopics;
  /** Told of a write that failed for another reason than a KafkaError, whether or not somebody waits for it. */
  readonly onBug: (error: unknown) => void;
}

/** Groups of this broker. */
export class GroupCoordinator {
  readonly #components: GroupCoordinatorComponents;
  readonly #life = new AbortController();
  /** Loaded partitions by number. The topic is internal: it is never deleted, so its id never changes. */
  readonly #partitions = new Map<number, { readonly groups: GroupPartition; readonly unsubscribe: () => void }>();
  readonly #unsubscribes: readonly (() => void)[];
  #groupCount = 0;
  #creation: Promise<GroupTopic> | undefined;

  /** Follows the broker's sessions and the cluster's topics from here on, until {@link close}. */
  constructor(components: GroupCoordinatorComponents) {
    this.#components = components;
    const { brokerLog, feed, metrics } = components;
    metrics.gauge("kafscale_groups", "Consumer groups this broker coordinates.", () => this.#groupCount);
    this.#unsubscribes = [
      brokerLog.onServing(() => this.#loadOwn()),
      feed.subscribe((image, previous) => this.#dropDeletedTopics(image, previous)),
    ];
    this.#loadOwn();
  }

  /** A fresh random uuid as text, for the ids of new members. */
  newUuid(): string {
    const bytes = this.#components.random.bytes(16);
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    const hex = Buffer.from(bytes).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  /**
   * Gives a request to its group, in this very call once the topic exists. Resolves when the reply may leave: everything
   * it contains is committed then.
   * @throws KafkaError INVALID_GROUP_ID, INVALID_REQUEST, INVALID_SESSION_TIMEOUT; COORDINATOR_NOT_AVAILABLE,
   * COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR
   */
  async ask<R extends GroupRequest>(groupId: string, request: R): Promise<ReplyTo<R>> {
    validateGroupId(groupId, request, this.#components.settings);
    validateRequest(request, this.#components.settings);
    let topic = this.#topic();
    if (!topic && (request.type === "join" || request.type === "commit")) topic = await this.#createTopic();
    if (!topic) throw new KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, `topic ${OFFSETS_TOPIC} does not exist yet`);
    return this.#partition(topic, groupPartition(groupId, topic.partitionCount)).ask(groupId, request);
  }

  /**
   * Reads offsets, as {@link ask}, and only from a coordinator that is proven to be one still: a stale owner must never
   * make a consumer start over.
   */
  async fetchOffsets(groupId: string, request: FetchOffsetsRequest): Promise<FetchOffsetsReply> {
    const [reply] = await Promise.all([this.ask(groupId, request), this.#confirmSession()]);
    return reply;
  }

  async #confirmSession(): Promise<void> {
    try {
      await this.#components.brokerLog.confirmSession();
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      throw new KafkaError(coordinatorCode(error.code), "the session of this broker is not proven", { cause: error });
    }
  }

  /**
   * Who coordinates a group. The first call of a cluster creates the topic.
   * @throws KafkaError COORDINATOR_NOT_AVAILABLE while nobody does
   */
  async findCoordinator(groupId: string): Promise<CoordinatorNode> {
    const topic = this.#topic() ?? (await this.#createTopic());
    const image = this.#components.feed.current;
    const owner = image.ownerOf(shardOf(topic.topicId, groupPartition(groupId, topic.partitionCount)));
    const node = owner && image.brokers().find((broker) => broker.brokerId === owner.brokerId);
    if (!node) throw new KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, `nobody coordinates group ${groupId} yet`);
    return node;
  }

  /**
   * Every group this broker coordinates.
   * @throws KafkaError COORDINATOR_LOAD_IN_PROGRESS while one of its partitions is being taken over
   */
  async listGroups(): Promise<GroupDescription[]> {
    const partitions = this.#ownPartitions();
    const replies = await Promise.all(partitions.flatMap((partition) => partition.askAll({ type: "describe" })));
    return replies.flatMap(({ group }) => group ?? []);
  }

  /** Ends every membership here: whoever waits is sent to the next coordinator. No timer is left. */
  close(): void {
    this.#life.abort();
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
    const error = new KafkaError(ErrorCode.NOT_COORDINATOR, "this broker is stopping");
    for (const partition of [...this.#partitions.keys()]) this.#unload(partition, error);
  }

  #topic(): GroupTopic | undefined {
    return this.#components.feed.current.topic(OFFSETS_TOPIC);
  }

  #ownPartitions(): GroupPartition[] {
    const topic = this.#topic();
    const partitions: GroupPartition[] = [];
    for (let partition = 0; partition < (topic?.partitionCount ?? 0); partition++) {
      if (topic && this.#isOwn(topic, partition)) partitions.push(this.#partition(topic, partition));
    }
    return partitions;
  }

  /** Loads every partition this broker leads, so that sessions and offsets expire without being asked for. */
  #loadOwn(): void {
    const topic = this.#topic();
    for (let partition = 0; partition < (topic?.partitionCount ?? 0); partition++) {
      try {
        if (topic) this.#partition(topic, partition);
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
      }
    }
  }

  /** Topics the views knew and now do not are gone for certain: so are their offsets. */
  #dropDeletedTopics(image: GroupImage, previous: GroupImage): void {
    if (image.revisionOf("topics") === previous.revisionOf("topics")) return;
    const gone = new Set<TopicId>();
    for (const { topicId } of previous.topics()) if (!image.topicById(topicId)) gone.add(topicId);
    if (gone.size === 0) return;
    for (const { groups } of this.#partitions.values()) groups.dropTopics(gone);
  }

  /** Whether the cluster says that this broker leads the partition, loaded or not. */
  #isOwn(topic: GroupTopic, partition: number): boolean {
    const owner = this.#components.feed.current.ownerOf(shardOf(topic.topicId, partition));
    return owner?.brokerId === this.#components.brokerId;
  }

  /** The groups of a partition, loaded if they are not. */
  #partition(topic: GroupTopic, partition: number): GroupPartition {
    const loaded = this.#partitions.get(partition);
    const log = this.#logOf(topic, partition);
    if (loaded && loaded.groups.log === log) return loaded.groups;
    if (loaded) this.#unload(partition, notCoordinator(partition));
    const groups = this.#load(log, partition);
    const unsubscribe = log.subscribe(() => this.#recheck(topic, partition));
    this.#partitions.set(partition, { groups, unsubscribe });
    return groups;
  }

  #load(log: GroupPartitionLog, partition: number): GroupPartition {
    const parts = {
      clock: this.#components.clock,
      log: this.#components.log,
      settings: this.#components.settings,
      onBug: this.#components.onBug,
      isTopicAlive: (name: string, committed: CommittedOffset) => this.#isTopicAlive(name, committed),
      takePlace: () => ++this.#groupCount <= this.#components.settings.groupsMax,
      givePlaceBack: () => {
        this.#groupCount--;
      },
    };
    try {
      return new GroupPartition(log, parts);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      // Going on without the record would forget somebody's offsets: better no answer than a wrong one.
      this.#components.log.error("groups could not be loaded", { topic: OFFSETS_TOPIC, partition, error });
      const text = `partition ${partition} of ${OFFSETS_TOPIC} has a damaged record`;
      throw new KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, text, { cause: error });
    }
  }

  #logOf(topic: GroupTopic, partition: number): GroupPartitionLog {
    if (this.#life.signal.aborted) throw notCoordinator(partition);
    try {
      return this.#components.brokerLog.partition(topic.topicId, partition);
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      this.#unload(partition, notCoordinator(partition));
      const isTakingOver = error.code === ErrorCode.NOT_LEADER_OR_FOLLOWER && this.#isOwn(topic, partition);
      const code = isTakingOver ? ErrorCode.COORDINATOR_LOAD_IN_PROGRESS : coordinatorCode(error.code);
      throw new KafkaError(code, `partition ${partition} of ${OFFSETS_TOPIC} is not led here`, { cause: error });
    }
  }

  /** After each commit, and when a leadership may have ended: parked members must not wait at the wrong broker. */
  #recheck(topic: GroupTopic, partition: number): void {
    const loaded = this.#partitions.get(partition);
    if (!loaded) return;
    try {
      if (this.#components.brokerLog.partition(topic.topicId, partition) === loaded.groups.log) return;
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
    }
    this.#unload(partition, notCoordinator(partition));
  }

  #unload(partition: number, error: KafkaError): void {
    const loaded = this.#partitions.get(partition);
    if (!loaded) return;
    this.#partitions.delete(partition);
    loaded.unsubscribe();
    loaded.groups.close(error);
  }

  /** An offset is dead only if its topic is known to have another id now: "not in this view" is never "deleted". */
  #isTopicAlive(name: string, committed: CommittedOffset): boolean {
    const topic = this.#components.feed.current.topic(name);
    return !topic || committed.topicId === ZERO_TOPIC_ID || topic.topicId === committed.topicId;
  }

  /** One creation at a time, whoever asks. */
  #createTopic(): Promise<GroupTopic> {
    this.#creation ??= this.#requestTopic().finally(() => {
      this.#creation = undefined;
    });
    return this.#creation;
  }

  async #requestTopic(): Promise<GroupTopic> {
    const { settings, log, topics } = this.#components;
    try {
      const options = { signal: this.#life.signal, partitionCount: settings.offsetsPartitionCount };
      return await topics.ensureInternal(OFFSETS_TOPIC, options);
    } catch (error) {
      if (!(error instanceof KafkaError) && !this.#life.signal.aborted) throw error;
      log.warn("internal topic could not be created", { topic: OFFSETS_TOPIC, error });
      const text = `topic ${OFFSETS_TOPIC} could not be created`;
      throw new KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, text, { cause: error });
    }
  }
}

function notCoordinator(partition: number): KafkaError {
  return new KafkaError(ErrorCode.NOT_COORDINATOR, `partition ${partition} of ${OFFSETS_TOPIC} is led elsewhere`);
}
