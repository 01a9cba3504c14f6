// A Kafka producer: lanes of batches, one per partition, several in flight, sent again by Kafka's rules. An idempotent
// one repeats producer id and sequence until the batch is acknowledged, and never goes past a batch that is not.
import { ErrorCode, errorName, isRetriable } from "../../generated/kafka/error-codes.ts";
import type { PartitionProduceResponse } from "../../generated/kafka/produce-response.ts";
import { createInitProducerIdRequest } from "../../generated/testing/init-producer-id-request.ts";
import {
  createPartitionProduceData,
  createProduceRequest,
  createTopicProduceData,
} from "../../generated/testing/produce-request.ts";
import { sleep } from "../../src/host/clock.ts";
import { attemptName, encodeIdentifiedBatch, type IdentifiedBatch } from "./batch-identity.ts";
import { BrokerLink, type LeaderHint } from "./broker-link.ts";
import { clientApis } from "./client-apis.ts";
import { type ClientWorld, orUndefined, pause, retryPauseMs } from "./client-world.ts";
import type { AnswerSource } from "./fetch-check.ts";
import type { SimRandom } from "./sim-random.ts";

/** What a producer is. */
export interface ProducerTraits {
  readonly name: string;
  readonly topic: string;
  readonly isIdempotent: boolean;
  /** -1, 1 or 0. */
  readonly acks: number;
  readonly produceVersion: number;
  /** Lanes of all producers of the schedule: the more there are, the slower each is. */
  readonly laneCount: number;
}

/** The partition a lane writes to. */
export interface LaneTarget {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
}

interface PendingBatch {
  readonly serial: number;
  readonly recordCount: number;
  readonly paddingBytes: number;
  readonly baseSequence: number;
  attempts: number;
  isAcked: boolean;
}

/** Answers after which nobody knows whether the records are or will be in the log. */
const UNKNOWN_CODES: readonly number[] = [
  ErrorCode.REQUEST_TIMED_OUT,
  ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  ErrorCode.UNKNOWN_SERVER_ERROR,
];

const GONE_CODES: readonly number[] = [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID];

let lastLane = 0;

/** Makes lane numbers start anew: each schedule counts from 1. */
export function resetLanes(): void {
  lastLane = 0;
}

/** A producer and its lanes. */
export class SimProducer {
  readonly #world: ClientWorld;
  readonly #traits: ProducerTraits;
  readonly #link: BrokerLink;
  readonly #random: SimRandom;
  #producerId = -1;
  #initializing: Promise<void> | undefined;

  constructor(world: ClientWorld, traits: ProducerTraits) {
    this.#world = world;
    this.#traits = traits;
    this.#link = new BrokerLink(world, traits.name, [traits.topic]);
    this.#random = world.random.split(traits.name);
  }

