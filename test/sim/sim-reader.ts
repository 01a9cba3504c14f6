// A consumer without a group: finds every topic of the schedule, reads all partitions from the first offset on, and lets
// every answer be compared with the committed log.
import { ErrorCode, errorName } from "../../generated/kafka/error-codes.ts";
import type { FetchResponse } from "../../generated/kafka/fetch-response.ts";
import { createFetchPartition, createFetchRequest, createFetchTopic } from "../../generated/testing/fetch-request.ts";
import {
  createListOffsetsPartition,
  createListOffsetsRequest,
  createListOffsetsTopic,
} from "../../generated/testing/list-offsets-request.ts";
import { BrokerLink } from "./broker-link.ts";
import { clientApis } from "./client-apis.ts";
import { type ClientWorld, orUndefined, pause, retryPauseMs } from "./client-world.ts";
import type { CommittedPartition } from "./committed-log.ts";
import { type AnswerSource, checkFetched, checkOwnership } from "./fetch-check.ts";
import type { KafkaClient } from "./kafka-client.ts";
import type { SimRandom } from "./sim-random.ts";

/** What a reader is. */
export interface ReaderTraits {
  readonly name: string;
  readonly topics: readonly string[];
  readonly fetchVersion: number;
}

interface Position {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: CommittedPartition;
  offset: number;
  /** Largest log start that this reader was told; it never goes back. */
  start: number;
  /** Last end that ListOffsets told; it never goes back. */
  end: number;
}

/** After so many turns in a row that failed a reader asks for its topics anew: what it reads may be gone for ever. */
const FAILURES_BEFORE_DISCOVERY = 20;

const LIST_OFFSETS_VERSION = 7;
const LATEST_TIMESTAMP = -1n;
const EARLIEST_TIMESTAMP = -2n;

/** Reads until the schedule is over. */
export class SimReader {
  readonly #world: ClientWorld;
  readonly #traits: ReaderTraits;
  readonly #link: BrokerLink;
  readonly #random: SimRandom;
  readonly #positions = new Map<string, Position>();

  constructor(world: ClientWorld, traits: ReaderTraits) {
    this.#world = world;
    this.#traits = traits;
    this.#link = new BrokerLink(world, traits.name, traits.topics);
    this.#random = world.random.split(traits.name);
  }

