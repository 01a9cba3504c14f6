// The same messages through the codecs of kafkajs and @platformatic/kafka. Encoding requests and decoding responses is
// their own code; a client has no decoder of requests, so those are written here on their readers, in their style.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Reader as PlatformaticReader } from "@platformatic/kafka";

const modules = join(import.meta.dirname, "../node_modules");
const require = createRequire(import.meta.url);

/** One partition of a fetch, as the bench and both peers name it. */
export interface FetchTarget {
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly fetchOffset: number }[];
}

interface KafkajsRequest {
  encode(): Promise<{ readonly buffer: Buffer }>;
}
interface KafkajsDecoder {
  readInt8(): number;
  readInt16(): number;
  readInt32(): number;
  readInt64(): { toString(): string };
  readString(): string;
  readBytes(): Buffer;
  readArray<T>(read: (decoder: KafkajsDecoder) => T): T[];
}

// Both packages keep their codecs private; they are loaded by path, with the types that the bench uses of them.
function kafkajs(path: string): unknown {
  return require(join(modules, "kafkajs/src/protocol", path));
}
function platformatic(path: string): Promise<unknown> {
  return import(pathToFileURL(join(modules, "@platformatic/kafka/dist/apis", path)).href);
}

interface KafkajsResponse {
  decode(bytes: Buffer): Promise<unknown>;
}
const Decoder = kafkajs("decoder.js") as new (bytes: Buffer) => KafkajsDecoder;
const kafkajsFetchRequest = kafkajs("requests/fetch/v11/request.js") as (request: object) => KafkajsRequest;
const kafkajsProduceRequest = kafkajs("requests/produce/v7/request.js") as (request: object) => KafkajsRequest;
const kafkajsFetchResponse = kafkajs("requests/fetch/v11/response.js") as KafkajsResponse;
const kafkajsMetadataResponse = kafkajs("requests/metadata/v6/response.js") as KafkajsResponse;

interface PlatformaticApi {
  createRequest(...values: readonly unknown[]): { readonly buffer: Buffer };
  parseResponse(correlationId: number, apiKey: number, version: number, reader: PlatformaticReader): unknown;
}
const platformaticFetch = (await platformatic("consumer/fetch-v12.js")) as PlatformaticApi;
const platformaticProduce = (await platformatic("producer/produce-v7.js")) as PlatformaticApi;
const platformaticMetadata = (await platformatic("metadata/metadata-v9.js")) as PlatformaticApi;

/** FetchRequest v11 by kafkajs. */
export async function kafkajsEncodeFetchRequest(topics: readonly FetchTarget[]): Promise<Buffer> {
  const request = kafkajsFetchRequest({
    replicaId: -1,
    maxWaitTime: 500,
    minBytes: 1,
    maxBytes: 50_000_000,
    isolationLevel: 0,
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, fetchOffset }) => ({ partition, fetchOffset, maxBytes: 1_000_000 })),
    })),
  });
  return (await request.encode()).buffer;
}

/** FetchRequest v12 by @platformatic/kafka. */
export function platformaticEncodeFetchRequest(topics: readonly FetchTarget[]): Buffer {
  const targets = topics.map(({ topic, partitions }) => ({
    topicId: topic,
    partitions: partitions.map(({ partition, fetchOffset }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(fetchOffset),
      lastFetchedEpoch: -1,
      partitionMaxBytes: 1_000_000,
    })),
  }));
  return platformaticFetch.createRequest(500, 1, 50_000_000, 0, 0, -1, targets, [], "").buffer;
}

/** FetchRequest v11 read with kafkajs's decoder. */
export function kafkajsDecodeFetchRequest(bytes: Buffer): unknown {
  const decoder = new Decoder(bytes);
  return {
    replicaId: decoder.readInt32(),
    maxWaitTime: decoder.readInt32(),
    minBytes: decoder.readInt32(),
    maxBytes: decoder.readInt32(),
    isolationLevel: decoder.readInt8(),
    sessionId: decoder.readInt32(),
    sessionEpoch: decoder.readInt32(),
    topics: decoder.readArray((topic) => ({
      topic: topic.readString(),
      partitions: topic.readArray((partition) => ({
        partition: partition.readInt32(),
        currentLeaderEpoch: partition.readInt32(),
        fetchOffset: partition.readInt64().toString(),
        logStartOffset: partition.readInt64().toString(),
        maxBytes: partition.readInt32(),
      })),
    })),
    forgottenTopics: decoder.readArray((topic) => ({
      topic: topic.readString(),
      partitions: topic.readArray((partition) => partition.readInt32()),
    })),
    rackId: decoder.readString(),
  };
}

