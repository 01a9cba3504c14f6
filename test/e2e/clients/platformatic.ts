// @platformatic/kafka: the modern TypeScript client. It has zstd only on a Node that has it.
import * as zlib from "node:zlib";
import { Consumer, ProduceAcks, Producer } from "@platformatic/kafka";
import { type Client, type ConsumeCall, compressions, type PlainRecord, type ProduceCall } from "./client.ts";

const codecs = compressions.filter((name) => name !== "zstd" || "zstdCompressSync" in zlib);

async function produce(call: ProduceCall): Promise<void> {
  const producer = new Producer({
    clientId: "e2e-platformatic",
    bootstrapBrokers: [call.bootstrap],
    idempotent: call.isIdempotent,
    autocreateTopics: true,
  });
  try {
    await producer.send({
      acks: ProduceAcks.ALL,
      compression: call.compression,
      messages: call.records.map(({ key, value, headers }) => ({
        topic: call.topic,
        ...(key === null ? {} : { key: Buffer.from(key) }),
        ...(value === null ? {} : { value: Buffer.from(value) }),
        headers: new Map(headers.map(([name, text]) => [Buffer.from(name), Buffer.from(text)])),
      })),
    });
  } finally {
    await producer.close();
  }
}

async function consume(call: ConsumeCall): Promise<readonly PlainRecord[]> {
  const consumer = new Consumer({
    clientId: "e2e-platformatic",
    bootstrapBrokers: [call.bootstrap],
    groupId: call.group,
  });
  const records: PlainRecord[] = [];
  const stream = await consumer.consume({ topics: [call.topic], mode: "earliest", maxWaitTime: 500 });
  const timer = setTimeout(() => stream.destroy(new Error(`read ${records.length} of ${call.count} in 40 s`)), 40_000);
  try {
    for await (const message of stream) {
      records.push({
        key: message.key === null || message.key === undefined ? null : message.key.toString(),
        value: message.value === null || message.value === undefined ? null : message.value.toString(),
        headers: [...message.headers].map(([name, text]) => [name.toString(), text.toString()] as const),
      });
      if (records.length === call.count) break;
    }
  } finally {
    clearTimeout(timer);
    await stream.close();
    await consumer.close();
  }
  return records;
}

/** @platformatic/kafka, with a consumer group. It knows raw snappy and not the blocks in which the Java client frames it. */
export const platformaticClient: Client = {
  name: "@platformatic/kafka",
  codecs,
  codecsOnlyOfItsOwn: ["snappy"],
  produce,
  consume,
};
