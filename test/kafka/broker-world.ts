// A whole broker on memory stores under a virtual clock, and clients that speak to it through the mirror codecs: what the
// tests of the handlers share.
import { apiTable } from "../../generated/kafka/api-table.ts";
import { encodeDescribeClusterRequest } from "../../generated/testing/describe-cluster-request.ts";
import { decodeDescribeClusterResponse } from "../../generated/testing/describe-cluster-response.ts";
import { encodeDescribeConfigsRequest } from "../../generated/testing/describe-configs-request.ts";
import { decodeDescribeConfigsResponse } from "../../generated/testing/describe-configs-response.ts";
import { encodeDescribeTopicPartitionsRequest } from "../../generated/testing/describe-topic-partitions-request.ts";
import { decodeDescribeTopicPartitionsResponse } from "../../generated/testing/describe-topic-partitions-response.ts";
import { encodeOffsetForLeaderEpochRequest } from "../../generated/testing/offset-for-leader-epoch-request.ts";
import { decodeOffsetForLeaderEpochResponse } from "../../generated/testing/offset-for-leader-epoch-response.ts";
import {
  createPartitionProduceData,
  createProduceRequest,
  createTopicProduceData,
} from "../../generated/testing/produce-request.ts";
import { Broker } from "../../src/broker/broker.ts";
import { embeddedBrokerSettings } from "../../src/broker/broker-settings.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { handlers } from "../../src/kafka/handlers.ts";
import { defaultKafkaSettings, type KafkaSettings } from "../../src/kafka/kafka-settings.ts";
import type { KeyValueStore } from "../../src/kv/key-value-store.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { type BatchOptions, type BatchRecord, encodeBatch } from "../../src/records/encode-batch.ts";
import { encodeMessages } from "../../src/records/message-set.ts";
import { iterateBatches } from "../../src/records/record-batch.ts";
import { iterateRecords } from "../../src/records/record-iterator.ts";
import { clientApis } from "../sim/client-apis.ts";
import { type ClientApi, KafkaClient } from "../sim/kafka-client.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";
import { MemoryTransport } from "./memory-transport.ts";

/** The mirror codecs of every API that these tests speak. */
export const apis = {
  ...clientApis,
  offsetForLeaderEpoch: {
    apiKey: 23,
    encode: encodeOffsetForLeaderEpochRequest,
    decode: decodeOffsetForLeaderEpochResponse,
  },
  describeConfigs: { apiKey: 32, encode: encodeDescribeConfigsRequest, decode: decodeDescribeConfigsResponse },
  describeCluster: { apiKey: 60, encode: encodeDescribeClusterRequest, decode: decodeDescribeClusterResponse },
  describeTopicPartitions: {
    apiKey: 75,
    encode: encodeDescribeTopicPartitionsRequest,
    decode: decodeDescribeTopicPartitionsResponse,
  },
} as const;

/** The versions a handler advertises, for tests that hold at each of them. */
export function versionsOf(apiKey: number, from = 0): number[] {
  const handler = handlers.find((each) => each.apiKey === apiKey);
  if (!handler) throw new Error(`${apiTable[apiKey]?.name} has no handler`);
  const first = Math.max(from, handler.minVersion);
  return Array.from({ length: handler.maxVersion - first + 1 }, (_, index) => first + index);
}

/** A broker with id 0 and its clients. */
export class BrokerWorld {
  readonly clock = new SimClock({ seed: "kafka" });
  readonly metrics = new UnexportedMetrics();
  readonly transport = new MemoryTransport();
  #broker: Broker | undefined;

  /** Starts a broker whose Kafka settings differ from the defaults in `settings`. */
  static async start(
    settings: Partial<KafkaSettings> = {},
    options: { requestBudgetBytes?: number; store?: ObjectStore; kv?: (clock: SimClock) => KeyValueStore } = {},
  ): Promise<BrokerWorld> {
    const { requestBudgetBytes = 256 << 20, store = new MemoryObjectStore() } = options;
    const world = new BrokerWorld();
    const { clock, metrics, transport } = world;
    const kv = options.kv?.(clock) ?? new MemoryKeyValueStore({ clock });
    const starting = Broker.start(
      {
        ...embeddedBrokerSettings,
        requestBudgetBytes,
        listener: { host: "127.0.0.1", port: 9092 },
        advertised: { host: "broker.test", port: 9092 },
        kafka: { ...defaultKafkaSettings, ...settings },
      },
      {
        clock,
        random: new SimRandom("kafka"),
        log: silentLog,
        metrics,
        transport,
        store,
        kv,
      },
      { signal: new AbortController().signal },
    );
    world.#broker = await clock.complete(starting);
    return world;
  }

