// What the schema language says beyond the bytes: what is dropped, what is refused, what is left out, what is kept.
import { describe, expect, it } from "vitest";
import { ApiKey, apiTable } from "../../generated/kafka/api-table.ts";
import { ErrorCode, errorName, isRetriable } from "../../generated/kafka/error-codes.ts";
import {
  createFetchableTopicResponse,
  createFetchResponse,
  createPartitionData,
  encodeFetchResponse,
} from "../../generated/kafka/fetch-response.ts";
import { decodeFindCoordinatorRequest } from "../../generated/kafka/find-coordinator-request.ts";
import {
  createMetadataResponse,
  createMetadataResponseTopic,
  encodeMetadataResponse,
} from "../../generated/kafka/metadata-response.ts";
import { offsetCommitKeyType } from "../../generated/kafka/offset-commit-key.ts";
import { decodeProduceRequest } from "../../generated/kafka/produce-request.ts";
import { decodeFetchResponse } from "../../generated/testing/fetch-response.ts";
import {
  createFindCoordinatorRequest,
  encodeFindCoordinatorRequest,
} from "../../generated/testing/find-coordinator-request.ts";
import {
  createPartitionProduceData,
  createProduceRequest,
  createTopicProduceData,
  encodeProduceRequest,
} from "../../generated/testing/produce-request.ts";
import { DecodeError } from "../../src/wire/decode-error.ts";
import { EncodeError } from "../../src/wire/encode-error.ts";
import { Reader } from "../../src/wire/reader.ts";
import { Writer } from "../../src/wire/writer.ts";

function bytesOf(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer();
  write(writer);
  return Buffer.concat(writer.finish());
}

describe("a field that the version does not have", () => {
  it("is refused if it is set and not ignorable, naming field and versions", () => {
    const request = createProduceRequest({ transactionalId: "t", acks: -1 });
    expect(() => bytesOf((writer) => encodeProduceRequest(writer, request, 2))).toThrow(
      new EncodeError("ProduceRequest.TransactionalId is set, but version 0-2 has no such field"),
    );
    expect(() => bytesOf((writer) => encodeProduceRequest(writer, request, 3))).not.toThrow();
  });

  it("is dropped if it is ignorable", () => {
    const topic = createTopicProduceData({ name: "a", topicId: "AAAAAAAAAAAAAAAAAAAAAQ" });
    const bytes = bytesOf((writer) => encodeProduceRequest(writer, createProduceRequest({ topicData: [topic] }), 9));
    const [decoded] = decodeProduceRequest(new Reader(bytes), 9).topicData;
    expect(decoded?.name).toBe("a");
    expect(decoded?.topicId).toBe("AAAAAAAAAAAAAAAAAAAAAA");
  });

  it("has its default after decoding", () => {
    const bytes = bytesOf((writer) =>
      encodeFindCoordinatorRequest(writer, createFindCoordinatorRequest({ key: "g" }), 0),
    );
    expect(decodeFindCoordinatorRequest(new Reader(bytes), 0)).toEqual({
      key: "g",
      keyType: 0,
      coordinatorKeys: [],
      unknownTags: null,
    });
  });
});

describe("null", () => {
  it("is refused by the encoder where the version has none", () => {
    const topic = createMetadataResponseTopic({ name: null, topicId: "AAAAAAAAAAAAAAAAAAAAAQ" });
    const response = createMetadataResponse({ topics: [topic] });
    expect(() => bytesOf((writer) => encodeMetadataResponse(writer, response, 9))).toThrow(
      "MetadataResponseTopic.Name is null",
    );
    expect(() => bytesOf((writer) => encodeMetadataResponse(writer, response, 12))).not.toThrow();
  });

  it("is refused by the decoder where the version has none", () => {
    // Acks, timeout, then a null array of topics.
    const bytes = Uint8Array.of(0, 1, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff);
    expect(() => decodeProduceRequest(new Reader(bytes), 0)).toThrow("ProduceRequest.TopicData is null");
  });

  it("given to a constructor is not replaced by the default", () => {
    expect(createPartitionData({ abortedTransactions: null }).abortedTransactions).toBeNull();
    expect(createPartitionProduceData().records).toBeNull();
  });
});

