// How many times faster the generated codecs are than those of two client libraries, on the same messages of the same
// version, all fields read or written, in one run. Prints ratios; nothing fails here. Run: npx tsx bench/codecs.ts
import { decodeFetchRequest } from "../generated/kafka/fetch-request.ts";
import {
  createFetchableTopicResponse,
  createFetchResponse,
  createPartitionData,
  encodeFetchResponse,
  type FetchResponse,
} from "../generated/kafka/fetch-response.ts";
import {
  createMetadataResponse,
  createMetadataResponseBroker,
  createMetadataResponsePartition,
  createMetadataResponseTopic,
  encodeMetadataResponse,
} from "../generated/kafka/metadata-response.ts";
import { decodeProduceRequest } from "../generated/kafka/produce-request.ts";
import {
  createFetchPartition,
  createFetchRequest,
  createFetchTopic,
  encodeFetchRequest,
} from "../generated/testing/fetch-request.ts";
import { decodeFetchResponse } from "../generated/testing/fetch-response.ts";
import { decodeMetadataResponse } from "../generated/testing/metadata-response.ts";
import {
  createPartitionProduceData,
  createProduceRequest,
  createTopicProduceData,
  encodeProduceRequest,
} from "../generated/testing/produce-request.ts";
import { encodeBatch } from "../src/records/encode-batch.ts";
import { Reader } from "../src/wire/reader.ts";
import { Writer } from "../src/wire/writer.ts";
import * as peers from "./codec-peers.ts";
import * as responses from "./codec-responses.ts";

const ROUNDS = 9;
const SLICE_MS = 80;
const value = Buffer.alloc(100, "v");
const topics: readonly peers.FetchTarget[] = Array.from({ length: 10 }, (_, topic) => ({
  topic: `topic-number-${topic}`,
  partitions: Array.from({ length: 10 }, (_each, partition) => ({ partition, fetchOffset: 1_000_000 + partition })),
}));

const reader = new Reader(new Uint8Array(0));
const writer = new Writer();

function encoded(write: (into: Writer) => void): Buffer {
  write(writer);
  return Buffer.concat(writer.finish());
}

function ourFetchRequest(into: Writer, version: number): void {
  const request = createFetchRequest({
    maxWaitMs: 500,
    minBytes: 1,
    maxBytes: 50_000_000,
    topics: topics.map(({ topic, partitions }) =>
      createFetchTopic({
        topic,
        partitions: partitions.map(({ partition, fetchOffset }) =>
          createFetchPartition({ partition, fetchOffset, partitionMaxBytes: 1_000_000 }),
        ),
      }),
    ),
  });
  encodeFetchRequest(into, request, version);
}

function ourProduceRequest(into: Writer): void {
  const request = createProduceRequest({
    acks: -1,
    timeoutMs: 30_000,
    topicData: topics.map(({ topic, partitions }) =>
      createTopicProduceData({
        name: topic,
        partitionData: partitions.map(({ partition }) =>
          createPartitionProduceData({
            index: partition,
            records: [encodeBatch([{ key: null, value, timestampMs: 1_700_000_000_000, headers: [] }])],
          }),
        ),
      }),
    ),
  });
  encodeProduceRequest(into, request, 7);
}

/** A response of 100 partitions that each have the same batch, or none. */
function fetchResponseWith(records: readonly Uint8Array[]): FetchResponse {
  return createFetchResponse({
    sessionId: 7,
    responses: topics.map(({ topic, partitions }) =>
      createFetchableTopicResponse({
        topic,
        partitions: partitions.map(({ partition, fetchOffset }) =>
          createPartitionData({
            partitionIndex: partition,
            highWatermark: fetchOffset,
            lastStableOffset: fetchOffset,
            logStartOffset: 5,
            abortedTransactions: [],
            records,
          }),
        ),
      }),
    ),
  });
}
// The peers' decoders also decode records, so the response they read has none.
const fetchResponse = fetchResponseWith([]);
const fullFetchResponse = fetchResponseWith([new Uint8Array(1024).fill(7)]);

