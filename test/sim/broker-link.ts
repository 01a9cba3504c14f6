// How a client reaches brokers: one connection each, made anew whenever it broke. It begins anywhere, learns the brokers
// and the leaders from Metadata, and never goes back to a leader of an older epoch, as Kafka's clients do. A cluster of
// one broker is asked everything without looking for its leader.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { MetadataResponse } from "../../generated/kafka/metadata-response.ts";
import { createMetadataRequest, createMetadataRequestTopic } from "../../generated/testing/metadata-request.ts";
import { DeadlineError } from "../../src/host/clock.ts";
import type { Address } from "../../src/host/transport.ts";
import { partitionKey } from "../../src/topic-partition.ts";
import { clientApis } from "./client-apis.ts";
import { CLIENT_HOST, type ClientWorld, orUndefined } from "./client-world.ts";
import { KafkaClient } from "./kafka-client.ts";
import type { SimRandom } from "./sim-random.ts";

const METADATA_VERSION = 12;
/** How often leaders are looked up without a reason: Kafka's `metadata.max.age.ms`, but within a schedule. */
const METADATA_AGE_MS = 8_000;

interface Leader {
  readonly brokerId: number;
  readonly epoch: number;
}

/** What Produce and Fetch say of the leader besides an error. */
export interface LeaderHint {
  readonly currentLeader: { readonly leaderId: number; readonly leaderEpoch: number };
  readonly nodeEndpoints: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
}

/** The brokers as one client knows them. */
export class BrokerLink {
  readonly #world: ClientWorld;
  readonly #clientId: string;
  readonly #random: SimRandom;
  readonly #open = new Map<string, KafkaClient>();
  readonly #connecting = new Map<string, Promise<KafkaClient>>();
  /** By broker id, as the last Metadata said. */
  #nodes = new Map<number, Address>();
  readonly #leaders = new Map<string, Leader>();
  readonly #topics: readonly string[];
  /** Whom it talks to when it does not matter. */
  #any: Address | undefined;
  #staleSinceMs = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<MetadataResponse | undefined> | undefined;

  /** @param topics names of those whose leaders it will need */
  constructor(world: ClientWorld, clientId: string, topics: readonly string[] = []) {
    this.#world = world;
    this.#clientId = clientId;
    this.#topics = topics;
    this.#random = world.random.split(`link of ${clientId}`);
  }

