// A coordinator in a world a test controls: which partitions are led here, what the cluster knows, when commits happen.
// Time is the simulator's.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { OFFSETS_TOPIC } from "../../src/cluster/topic.ts";
import type { CommitRequest, JoinRequest } from "../../src/group/group.ts";
import { GroupCoordinator } from "../../src/group/group-coordinator.ts";
import type {
  CoordinatorNode,
  GroupFeed,
  GroupImage,
  GroupLog,
  GroupTopic,
  GroupTopics,
} from "../../src/group/group-log.ts";
import { defaultGroupSettings, type GroupSettings } from "../../src/group/group-settings.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { KafkaError } from "../../src/kafka-error.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";
import { HeldLog } from "./held-log.ts";

const BROKER_ID = 1;
/** Partitions of the internal topic here: few, so that tests can name them. */
export const PARTITION_COUNT = 2;
const OFFSETS_TOPIC_ID = "AAAAAAAAAAAAAAAAAAAA_w";
/** The topic `t` with two partitions, and the id it has from the start. */
export const TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAQ";

interface View extends GroupImage {
  readonly topicsRevision: number;
  readonly byName: ReadonlyMap<string, GroupTopic>;
}

/** Everything around a {@link GroupCoordinator}. */
export class TestCluster {
  readonly clock = new SimClock({ seed: 1 });
  readonly logs: HeldLog[] = Array.from({ length: PARTITION_COUNT }, () => new HeldLog());
  /** What `partition` says of each: led here, or why not. */
  readonly refusals: (ErrorCode | null)[] = Array.from({ length: PARTITION_COUNT }, () => null);
  /** The broker that owns every shard; undefined for none. */
  ownerId: number | undefined = BROKER_ID;
  creationCount = 0;
  creationError: Error | null = null;
  /** What asking for a proof of the session gives. */
  proof: () => Promise<void> = () => Promise.resolve();
  readonly coordinator: GroupCoordinator;
  readonly #listeners = new Set<(image: GroupImage, previous: GroupImage) => void>();
  readonly #onServing = new Set<() => void>();
  #view: View;

  constructor(options: { settings?: Partial<GroupSettings>; hasOffsetsTopic?: boolean; logs?: HeldLog[] } = {}) {
    const topics: GroupTopic[] = [{ name: "t", topicId: TOPIC_ID, partitionCount: 2 }];
    if (options.hasOffsetsTopic !== false) topics.push(offsetsTopic);
    this.#view = this.#viewOf(topics, 1);
    if (options.logs) this.logs.splice(0, PARTITION_COUNT, ...options.logs);
    this.coordinator = new GroupCoordinator({
      clock: this.clock,
      random: new SimRandom(1),
      log: silentLog,
      metrics: new UnexportedMetrics(),
      settings: { ...defaultGroupSettings, offsetsPartitionCount: PARTITION_COUNT, ...options.settings },
      brokerId: BROKER_ID,
      brokerLog: this.#brokerLog(),
      feed: this.#feed(),
      topics: this.#topics(),
      onBug: () => {},
    });
  }

  /** The cluster as it is known now. */
  get image(): GroupImage {
    return this.#view;
  }

  /** The cluster shows other topics. */
  setTopic(name: string, topic: { topicId: string; partitionCount: number } | undefined): void {
    const topics = new Map(this.#view.byName);
    if (topic) topics.set(name, { name, ...topic });
    else topics.delete(name);
    const previous = this.#view;
    this.#view = this.#viewOf([...topics.values()], previous.topicsRevision + 1);
    for (const listener of this.#listeners) listener(this.#view, previous);
  }

  /** Every partition commits at once from now on. */
  openLogs(): this {
    for (const log of this.logs) log.isOpen = true;
    return this;
  }

  /** A new session leads what is committed; what was under way is lost. */
  startSession(): void {
    for (const [index, log] of this.logs.entries()) this.logs[index] = log.succeed();
    for (const changed of this.#onServing) changed();
  }

  /** Lets time pass and everything that waits for it run. */
  async pass(ms: number): Promise<void> {
    await this.clock.run({ untilMs: this.clock.monotonicMs() + ms });
    await quiet();
  }

  #viewOf(topics: readonly GroupTopic[], topicsRevision: number): View {
    const nodes: CoordinatorNode[] = [{ brokerId: BROKER_ID, host: "here", port: 9092 }];
    const byName = new Map(topics.map((topic) => [topic.name, topic]));
    return {
      byName,
      topicsRevision,
      revisionOf: () => topicsRevision,
      topic: (name) => byName.get(name),
      topicById: (topicId) => topics.find((topic) => topic.topicId === topicId),
      topics: () => topics,
      brokers: () => nodes,
      ownerOf: () => (this.ownerId === undefined ? undefined : { brokerId: this.ownerId }),
    };
  }

  #brokerLog(): GroupLog {
    return {
      partition: (_topicId, partition) => {
        const refusal = this.refusals[partition];
        const log = this.logs[partition];
        if (log && refusal === null) return log;
        throw new KafkaError(refusal ?? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "not led here");
      },
      confirmSession: () => this.proof(),
      onServing: (changed) => {
        this.#onServing.add(changed);
        return () => this.#onServing.delete(changed);
      },
    };
  }

  #feed(): GroupFeed {
    const current = () => this.#view;
    return {
      get current() {
        return current();
      },
      subscribe: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    };
  }

  #topics(): GroupTopics {
    return {
      ensureInternal: async () => {
        this.creationCount++;
        await quiet();
        if (this.creationError) throw this.creationError;
        this.setTopic(OFFSETS_TOPIC, offsetsTopic);
        return offsetsTopic;
      },
    };
  }
}

const offsetsTopic: GroupTopic = { name: OFFSETS_TOPIC, topicId: OFFSETS_TOPIC_ID, partitionCount: PARTITION_COUNT };

/** Resolves when every promise job that was due has run. */
export async function quiet(): Promise<void> {
  for (let round = 0; round < 3; round++) await new Promise((resolve) => setImmediate(resolve));
}

/** A join of a consumer, version 5. */
export function joinOf(fields: Partial<JoinRequest> = {}): JoinRequest {
  return {
    type: "join",
    memberId: "",
    instanceId: null,
    clientId: "c",
    clientHost: "/h",
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: "consumer",
    protocols: [{ name: "range", metadata: Uint8Array.of(1) }],
    needsKnownMemberId: false,
    canSkipAssignment: false,
    uuid: "1",
    ...fields,
  };
}

/** A commit of offset `offset` of `t`-0 without a membership. */
export function commitOf(offset: number, fields: Partial<CommitRequest> = {}): CommitRequest {
  const partition = { topic: "t", topicId: TOPIC_ID, partition: 0, leaderEpoch: -1, metadata: "" };
  return {
    type: "commit",
    memberId: "",
    instanceId: null,
    generation: -1,
    unknownGroupCode: ErrorCode.ILLEGAL_GENERATION,
    retentionMs: -1,
    partitions: [{ ...partition, offset, commitTimestampMs: -1 }],
    ...fields,
  };
}

/** A promise that can be asked whether it has settled. */
export class Watched<T> {
  value: T | undefined;
  error: unknown;

  constructor(promise: Promise<T>) {
    promise.then(
      (value) => {
        this.value = value;
      },
      (error: unknown) => {
        this.error = error;
      },
    );
  }

  get isSettled(): boolean {
    return this.value !== undefined || this.error !== undefined;
  }
}