const metadataResponse = createMetadataResponse({
  brokers: [1, 2, 3].map((nodeId) =>
    createMetadataResponseBroker({ nodeId, host: `broker-${nodeId}.example`, port: 9092, rack: "a" }),
  ),
  clusterId: "bench",
  controllerId: 1,
  topics: Array.from({ length: 50 }, (_, topic) =>
    createMetadataResponseTopic({
      name: `topic-number-${topic}`,
      partitions: Array.from({ length: 6 }, (_each, partitionIndex) =>
        createMetadataResponsePartition({
          partitionIndex,
          leaderId: 1,
          leaderEpoch: 4,
          replicaNodes: [1, 2, 3],
          isrNodes: [1, 2, 3],
        }),
      ),
    }),
  ),
});

const fetchRequests = {
  11: encoded((into) => ourFetchRequest(into, 11)),
  12: encoded((into) => ourFetchRequest(into, 12)),
};
const produceRequest = encoded(ourProduceRequest);
const fetchResponses = {
  11: encoded((into) => encodeFetchResponse(into, fetchResponse, 11)),
  12: encoded((into) => encodeFetchResponse(into, fetchResponse, 12)),
};
const metadataResponses = {
  6: encoded((into) => encodeMetadataResponse(into, metadataResponse, 6)),
  9: encoded((into) => encodeMetadataResponse(into, metadataResponse, 9)),
};

/** One comparison: what, which peer, the two ways to do it. */
interface Row {
  readonly what: string;
  readonly peer: "kafkajs" | "@platformatic/kafka";
  readonly ours: () => unknown;
  readonly theirs: () => unknown;
}

const finish = (write: (into: Writer) => void) => (): unknown => {
  write(writer);
  return writer.finish();
};

const rows: readonly Row[] = [
  {
    what: "decode FetchRequest v11",
    peer: "kafkajs",
    ours: () => decodeFetchRequest(reader.reset(fetchRequests[11]), 11),
    theirs: () => peers.kafkajsDecodeFetchRequest(fetchRequests[11]),
  },
  {
    what: "decode FetchRequest v12",
    peer: "@platformatic/kafka",
    ours: () => decodeFetchRequest(reader.reset(fetchRequests[12]), 12),
    theirs: () => peers.platformaticDecodeFetchRequest(fetchRequests[12]),
  },
  {
    what: "decode ProduceRequest v7",
    peer: "kafkajs",
    ours: () => decodeProduceRequest(reader.reset(produceRequest), 7),
    theirs: () => peers.kafkajsDecodeProduceRequest(produceRequest),
  },
  {
    what: "decode ProduceRequest v7",
    peer: "@platformatic/kafka",
    ours: () => decodeProduceRequest(reader.reset(produceRequest), 7),
    theirs: () => peers.platformaticDecodeProduceRequest(produceRequest),
  },
  {
    what: "encode FetchResponse v11 with 100 KiB",
    peer: "kafkajs",
    ours: finish((into) => encodeFetchResponse(into, fullFetchResponse, 11)),
    theirs: () => responses.kafkajsEncodeFetchResponse(fullFetchResponse),
  },
  {
    what: "encode FetchResponse v12 with 100 KiB",
    peer: "@platformatic/kafka",
    ours: finish((into) => encodeFetchResponse(into, fullFetchResponse, 12)),
    theirs: () => responses.platformaticEncodeFetchResponse(fullFetchResponse),
  },
  {
    what: "encode MetadataResponse v6",
    peer: "kafkajs",
    ours: finish((into) => encodeMetadataResponse(into, metadataResponse, 6)),
    theirs: () => responses.kafkajsEncodeMetadataResponse(metadataResponse),
  },
  {
    what: "encode MetadataResponse v9",
    peer: "@platformatic/kafka",
    ours: finish((into) => encodeMetadataResponse(into, metadataResponse, 9)),
    theirs: () => responses.platformaticEncodeMetadataResponse(metadataResponse),
  },
  {
    what: "encode FetchRequest v11",
    peer: "kafkajs",
    ours: finish((into) => ourFetchRequest(into, 11)),
    theirs: () => peers.kafkajsEncodeFetchRequest(topics),
  },
  {
    what: "encode FetchRequest v12",
    peer: "@platformatic/kafka",
    ours: finish((into) => ourFetchRequest(into, 12)),
    theirs: () => peers.platformaticEncodeFetchRequest(topics),
  },
  {
    what: "encode ProduceRequest v7 with 100 batches",
    peer: "kafkajs",
    ours: finish(ourProduceRequest),
    theirs: () => peers.kafkajsEncodeProduceRequest(topics, value),
  },
  {
    what: "encode ProduceRequest v7 with 100 batches",
    peer: "@platformatic/kafka",
    ours: finish(ourProduceRequest),
    theirs: () => peers.platformaticEncodeProduceRequest(topics, value),
  },
  {
    what: "decode FetchResponse v11",
    peer: "kafkajs",
    ours: () => decodeFetchResponse(reader.reset(fetchResponses[11]), 11),
    theirs: () => peers.kafkajsDecodeFetchResponse(fetchResponses[11]),
  },
  {
    what: "decode FetchResponse v12",
    peer: "@platformatic/kafka",
    ours: () => decodeFetchResponse(reader.reset(fetchResponses[12]), 12),
    theirs: () => peers.platformaticDecodeFetchResponse(fetchResponses[12]),
  },
  {
    what: "decode MetadataResponse v6",
    peer: "kafkajs",
    ours: () => decodeMetadataResponse(reader.reset(metadataResponses[6]), 6),
    theirs: () => peers.kafkajsDecodeMetadataResponse(metadataResponses[6]),
  },
  {
    what: "decode MetadataResponse v9",
    peer: "@platformatic/kafka",
    ours: () => decodeMetadataResponse(reader.reset(metadataResponses[9]), 9),
    theirs: () => peers.platformaticDecodeMetadataResponse(metadataResponses[9]),
  },
];