describe("a tagged field", () => {
  const response = (partition: Parameters<typeof createPartitionData>[0]) =>
    createFetchResponse({
      responses: [createFetchableTopicResponse({ partitions: [createPartitionData({ records: [], ...partition })] })],
    });
  const size = (partition: Parameters<typeof createPartitionData>[0], version: number): number =>
    bytesOf((writer) => encodeFetchResponse(writer, response(partition), version)).length;

  it("takes no byte while it has its default, also if that is a struct of defaults", () => {
    const leader = { leaderId: -1, leaderEpoch: -1, unknownTags: null };
    expect(size({ currentLeader: leader }, 12)).toBe(size({}, 12));
    expect(size({ currentLeader: { ...leader, leaderId: 3 } }, 12)).toBe(size({}, 12) + 11);
  });

  it("is refused in a version that has no such field", () => {
    const set = response({ currentLeader: { leaderId: 3, leaderEpoch: 4, unknownTags: null } });
    expect(() => bytesOf((writer) => encodeFetchResponse(writer, set, 11))).toThrow("CurrentLeader is set");
    expect(() => bytesOf((writer) => encodeFetchResponse(writer, set, 12))).not.toThrow();
  });

  it("that nobody knows is kept and written back between the known ones", () => {
    const unknownTags = [7, 300].map((tag) => ({ tag, bytes: Uint8Array.of(tag & 0xff, 1) }));
    const set = response({ currentLeader: { leaderId: 3, leaderEpoch: 4, unknownTags }, unknownTags });
    const bytes = bytesOf((writer) => encodeFetchResponse(writer, set, 16));
    const decoded = decodeFetchResponse(new Reader(bytes), 16);
    expect(decoded.responses[0]?.partitions[0]?.unknownTags).toEqual(unknownTags);
    expect(decoded.responses[0]?.partitions[0]?.currentLeader.unknownTags).toEqual(unknownTags);
    expect(
      Buffer.compare(
        bytesOf((writer) => encodeFetchResponse(writer, decoded, 16)),
        bytes,
      ),
    ).toBe(0);
  });

  it("that nobody knows is refused in a version without tags", () => {
    const set = createFetchResponse({ unknownTags: [{ tag: 9, bytes: new Uint8Array(0) }] });
    expect(() => bytesOf((writer) => encodeFetchResponse(writer, set, 11))).toThrow("unknownTags is set");
  });

  it("of a later version is refused in an earlier one", () => {
    const later = createFetchResponse({
      nodeEndpoints: [{ nodeId: 1, host: "h", port: 2, rack: null, unknownTags: null }],
    });
    const bytes = bytesOf((writer) => encodeFetchResponse(writer, later, 16));
    expect(decodeFetchResponse(new Reader(bytes), 16).nodeEndpoints).toHaveLength(1);
    expect(() => decodeFetchResponse(new Reader(bytes), 12)).toThrow("tag 0 of FetchResponse does not exist");
  });
});

describe("versions", () => {
  it("outside the table are refused by both directions", () => {
    expect(() => decodeProduceRequest(new Reader(new Uint8Array(9)), 14)).toThrow(DecodeError);
    expect(() => decodeProduceRequest(new Reader(new Uint8Array(9)), -1)).toThrow(DecodeError);
    expect(() => bytesOf((writer) => encodeFetchResponse(writer, createFetchResponse(), 99))).toThrow(EncodeError);
  });

  it("of the table agree with its codecs, and headers with flexibility", () => {
    const entries = apiTable.filter((entry) => entry !== undefined);
    for (const entry of entries) {
      const highest = entry.maxVersion + (entry.latestVersionUnstable ? 1 : 0);
      expect(entry.decodeRequest, entry.name).toHaveLength(highest + 1);
      expect(entry.encodeResponse, entry.name).toHaveLength(highest + 1);
      expect(
        entry.decodeRequest.findIndex((decode) => decode !== undefined),
        entry.name,
      ).toBe(entry.minVersion);
      const flexible = entry.requestHeaderVersions.map((_, version) => version >= entry.flexibleFrom);
      expect(entry.requestHeaderVersions, entry.name).toEqual(flexible.map((isFlexible) => (isFlexible ? 2 : 1)));
      const hasTags = entry.key !== ApiKey.API_VERSIONS;
      expect(entry.responseHeaderVersions, entry.name).toEqual(
        flexible.map((isFlexible) => (isFlexible && hasTags ? 1 : 0)),
      );
      expect(apiTable[entry.key], entry.name).toBe(entry);
    }
    expect(entries.length).toBeGreaterThan(70);
  });

  it("that are unstable have codecs and are not advertised", () => {
    const entry = apiTable[ApiKey.INIT_PRODUCER_ID];
    expect([entry?.maxVersion, entry?.latestVersionUnstable, entry?.decodeRequest.length]).toEqual([5, true, 7]);
  });

  it("that newer releases removed are still there", () => {
    const lowest = [ApiKey.PRODUCE, ApiKey.FETCH, ApiKey.LIST_OFFSETS, ApiKey.OFFSET_COMMIT].map(
      (key) => apiTable[key]?.minVersion,
    );
    expect(lowest).toEqual([0, 0, 0, 0]);
  });
});

describe("tables", () => {
  it("name every error and say which are retried", () => {
    expect(errorName(ErrorCode.NOT_LEADER_OR_FOLLOWER)).toBe("NOT_LEADER_OR_FOLLOWER");
    expect(errorName(31_000)).toBe("UNKNOWN_ERROR_CODE_31000");
    expect(
      [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NONE, ErrorCode.INVALID_TOPIC_EXCEPTION].map(isRetriable),
    ).toEqual([true, false, false]);
    expect(Object.values(ErrorCode)).toHaveLength(new Set<number>(Object.values(ErrorCode)).size);
  });

  it("say which record a key of an internal topic is of", () => {
    expect(offsetCommitKeyType).toBe(1);
  });
});
