// Responses written with the writers of kafkajs and @platformatic/kafka, in the style of their own requests: a client
// has no encoder of responses. Both take the objects that the generated encoders take.
import { createRequire } from "node:module";
import { join } from "node:path";
import { Writer as PlatformaticWriter } from "@platformatic/kafka";
import type { FetchResponse } from "../generated/kafka/fetch-response.ts";
import type { MetadataResponse } from "../generated/kafka/metadata-response.ts";

interface KafkajsEncoder {
  readonly buffer: Buffer;
  writeBoolean(value: boolean): this;
  writeInt16(value: number): this;
  writeInt32(value: number): this;
  writeInt64(value: number): this;
  writeString(value: string | null): this;
  writeBytes(value: Buffer): this;
  writeArray(values: readonly (KafkajsEncoder | number)[]): this;
}

const require = createRequire(import.meta.url);
const encoderPath = join(import.meta.dirname, "../node_modules/kafkajs/src/protocol/encoder.js");
const Encoder = require(encoderPath) as new () => KafkajsEncoder;

/** FetchResponse v11 with kafkajs's encoder. */
export function kafkajsEncodeFetchResponse(response: FetchResponse): Buffer {
  const topics = response.responses.map((topic) => {
    const partitions = topic.partitions.map((partition) =>
      new Encoder()
        .writeInt32(partition.partitionIndex)
        .writeInt16(partition.errorCode)
        .writeInt64(partition.highWatermark)
        .writeInt64(partition.lastStableOffset)
        .writeInt64(partition.logStartOffset)
        .writeArray([])
        .writeInt32(partition.preferredReadReplica)
        .writeBytes(asBuffer(partition.records?.[0])),
    );
    return new Encoder().writeString(topic.topic).writeArray(partitions);
  });
  return new Encoder()
    .writeInt32(response.throttleTimeMs)
    .writeInt16(response.errorCode)
    .writeInt32(response.sessionId)
    .writeArray(topics).buffer;
}

/** MetadataResponse v6 with kafkajs's encoder. */
export function kafkajsEncodeMetadataResponse(response: MetadataResponse): Buffer {
  const brokers = response.brokers.map((broker) =>
    new Encoder().writeInt32(broker.nodeId).writeString(broker.host).writeInt32(broker.port).writeString(broker.rack),
  );
  const topics = response.topics.map((topic) => {
    const partitions = topic.partitions.map((partition) =>
      new Encoder()
        .writeInt16(partition.errorCode)
        .writeInt32(partition.partitionIndex)
        .writeInt32(partition.leaderId)
        .writeArray(partition.replicaNodes)
        .writeArray(partition.isrNodes)
        .writeArray(partition.offlineReplicas),
    );
    return new Encoder()
      .writeInt16(topic.errorCode)
      .writeString(topic.name)
      .writeBoolean(topic.isInternal)
      .writeArray(partitions);
  });
  return new Encoder()
    .writeInt32(response.throttleTimeMs)
    .writeArray(brokers)
    .writeString(response.clusterId)
    .writeInt32(response.controllerId)
    .writeArray(topics).buffer;
}

/** FetchResponse v12 with @platformatic/kafka's writer; the parts it would give to writev. */
export function platformaticEncodeFetchResponse(response: FetchResponse): readonly Buffer[] {
  return PlatformaticWriter.create()
    .appendInt32(response.throttleTimeMs)
    .appendInt16(response.errorCode)
    .appendInt32(response.sessionId)
    .appendArray([...response.responses], (topics, topic) => {
      topics.appendString(topic.topic).appendArray([...topic.partitions], (partitions, partition) => {
        partitions
          .appendInt32(partition.partitionIndex)
          .appendInt16(partition.errorCode)
          .appendInt64(BigInt(partition.highWatermark))
          .appendInt64(BigInt(partition.lastStableOffset))
          .appendInt64(BigInt(partition.logStartOffset))
          .appendArray([], () => undefined)
          .appendInt32(partition.preferredReadReplica)
          .appendBytes(asBuffer(partition.records?.[0]));
      });
    })
    .appendTaggedFields().buffers;
}

/** MetadataResponse v9 with @platformatic/kafka's writer; the parts it would give to writev. */
export function platformaticEncodeMetadataResponse(response: MetadataResponse): readonly Buffer[] {
  const appendInt32 = (list: PlatformaticWriter, value: number): void => {
    list.appendInt32(value);
  };
  return PlatformaticWriter.create()
    .appendInt32(response.throttleTimeMs)
    .appendArray([...response.brokers], (brokers, broker) => {
      brokers.appendInt32(broker.nodeId).appendString(broker.host).appendInt32(broker.port).appendString(broker.rack);
    })
    .appendString(response.clusterId)
    .appendInt32(response.controllerId)
    .appendArray([...response.topics], (topics, topic) => {
      topics.appendInt16(topic.errorCode).appendString(topic.name).appendBoolean(topic.isInternal);
      topics.appendArray([...topic.partitions], (partitions, partition) => {
        partitions
          .appendInt16(partition.errorCode)
          .appendInt32(partition.partitionIndex)
          .appendInt32(partition.leaderId)
          .appendInt32(partition.leaderEpoch)
          .appendArray([...partition.replicaNodes], appendInt32, true, false)
          .appendArray([...partition.isrNodes], appendInt32, true, false)
          .appendArray([...partition.offlineReplicas], appendInt32, true, false);
      });
      topics.appendInt32(topic.topicAuthorizedOperations);
    })
    .appendInt32(response.clusterAuthorizedOperations)
    .appendTaggedFields().buffers;
}

function asBuffer(bytes: Uint8Array | undefined): Buffer {
  if (bytes === undefined) return Buffer.alloc(0);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