/** FetchRequest v12 read with @platformatic/kafka's reader. */
export function platformaticDecodeFetchRequest(bytes: Buffer): unknown {
  const reader = PlatformaticReader.from(bytes);
  return {
    replicaId: reader.readInt32(),
    maxWaitMs: reader.readInt32(),
    minBytes: reader.readInt32(),
    maxBytes: reader.readInt32(),
    isolationLevel: reader.readInt8(),
    sessionId: reader.readInt32(),
    sessionEpoch: reader.readInt32(),
    topics: reader.readArray((topic) => ({
      topic: topic.readString(),
      partitions: topic.readArray((partition) => ({
        partition: partition.readInt32(),
        currentLeaderEpoch: partition.readInt32(),
        fetchOffset: partition.readInt64(),
        lastFetchedEpoch: partition.readInt32(),
        logStartOffset: partition.readInt64(),
        partitionMaxBytes: partition.readInt32(),
      })),
    })),
    forgottenTopics: reader.readArray((topic) => ({
      topic: topic.readString(),
      partitions: topic.readArray((partition) => partition.readInt32(), true, false),
    })),
    rackId: reader.readString(),
    tags: reader.readTaggedFields(),
  };
}

/** ProduceRequest v7 read with kafkajs's decoder, records as bytes. */
export function kafkajsDecodeProduceRequest(bytes: Buffer): unknown {
  const decoder = new Decoder(bytes);
  return {
    transactionalId: decoder.readString(),
    acks: decoder.readInt16(),
    timeout: decoder.readInt32(),
    topicData: decoder.readArray((topic) => ({
      topic: topic.readString(),
      partitions: topic.readArray((partition) => ({
        partition: partition.readInt32(),
        records: partition.readBytes(),
      })),
    })),
  };
}

/** ProduceRequest v7 read with @platformatic/kafka's reader, records as bytes. */
export function platformaticDecodeProduceRequest(bytes: Buffer): unknown {
  const reader = PlatformaticReader.from(bytes);
  return {
    transactionalId: reader.readNullableString(false),
    acks: reader.readInt16(),
    timeout: reader.readInt32(),
    topicData: reader.readArray(
      (topic) => ({
        topic: topic.readString(false),
        partitions: topic.readArray(
          (partition) => ({ partition: partition.readInt32(), records: partition.readBytes(false) }),
          false,
          false,
        ),
      }),
      false,
      false,
    ),
  };
}

/** ProduceRequest v7 by kafkajs, one record a partition, batches included. */
export async function kafkajsEncodeProduceRequest(topics: readonly FetchTarget[], value: Buffer): Promise<Buffer> {
  const topicData = topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition }) => ({
      partition,
      firstSequence: 0,
      messages: [{ key: null, value, timestamp: "1700000000000" }],
    })),
  }));
  return (await kafkajsProduceRequest({ acks: -1, timeout: 30_000, topicData }).encode()).buffer;
}

/** ProduceRequest v7 by @platformatic/kafka, one record a partition, batches included. */
export function platformaticEncodeProduceRequest(topics: readonly FetchTarget[], value: Buffer): Buffer {
  const messages = topics.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition }) => ({ topic, partition, value, timestamp: 1_700_000_000_000n })),
  );
  return platformaticProduce.createRequest(-1, 30_000, messages, {}).buffer;
}

/** FetchResponse v11 by kafkajs. */
export const kafkajsDecodeFetchResponse = (bytes: Buffer): Promise<unknown> => kafkajsFetchResponse.decode(bytes);
/** FetchResponse v12 by @platformatic/kafka. */
export const platformaticDecodeFetchResponse = (bytes: Buffer): unknown =>
  platformaticFetch.parseResponse(0, 1, 12, PlatformaticReader.from(bytes));
/** MetadataResponse v6 by kafkajs. */
export const kafkajsDecodeMetadataResponse = (bytes: Buffer): Promise<unknown> => kafkajsMetadataResponse.decode(bytes);
/** MetadataResponse v9 by @platformatic/kafka. */
export const platformaticDecodeMetadataResponse = (bytes: Buffer): unknown =>
  platformaticMetadata.parseResponse(0, 3, 9, PlatformaticReader.from(bytes));