  get broker(): Broker {
    if (!this.#broker) throw new Error("the broker did not start");
    return this.#broker;
  }

  /** Ends the broker as it should end. */
  async stop(): Promise<void> {
    await this.clock.complete(this.broker.stop());
  }

  /** Opens a connection. */
  async connect(clientId = "tests"): Promise<TestClient> {
    const parts = { transport: this.transport, clock: this.clock, clientId, requestTimeoutMs: 120_000 };
    const client = await this.clock.complete(KafkaClient.connect(parts, { host: "127.0.0.1", port: 9092 }));
    return new TestClient(this, client);
  }

  /** How often connections ended for `reason`. */
  endedCount(reason: string): number {
    return this.metrics.counter("kafscale_connections_ended_total", "", { reason }).value;
  }
}

/** A connection whose calls wait in virtual time. */
export class TestClient {
  readonly world: BrokerWorld;
  readonly client: KafkaClient;

  constructor(world: BrokerWorld, client: KafkaClient) {
    this.world = world;
    this.client = client;
  }

  /** Sends a request and waits for its answer. Rejects when the connection ends instead. */
  call<Request, Response>(
    api: Omit<ClientApi<Request, Response>, "version">,
    version: number,
    message: Request,
  ): Promise<Response> {
    return this.world.clock.complete(this.send(api, version, message));
  }

  /** Sends a request without waiting. */
  send<Request, Response>(
    api: Omit<ClientApi<Request, Response>, "version">,
    version: number,
    message: Request,
  ): Promise<Response> {
    return this.client.request({ ...api, version }, message, 600_000);
  }

  /** Creates a topic and gives its id. */
  async createTopic(name: string, partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<string> {
    const answer = await this.call(apis.createTopics, 7, {
      topics: [
        {
          name,
          numPartitions: partitions,
          replicationFactor: 1,
          assignments: [],
          configs: Object.entries(configs).map(([key, value]) => ({ name: key, value, unknownTags: null })),
          unknownTags: null,
        },
      ],
      timeoutMs: 10_000,
      validateOnly: false,
      unknownTags: null,
    });
    const [topic] = answer.topics;
    if (!topic || topic.errorCode !== 0) throw new Error(`topic ${name}: error ${topic?.errorCode}`);
    return topic.topicId;
  }

  /** Produces one batch with acks -1 and gives the answer for its partition. */
  async produce(at: { topic: string; topicId?: string; partition?: number; version?: number }, batch: Uint8Array) {
    const { topic, topicId, partition = 0, version = 9 } = at;
    const answer = await this.call(apis.produce, version, produceOf([{ topic, topicId, partition, batch }], version));
    const response = answer.responses[0]?.partitionResponses[0];
    if (!response) throw new Error("the answer to Produce has no partition");
    return response;
  }
}

/** A Produce request of one batch per entry. */
export function produceOf(
  entries: readonly { topic: string; topicId?: string | undefined; partition?: number; batch: Uint8Array | null }[],
  version: number,
  acks = -1,
) {
  return createProduceRequest({
    acks,
    timeoutMs: 30_000,
    topicData: entries.map(({ topic, topicId, partition = 0, batch }) =>
      createTopicProduceData({
        name: version >= 13 ? "" : topic,
        ...(topicId && version >= 13 ? { topicId } : {}),
        partitionData: [createPartitionProduceData({ index: partition, records: batch === null ? null : [batch] })],
      }),
    ),
  });
}

/** A batch of the texts as values, with timestamps from `timestampMs` on. */
export function batchOf(values: readonly string[], options: BatchOptions & { timestampMs?: number } = {}): Uint8Array {
  const { timestampMs = 1_700_000_000_000, ...rest } = options;
  const records = values.map(
    (value, index): BatchRecord => ({ timestampMs: timestampMs + index, key: null, value: Buffer.from(value) }),
  );
  return encodeBatch(records, rest);
}

/** The texts as messages of a format before batches. */
export function messageSetOf(values: readonly string[], magic: 0 | 1): Uint8Array {
  const messages = values.map((value, offset) => ({
    offset,
    attributes: 0,
    timestampMs: magic === 0 ? -1 : 1_700_000_000_000 + offset,
    key: null,
    value: Buffer.from(value),
  }));
  return encodeMessages(messages, magic);
}

/** The values of all records in fetched bytes, with their offsets: `offset:value`. */
export function valuesOf(records: readonly Uint8Array[] | null): string[] {
  const values: string[] = [];
  for (const bytes of records ?? []) {
    for (const batch of iterateBatches(bytes)) {
      for (const record of iterateRecords(batch)) {
        values.push(`${record.offset}:${Buffer.from(record.value ?? new Uint8Array(0)).toString()}`);
      }
    }
  }
  return values;
}