/** CPU time of this process: other programs on the machine take turns with us, and must not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Microseconds per call in one slice of time. An async function is awaited each time. */
async function microsPerCall(action: () => unknown): Promise<number> {
  const isAsync = action() instanceof Promise;
  const start = cpuMs();
  let calls = 0;
  while (cpuMs() - start < SLICE_MS) {
    if (isAsync) for (let call = 0; call < 50; call += 1) await action();
    else for (let call = 0; call < 50; call += 1) action();
    calls += 50;
  }
  return ((cpuMs() - start) * 1000) / calls;
}

function ensureSameBytes(what: string, ours: Buffer, theirs: Buffer): void {
  if (!ours.equals(theirs)) throw new Error(`${what}: the peer writes other bytes, so the figures would not compare`);
}

ensureSameBytes(
  "FetchRequest v11",
  fetchRequests[11],
  await peers.kafkajsEncodeFetchRequest(topics).then((bytes) => Buffer.from(bytes)),
);
ensureSameBytes("FetchRequest v12", fetchRequests[12], peers.platformaticEncodeFetchRequest(topics));

ensureSameBytes(
  "FetchResponse v11",
  encoded((into) => encodeFetchResponse(into, fullFetchResponse, 11)),
  responses.kafkajsEncodeFetchResponse(fullFetchResponse),
);
ensureSameBytes(
  "FetchResponse v12",
  encoded((into) => encodeFetchResponse(into, fullFetchResponse, 12)),
  Buffer.concat(responses.platformaticEncodeFetchResponse(fullFetchResponse)),
);
ensureSameBytes("MetadataResponse v6", metadataResponses[6], responses.kafkajsEncodeMetadataResponse(metadataResponse));
ensureSameBytes(
  "MetadataResponse v9",
  metadataResponses[9],
  Buffer.concat(responses.platformaticEncodeMetadataResponse(metadataResponse)),
);

console.log("generated codecs against client libraries, best of alternating slices in one run");
const ratios = { kafkajs: [] as number[], "@platformatic/kafka": [] as number[] };
for (const row of rows) {
  let ours = Number.POSITIVE_INFINITY;
  let theirs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    ours = Math.min(ours, await microsPerCall(row.ours));
    theirs = Math.min(theirs, await microsPerCall(row.theirs));
  }
  ratios[row.peer].push(theirs / ours);
  console.log(
    `${row.what.padEnd(44)} ${ours.toFixed(1).padStart(7)} µs  ${row.peer.padEnd(20)} ${theirs.toFixed(1).padStart(8)} µs  ${(theirs / ours).toFixed(1).padStart(6)} ×`,
  );
}
for (const [peer, list] of Object.entries(ratios)) {
  const mean = Math.exp(list.reduce((sum, ratio) => sum + Math.log(ratio), 0) / list.length);
  console.log(`${peer}: ${mean.toFixed(1)} × in the geometric mean, ${Math.min(...list).toFixed(1)} × at least`);
}
