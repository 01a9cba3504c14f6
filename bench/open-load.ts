// A load of produce requests whose times are its own: the next one leaves when it is due, whatever the answers do.
import { createPartitionProduceData, createTopicProduceData } from "../generated/testing/produce-request.ts";
import { encodeBatch } from "../src/records/encode-batch.ts";
import { RawSocket } from "../test/integration/raw-socket.ts";
import { SocketClient } from "../test/integration/socket-world.ts";
import { apis } from "../test/kafka/broker-world.ts";

const PRODUCE_VERSION = 7;

/** Opens a connection to a broker of this machine. */
export async function dial(port: number): Promise<SocketClient> {
  return new SocketClient(await RawSocket.open({ host: "127.0.0.1", port }), "bench");
}

/** A place to write to. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
}

/** A value of which no two are the same. */
export function valueOf(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, () => Math.random() * 256);
}

/** Writes one record; gives Kafka's error code and the milliseconds until the answer. */
export async function produceOne(
  client: SocketClient,
  { topic, partition }: Place,
  value: Uint8Array,
): Promise<{ readonly errorCode: number; readonly ms: number }> {
  const batch = encodeBatch([{ timestampMs: Date.now(), key: null, value }]);
  const partitionData = [createPartitionProduceData({ index: partition, records: [batch] })];
  const topicData = [createTopicProduceData({ name: topic, partitionData })];
  const request = { acks: -1, timeoutMs: 30_000, topicData, transactionalId: null, unknownTags: null };
  const sentMs = performance.now();
  const answer = await client.call(apis.produce, PRODUCE_VERSION, request);
  const ms = performance.now() - sentMs;
  return { errorCode: answer.responses[0]?.partitionResponses[0]?.errorCode ?? -1, ms };
}

/** What an open load sends. */
export interface OpenLoad {
  readonly port: number;
  readonly topic: string;
  readonly partitionCount: number;
  /** Of all partitions together, one record each, to the partitions in turn. */
  readonly requestsPerSecond: number;
  readonly valueBytes: number;
  readonly connectionCount: number;
}

/** Runs a load for a while; gives the milliseconds of each answer. Fails on any other answer than success. */
export async function runOpenLoad(load: OpenLoad, seconds: number): Promise<readonly number[]> {
  const { port, topic, partitionCount, requestsPerSecond, valueBytes, connectionCount } = load;
  const clients = await Promise.all(Array.from({ length: connectionCount }, () => dial(port)));
  const value = valueOf(valueBytes);
  const answers: Promise<{ readonly errorCode: number; readonly ms: number }>[] = [];
  const startedMs = performance.now();
  const count = Math.round(requestsPerSecond * seconds);
  while (answers.length < count) {
    const due = Math.min(count, Math.ceil(((performance.now() - startedMs) / 1_000) * requestsPerSecond));
    while (answers.length < due) {
      const partition = answers.length % partitionCount;
      const client = clients[partition % connectionCount] as SocketClient;
      const answer = produceOne(client, { topic, partition }, value);
      // It is awaited at the end; until then nobody may take a failure for one that nobody handles.
      answer.catch(() => {});
      answers.push(answer);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const answered = await Promise.all(answers);
  for (const { socket } of clients) socket.destroy();
  const failed = answered.find(({ errorCode }) => errorCode !== 0);
  if (failed) throw new Error(`the broker answered error ${failed.errorCode}`);
  return answered.map(({ ms }) => ms);
}