  /** A connection to any broker. Rejects when there is none to be had now, or the schedule is over. */
  async open(): Promise<KafkaClient> {
    const { hasOneBroker } = this.#world;
    const address = hasOneBroker ? this.#world.addresses()[0] : this.#someBroker();
    if (!address) throw new DeadlineError("no broker is known");
    const known = this.#isOpen(this.#any);
    if (known && (hasOneBroker || this.#nodes.size === 0)) return known;
    try {
      this.#any = address;
      return await this.to(address);
    } catch (error) {
      this.#any = undefined;
      this.#nodes.clear();
      throw error;
    }
  }

  /** One of those that Metadata named, or of those it is told to begin with. */
  #someBroker(): Address | undefined {
    if (this.#isOpen(this.#any) && this.#random.chance(0.9)) return this.#any;
    const addresses = this.#nodes.size > 0 ? [...this.#nodes.values()] : this.#world.addresses();
    return addresses.length > 0 ? this.#random.pick(addresses) : undefined;
  }

  #isOpen(address: Address | undefined): KafkaClient | undefined {
    const client = address && this.#open.get(address.host);
    return client?.isOpen ? client : undefined;
  }

  /** A connection to one broker. Rejects as {@link open}. */
  async to(address: Address): Promise<KafkaClient> {
    this.#world.over.throwIfAborted();
    const client = this.#isOpen(address);
    if (client) return client;
    // A broken connection is a reason to look for the leaders anew.
    if (this.#open.delete(address.host)) this.#markStale();
    const known = this.#connecting.get(address.host);
    const connecting = known ?? this.#connect(address).finally(() => this.#connecting.delete(address.host));
    this.#connecting.set(address.host, connecting);
    return connecting;
  }

  async #connect(address: Address): Promise<KafkaClient> {
    const { network, clock, swarm } = this.#world;
    const transport = network.transport(CLIENT_HOST);
    const parts = { transport, clock, clientId: this.#clientId, requestTimeoutMs: swarm.requestTimeoutMs };
    try {
      const client = await KafkaClient.connect(parts, address);
      this.#open.set(address.host, client);
      return client;
    } catch (error) {
      this.#markStale();
      throw error;
    }
  }

  /**
   * A connection to the leader of a partition, or to any broker while nobody is known to lead it: it will refuse.
   * Rejects as {@link open}.
   */
  async toLeader(topicId: string, partition: number): Promise<KafkaClient> {
    if (this.#world.hasOneBroker) return this.open();
    const nowMs = this.#world.clock.monotonicMs();
    if (nowMs - this.#staleSinceMs > METADATA_AGE_MS) await this.refresh();
    const leader = this.#leaders.get(partitionKey(topicId, partition));
    const address = leader && this.#nodes.get(leader.brokerId);
    if (!address) {
      this.#markStale();
      return this.open();
    }
    return this.to(address);
  }

  /** Something said that the leaders are others. */
  #markStale(): void {
    this.#staleSinceMs = Number.NEGATIVE_INFINITY;
  }

  /** Judges the code of an answer by what it says about leaders. */
  note(code: number): void {
    if (LEADER_CODES.includes(code)) this.#markStale();
  }

  /** What some broker says of brokers and leaders; undefined without an answer. */
  refresh(): Promise<MetadataResponse | undefined> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<MetadataResponse | undefined> {
    const client = await orUndefined(this.open());
    const response = client && (await this.#ask(client));
    if (response) this.#learn(response);
    return response;
  }

  /** Asks every broker for the topics, so that what each says of them is judged. */
  async askAll(): Promise<void> {
    if (this.#world.hasOneBroker) return;
    const addresses = (await this.refresh())?.brokers ?? [];
    const asked = addresses.map(async (address) => {
      const client = await orUndefined(this.to(address));
      if (client) await this.#ask(client);
    });
    await Promise.all(asked);
  }

  async #ask(client: KafkaClient): Promise<MetadataResponse | undefined> {
    const topics = this.#topics.map((name) => createMetadataRequestTopic({ name }));
    const request = createMetadataRequest({ topics, allowAutoTopicCreation: false });
    const api = { ...clientApis.metadata, version: METADATA_VERSION };
    const from = { host: client.address.host, askedMs: this.#world.clock.monotonicMs() };
    const response = await orUndefined(client.request(api, request));
    const { told, topics: stored } = this.#world.oracle;
    for (const { name, topicId, errorCode } of response?.topics ?? []) {
      if (UNKNOWN_CODES.includes(errorCode)) told.checkCode(stored.get(name ?? "")?.topicId ?? "", errorCode, from);
      else told.checkNamed(topicId, from);
    }
    return response;
  }

  /** Takes in what a broker says of brokers and leaders. */
  #learn({ brokers, topics }: MetadataResponse): void {
    if (brokers.length > 0) this.#nodes = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    let hasAll = true;
    for (const { topicId, partitions } of topics) {
      for (const { partitionIndex, leaderId, leaderEpoch } of partitions) {
        const key = partitionKey(topicId, partitionIndex);
        hasAll &&= leaderId >= 0;
        // An image that lags behind names a leader of the past.
        if (leaderEpoch < (this.#leaders.get(key)?.epoch ?? 0)) continue;
        if (leaderId >= 0) this.#leaders.set(key, { brokerId: leaderId, epoch: leaderEpoch });
      }
    }
    if (hasAll) this.#staleSinceMs = this.#world.clock.monotonicMs();
  }

  /** Takes in the leader that an answer with an error names, if it names one. */
  takeHint(at: { readonly topicId: string; readonly partition: number }, hint: LeaderHint): void {
    const { leaderId, leaderEpoch } = hint.currentLeader;
    const endpoint = hint.nodeEndpoints.find(({ nodeId }) => nodeId === leaderId);
    const key = partitionKey(at.topicId, at.partition);
    if (leaderId < 0 || !endpoint || leaderEpoch <= (this.#leaders.get(key)?.epoch ?? 0)) return;
    if (this.#random.chance(0.5)) return;
    this.#world.ledger.count("leader hints taken");
    this.#nodes.set(leaderId, { host: endpoint.host, port: endpoint.port });
    this.#leaders.set(key, { brokerId: leaderId, epoch: leaderEpoch });
    this.#staleSinceMs = this.#world.clock.monotonicMs();
  }

  close(): void {
    for (const client of this.#open.values()) client.close("the client has ended");
  }
}

const UNKNOWN_CODES: readonly number[] = [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID];

/** Codes after which a client looks for the leader again. */
const LEADER_CODES: readonly number[] = [
  ...UNKNOWN_CODES,
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ErrorCode.LEADER_NOT_AVAILABLE,
  ErrorCode.FENCED_LEADER_EPOCH,
  ErrorCode.UNKNOWN_LEADER_EPOCH,
  ErrorCode.KAFKA_STORAGE_ERROR,
];