  /** Writes to `target` until the world stops producing and everything is acknowledged, or the topic is gone. */
  async runLane(target: LaneTarget): Promise<void> {
    const lane = new Lane(this.#world, this, { target, traits: this.#traits, lane: ++lastLane });
    await lane.run(this.#random.split(`lane ${lane.number}`));
  }

  get link(): BrokerLink {
    return this.#link;
  }

  /** The producer id, fetched once; -1 for a producer that has none. */
  async producerId(): Promise<number> {
    if (!this.#traits.isIdempotent) return -1;
    while (this.#producerId < 0) {
      this.#initializing ??= this.#initialize().finally(() => {
        this.#initializing = undefined;
      });
      await this.#initializing;
    }
    return this.#producerId;
  }

  async #initialize(): Promise<void> {
    const client = await orUndefined(this.#link.open());
    const request = createInitProducerIdRequest({ transactionalId: null, transactionTimeoutMs: 60_000 });
    const response =
      client && (await orUndefined(client.request({ ...clientApis.initProducerId, version: 1 }, request)));
    if (response?.errorCode === ErrorCode.NONE) this.#producerId = response.producerId;
    else await pause(this.#world, this.#random, 200);
  }
}

/** A broker knows the last five batches of a producer: nothing newer may be sent while the outcome of an older one is open. */
const SERIALS_IN_FLIGHT_MAX = 5;

class Lane {
  readonly number: number;
  readonly #world: ClientWorld;
  readonly #producer: SimProducer;
  readonly #target: LaneTarget;
  readonly #traits: ProducerTraits;
  /** Not acknowledged, in order of their serials. */
  #pending: PendingBatch[] = [];
  #nextSerial = 0;
  #nextSequence = 0;
  #isGone = false;
  #lastAckedOffset = -1;
  /** Of batches that were sent once. */
  #lastFirstOffset = -1;

  constructor(
    world: ClientWorld,
    producer: SimProducer,
    options: { readonly target: LaneTarget; readonly traits: ProducerTraits; readonly lane: number },
  ) {
    this.#world = world;
    this.#producer = producer;
    this.#target = options.target;
    this.#traits = options.traits;
    this.number = options.lane;
  }

  async run(random: SimRandom): Promise<void> {
    const { swarm } = this.#world;
    let failures = 0;
    while (!this.#isGone) {
      if (this.#world.isProducing()) this.#fill(1 + random.below(swarm.inFlightMax), random);
      if (this.#pending.length === 0 && !this.#world.isProducing()) return;
      const before = this.#pending.length;
      await this.#sendAll(random);
      this.#pending = this.#pending.filter((batch) => !batch.isAcked);
      failures = this.#pending.length === before && before > 0 ? failures + 1 : 0;
      const restMs = swarm.batchEveryMs * Math.max(1, before) * this.#traits.laneCount;
      await pause(this.#world, random, failures > 0 ? retryPauseMs(failures) : restMs);
    }
  }

  #fill(count: number, random: SimRandom): void {
    const { recordsPerBatchMax, paddingBytesMax } = this.#world.swarm;
    // Kafka takes any first sequence of a producer it does not know, so nothing may overtake the first batch.
    const isKnown = !this.#traits.isIdempotent || this.#lastAckedOffset >= 0;
    const oldest = this.#pending[0]?.serial ?? this.#nextSerial;
    while (this.#pending.length < (isKnown ? count : 1) && this.#nextSerial < oldest + SERIALS_IN_FLIGHT_MAX) {
      const recordCount = 1 + random.below(recordsPerBatchMax);
      const paddingBytes = random.below(paddingBytesMax + 1);
      const baseSequence = this.#traits.isIdempotent ? this.#nextSequence : -1;
      const serial = this.#nextSerial++;
      this.#nextSequence += recordCount;
      this.#pending.push({ serial, recordCount, paddingBytes, baseSequence, attempts: 0, isAcked: false });
    }
  }

  /** Sends what is pending, in order, and waits for every answer. Stops sending when the connection breaks. */
  async #sendAll(random: SimRandom): Promise<void> {
    const producerId = await this.#producer.producerId();
    const { topicId, partition } = this.#target;
    const client = await orUndefined(this.#producer.link.toLeader(topicId, partition));
    if (!client) return;
    const answers: Promise<void>[] = [];
    for (const batch of this.#pending) {
      if (!client.isOpen) break;
      const identified = this.#identify(batch, producerId);
      const api = { ...clientApis.produce, version: this.#traits.produceVersion };
      const request = this.#request(identified);
      if (this.#traits.acks === 0) {
        client.tell(api, request);
        batch.isAcked = true;
        continue;
      }
      const from = { host: client.address.host, askedMs: this.#world.clock.monotonicMs() };
      const isFirst = this.#pending.every((other) => other.isAcked || other.serial >= batch.serial);
      const sent = client.request(api, request).then(
        ({ responses, nodeEndpoints }) => {
          const answer = responses[0]?.partitionResponses[0];
          if (answer) this.#hear(answer, { nodeEndpoints, from });
          this.#judge(batch, { identified, isFirst }, answer);
        },
        () => this.#world.ledger.count("produce without an answer"),
      );
      answers.push(sent);
      if (random.chance(0.5)) await sleep(this.#world.clock, random.between(0, 8), this.#world.over);
    }
    await Promise.all(answers);
  }

  #identify(batch: PendingBatch, producerId: number): IdentifiedBatch {
    const attempt = ++batch.attempts;
    if (attempt > 1) this.#world.ledger.count("batches sent again");
    const { serial, recordCount, paddingBytes, baseSequence } = batch;
    const timestampMs = this.#world.clock.wallMs();
    const producerEpoch = producerId < 0 ? -1 : 0;
    const identity = { lane: this.number, serial, attempt };
    return { ...identity, recordCount, paddingBytes, timestampMs, producerId, producerEpoch, baseSequence };
  }

  #request(batch: IdentifiedBatch) {
    const { topic, topicId, partition } = this.#target;
    const partitionData = [createPartitionProduceData({ index: partition, records: [encodeIdentifiedBatch(batch)] })];
    const named = this.#traits.produceVersion >= 13 ? { topicId } : { name: topic };
    const topicData = [createTopicProduceData({ ...named, partitionData })];
    const timeoutMs = this.#world.swarm.produceTimeoutMs;
    return createProduceRequest({ acks: this.#traits.acks, timeoutMs, topicData });
  }

  /** What an answer says of topic and leader. */
  #hear(
    answer: PartitionProduceResponse,
    { nodeEndpoints, from }: { readonly nodeEndpoints: LeaderHint["nodeEndpoints"]; readonly from: AnswerSource },
  ): void {
    const { link } = this.#producer;
    this.#world.oracle.told.checkCode(this.#target.topicId, answer.errorCode, from);
    link.note(answer.errorCode);
    link.takeHint(this.#target, { ...answer, nodeEndpoints });
  }

  #judge(
    batch: PendingBatch,
    sent: { readonly identified: IdentifiedBatch; readonly isFirst: boolean },
    answer: PartitionProduceResponse | undefined,
  ): void {
    const { ledger, trace } = this.#world;
    const name = attemptName(sent.identified);
    trace.note(`produce ${name} ${answer ? errorName(answer.errorCode) : "no partition"} ${answer?.baseOffset ?? ""}`);
    ledger.check("an answer names the partition", answer?.index === this.#target.partition, () => name);
    if (!answer) return;
    const code = answer.errorCode;
    if (code === ErrorCode.NONE) {
      this.#acknowledge(batch, sent.identified, answer.baseOffset);
      return;
    }
    ledger.count(`produce answered ${errorName(code)}`);
    if (UNKNOWN_CODES.includes(code)) return;
    this.#world.oracle.log.refuse(sent.identified, code);
    const isGone = !this.#world.oracle.liveTopicIds.has(this.#target.topicId);
    if (isGone && GONE_CODES.includes(code)) this.#isGone = true;
    // A later batch of a window meets a gap when an earlier one was refused; the first one must never.
    const isGap = code === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER && !sent.isFirst;
    const isExpected = isRetriable(code) || isGone || isGap;
    ledger.check("I7 a batch in sequence is never refused for good", isExpected, () => {
      return `${name} (sequence ${batch.baseSequence}) was answered ${errorName(code)}`;
    });
  }

  #acknowledge(batch: PendingBatch, sent: IdentifiedBatch, baseOffset: number): void {
    const { ledger, oracle } = this.#world;
    if (batch.isAcked) return;
    batch.isAcked = true;
    ledger.count("acks");
    const { topicId, partition } = this.#target;
    const committed = oracle.log.partition(topicId, partition).batchAt(baseOffset);
    const { lane, serial, attempt = 0 } = committed?.identity ?? {};
    if (attempt < sent.attempt) ledger.count("ack of an earlier attempt");
    if (committed && !oracle.liveSessions.has(committed.sessionId)) ledger.count("ack after the session had ended");
    const isSame = lane === sent.lane && serial === sent.serial;
    const isAttempt = attempt === sent.attempt || (this.#traits.isIdempotent && attempt < sent.attempt);
    ledger.check("I1 an acknowledged batch is committed at its offset", isSame && isAttempt, () => {
      return `${attemptName(sent)} was acknowledged at ${baseOffset} of ${topicId}-${partition}, where ${lane}/${serial}/${attempt} is committed`;
    });
    this.#lastAckedOffset = Math.max(this.#lastAckedOffset, baseOffset);
    // What was sent again may be acknowledged late: its first answer got lost, or left the outcome open.
    if (!this.#traits.isIdempotent || sent.attempt > 1) return;
    ledger.check("I9 acknowledgements leave in offset order", baseOffset > this.#lastFirstOffset, () => {
      return `${attemptName(sent)} was acknowledged at ${baseOffset} after ${this.#lastFirstOffset}`;
    });
    this.#lastFirstOffset = baseOffset;
  }
}
