// kafkajs 2.2: JavaScript, no longer developed and widely used. As installed it has no codec but gzip.
import { CompressionTypes, type EachMessagePayload, Kafka, type KafkaMessage, logLevel, type Producer } from "kafkajs";
import type { Client, ConsumeCall, PlainRecord, ProduceCall } from "./client.ts";

const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP } as const;

/** A kafkajs client that logs nothing. */
export function connectKafkajs(bootstrap: string): Kafka {
  return new Kafka({ clientId: "e2e-kafkajs", brokers: [bootstrap], logLevel: logLevel.NOTHING });
}

async function produce(call: ProduceCall): Promise<void> {
  const producer: Producer = connectKafkajs(call.bootstrap).producer({
    idempotent: call.isIdempotent,
    ...(call.isIdempotent ? { maxInFlightRequests: 1 } : {}),
  });
  const compression = call.compression === "gzip" ? codecs.gzip : codecs.none;
  const messages = call.records.map(({ key, value, headers }) => ({
    key,
    value,
    headers: Object.fromEntries(headers),
  }));
  await producer.connect();
  try {
    await producer.send({ topic: call.topic, acks: -1, compression, messages });
  } finally {
    await producer.disconnect();
  }
}

function textOf(bytes: Uint8Array | string | null): string | null {
  if (bytes === null) return null;
  return typeof bytes === "string" ? bytes : Buffer.from(bytes).toString();
}

async function consume(call: ConsumeCall): Promise<readonly PlainRecord[]> {
  const consumer = connectKafkajs(call.bootstrap).consumer({ groupId: call.group, maxWaitTimeInMs: 500 });
  const records: PlainRecord[] = [];
  await consumer.connect();
  try {
    await consumer.subscribe({ topics: [call.topic], fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      const late = () => reject(new Error(`kafkajs read ${records.length} of ${call.count} in 40 s`));
      const timer = setTimeout(late, 40_000);
      const eachMessage = ({ message }: EachMessagePayload) => {
        records.push(plainRecord(message));
        if (records.length === call.count) {
          clearTimeout(timer);
          resolve();
        }
        return Promise.resolve();
      };
      consumer.run({ eachMessage }).catch(reject);
    });
  } finally {
    // Never awaited inside eachMessage: kafkajs then waits for itself.
    await consumer.disconnect();
  }
  return records;
}

function plainRecord(message: KafkaMessage): PlainRecord {
  const headers = Object.entries(message.headers ?? {}).map(([name, value]) => {
    const first = Array.isArray(value) ? value[0] : value;
    return [name, textOf(first ?? null) ?? ""] as const;
  });
  return { key: textOf(message.key), value: textOf(message.value), headers };
}

/** kafkajs, with a consumer group. */
export const kafkajsClient: Client = { name: "kafkajs", codecs: ["none", "gzip"], produce, consume };