  /** Whether everything committed to topics that exist was read. */
  get hasReadAll(): boolean {
    const { oracle } = this.#world;
    for (const partition of oracle.log.partitions()) {
      if (!oracle.liveTopicIds.has(partition.topicId) || oracle.isInternal(partition.topicId)) continue;
      if (partition.end > 0 && (this.#positions.get(partition.name)?.offset ?? 0) < partition.end) return false;
    }
    return true;
  }

  /** How far the partitions of a topic were read: offsets that a leader has served. */
  positionsOf(topicId: string): ReadonlyMap<number, number> {
    const positions = [...this.#positions.values()].filter((position) => position.topicId === topicId);
    return new Map(positions.map(({ partition, offset }) => [partition.partition, offset]));
  }

  /** What is not read yet, for the message of a schedule that does not converge. */
  get backlog(): string {
    return [...this.#positions.values()]
      .map(({ partition, offset }) => `${partition.name} ${offset}/${partition.end}`)
      .join(", ");
  }

  async run(): Promise<void> {
    let failures = 0;
    while (!this.#world.over.aborted) {
      failures = (await this.#turn(failures)) ? 0 : failures + 1;
      if (failures > 0) await pause(this.#world, this.#random, retryPauseMs(failures));
    }
  }

  async #turn(failures: number): Promise<boolean> {
    if (!(await orUndefined(this.#link.open()))) return false;
    if (this.#positions.size === 0 || this.#random.chance(0.1) || failures >= FAILURES_BEFORE_DISCOVERY) {
      if (!(await this.#discover())) return false;
    }
    if (this.#random.chance(0.1) && !(await this.#listOffsets())) return false;
    return this.#fetchAll();
  }

  /** Learns the topics of the moment by name, with their ids. */
  async #discover(): Promise<boolean> {
    const { oracle } = this.#world;
    const response = await this.#link.refresh();
    if (!response) return false;
    for (const topic of response.topics) {
      if (topic.errorCode !== ErrorCode.NONE) continue;
      for (const { partitionIndex } of topic.partitions) this.#add(topic.name ?? "", topic.topicId, partitionIndex);
    }
    for (const [key, { topicId }] of this.#positions)
      if (!oracle.liveTopicIds.has(topicId)) this.#positions.delete(key);
    return this.#positions.size > 0;
  }

  #add(topic: string, topicId: string, index: number): void {
    const partition = this.#world.oracle.log.partition(topicId, index);
    if (this.#positions.has(partition.name)) return;
    this.#positions.set(partition.name, { topic, topicId, partition, offset: 0, start: 0, end: 0 });
  }

  /** Asks every leader for what it leads, all at the same time. */
  async #fetchAll(): Promise<boolean> {
    const byLeader = new Map<KafkaClient, Position[]>();
    let hasAll = true;
    for (const position of this.#positions.values()) {
      const leader = await orUndefined(this.#link.toLeader(position.topicId, position.partition.partition));
      if (leader) byLeader.set(leader, [...(byLeader.get(leader) ?? []), position]);
      else hasAll = false;
    }
    const fetched = await Promise.all([...byLeader].map(([leader, positions]) => this.#fetch(leader, positions)));
    return hasAll && fetched.every((isClean) => isClean);
  }

  async #fetch(client: KafkaClient, positions: readonly Position[]): Promise<boolean> {
    const bytesMax = this.#random.pick([200, 2_000, 1_048_576]);
    const isById = this.#traits.fetchVersion >= 13;
    const topics = positions.map(({ topic, topicId, partition, offset }) =>
      createFetchTopic({
        ...(isById ? { topicId } : { topic }),
        partitions: [
          createFetchPartition({ partition: partition.partition, fetchOffset: offset, partitionMaxBytes: bytesMax }),
        ],
      }),
    );
    const request = createFetchRequest({
      maxWaitMs: 400,
      minBytes: 1,
      maxBytes: bytesMax,
      sessionId: 0,
      sessionEpoch: -1,
      topics,
    });
    const asked = positions.map(({ offset }) => offset);
    const from = { host: client.address.host, askedMs: this.#world.clock.monotonicMs() };
    const response = await orUndefined(
      client.request({ ...clientApis.fetch, version: this.#traits.fetchVersion }, request),
    );
    if (!response) return false;
    this.#world.ledger.count("fetches");
    return this.#take(positions, { offsets: asked, from }, response);
  }

  #take(
    positions: readonly Position[],
    asked: { readonly offsets: readonly number[]; readonly from: AnswerSource },
    response: FetchResponse,
  ): boolean {
    if (response.errorCode !== ErrorCode.NONE) {
      this.#world.ledger.count(`fetch refused with ${errorName(response.errorCode)}`);
      return false;
    }
    let isClean = true;
    const { oracle } = this.#world;
    const { nodeEndpoints } = response;
    for (const topic of response.responses) {
      for (const answer of topic.partitions) {
        const index = positions.findIndex(
          (at) =>
            (at.topicId === topic.topicId || at.topic === topic.topic) &&
            at.partition.partition === answer.partitionIndex,
        );
        const position = positions[index];
        this.#world.ledger.check(
          "a fetch answers what was asked",
          position !== undefined,
          () => topic.topic + topic.topicId,
        );
        if (!position) continue;
        const offset = asked.offsets[index] ?? 0;
        const question = { partition: position.partition, offset, ...asked.from };
        position.offset = checkFetched(this.#world, question, answer);
        this.#link.note(answer.errorCode);
        oracle.told.checkCode(position.topicId, answer.errorCode, asked.from);
        this.#link.takeHint(
          { topicId: position.topicId, partition: answer.partitionIndex },
          { ...answer, nodeEndpoints },
        );
        this.#world.trace.note(`fetched ${position.partition.name} ${offset} to ${position.offset}`);
        isClean &&= answer.errorCode === ErrorCode.NONE;
        if (answer.errorCode === ErrorCode.NONE) position.start = Math.max(position.start, answer.logStartOffset);
      }
    }
    return isClean;
  }

  /** Asks for first and last offset of one partition. */
  async #listOffsets(): Promise<boolean> {
    const { ledger, oracle, clock } = this.#world;
    const position = this.#random.pick([...this.#positions.values()]);
    const { partition, topic, topicId } = position;
    const client = await orUndefined(this.#link.toLeader(topicId, partition.partition));
    if (!client) return false;
    const isLatest = this.#random.chance(0.7);
    const timestamp = isLatest ? LATEST_TIMESTAMP : EARLIEST_TIMESTAMP;
    const partitions = [createListOffsetsPartition({ partitionIndex: partition.partition, timestamp })];
    const request = createListOffsetsRequest({
      replicaId: -1,
      topics: [createListOffsetsTopic({ name: topic, partitions })],
    });
    // A move is in force once it was answered: until then the broker may not know yet that it is committed.
    const { host } = client.address;
    const askedMs = clock.monotonicMs();
    const term = oracle.terms.present(host, partition);
    const answeredStart = partition.answeredLogStart;
    const api = { ...clientApis.listOffsets, version: LIST_OFFSETS_VERSION };
    const response = await orUndefined(client.request(api, request));
    const answer = response?.topics[0]?.partitions[0];
    this.#link.note(answer?.errorCode ?? ErrorCode.NONE);
    if (answer?.errorCode !== ErrorCode.NONE) return response !== undefined;
    // By name: between question and answer the topic may have become another one.
    if (this.#world.oracle.topics.get(topic)?.topicId !== position.topicId) return true;
    checkOwnership(this.#world, { partition, host, askedMs });
    if (!isLatest) {
      const isInForce = term !== undefined && term === oracle.terms.present(host, partition);
      const startBefore = Math.max(position.start, isInForce ? answeredStart : 0);
      const isTrue = startBefore <= answer.offset && answer.offset <= partition.logStart;
      ledger.check("I14 the log start is the committed one", isTrue, () => {
        return `${partition.name} starts at ${startBefore} to ${partition.logStart}, the answer was ${answer.offset}`;
      });
      position.start = answer.offset;
      return true;
    }
    ledger.check("I8 nothing above the committed end is served", answer.offset <= partition.end, () => {
      return `${partition.name} ends at ${partition.end}, the answer was ${answer.offset}`;
    });
    ledger.check("I14 the end never goes back for a client", answer.offset >= position.end, () => {
      return `${partition.name} ended at ${position.end}, now at ${answer.offset}`;
    });
    position.end = answer.offset;
    return true;
  }
}
