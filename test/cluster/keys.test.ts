// Keys and values of the metadata store are a format: spelled here once more, by hand.
import { describe, expect, it } from "vitest";
import {
  ClusterKeys,
  decodeCheckpointPointer,
  decodeClaim,
  decodeClusterIdentity,
  decodeHead,
  decodeProducerIdBlock,
  decodeSession,
  decodeTopic,
  encodeCheckpointPointer,
  encodeClaim,
  encodeClusterIdentity,
  encodeHead,
  encodeProducerIdBlock,
  encodeSession,
  encodeTopic,
  MetadataFormatError,
} from "../../src/cluster/keys.ts";
import type { ShardClaim } from "../../src/cluster/shard-claim.ts";

const keys = new ClusterKeys("prod");
const sessionId = "0123456789abcdef01234567";
const stored = (value: Uint8Array) => ({ key: "/kafscale/prod/x", value, createRevision: 1, modRevision: 1 });
const hex = (value: Uint8Array) => Buffer.from(value).toString("hex");

describe("keys", () => {
  it("are spelled below the cluster's name", () => {
    expect([
      keys.cluster,
      keys.producerIdBlock,
      keys.topicDeletions,
      keys.session(sessionId),
      keys.head(sessionId),
      keys.checkpoint(sessionId),
      keys.claim(1023),
      keys.topic("a.b"),
    ]).toEqual([
      "/kafscale/prod/cluster",
      "/kafscale/prod/p/block",
      "/kafscale/prod/topic-deletions",
      `/kafscale/prod/s/${sessionId}`,
      `/kafscale/prod/h/${sessionId}`,
      `/kafscale/prod/c/${sessionId}`,
      "/kafscale/prod/a/1023",
      "/kafscale/prod/topics/a.b",
    ]);
  });

  it("give back what they name", () => {
    expect(keys.sessionOf(keys.session(sessionId))).toBe(sessionId);
    expect(keys.shardOf(keys.claim(0))).toBe(0);
    expect(keys.topicOf(keys.topic("a.b"))).toBe("a.b");
  });

  it.each(["/kafscale/prod/a/1024", "/kafscale/prod/a/01", "/kafscale/prod/a/", "/kafscale/other/a/1"])(
    "refuse %s as a claim",
    (key) => {
      expect(() => keys.shardOf(key)).toThrow(MetadataFormatError);
    },
  );

  it.each(["", "a/b", "..", "x".repeat(64)])("refuse the cluster name %j", (name) => {
    expect(() => new ClusterKeys(name)).toThrow(/cluster name/);
  });
});

describe("values", () => {
  const claim: ShardClaim = {
    sessionId,
    epoch: 7,
    base: { objectKey: "p/ckpt/x/1", position: 5, length: 2 ** 33, sessionId, n: 2 ** 45 },
    prev: [{ sessionId, epoch: 6, from: 1, to: 9 }],
  };
  const control = { controlHost: "c", controlPort: 2 };
  const address = { host: "h", port: 1, ...control, rack: "r" };
  const session = { brokerId: 3, process: "00ff", ...address, version: "v", isDraining: true };
  const topic = {
    topicId: "AQIDBAUGBwgJCgsMDQ4PEA",
    partitionCount: 4,
    configs: new Map([["retention.ms", "5"]]),
    createdAtMs: 1_700_000_000_000,
  };

  it("decode to what was encoded", () => {
    expect(decodeClaim(stored(encodeClaim(claim)))).toEqual(claim);
    const bare = { ...claim, base: undefined, prev: [] };
    expect(decodeClaim(stored(encodeClaim(bare)))).toEqual(bare);
    expect(decodeSession(stored(encodeSession(session)))).toEqual(session);
    expect(decodeTopic(stored(encodeTopic(topic)))).toEqual(topic);
    const identity = { clusterId: "c", generation: 2 };
    expect(decodeClusterIdentity(stored(encodeClusterIdentity(identity)))).toEqual(identity);
    expect(decodeHead(stored(encodeHead({ n: 9, committedAtMs: 8 })))).toEqual({ n: 9, committedAtMs: 8 });
    expect(decodeCheckpointPointer(stored(encodeCheckpointPointer("k")))).toBe("k");
    expect(decodeProducerIdBlock(stored(encodeProducerIdBlock(3000)))).toBe(3000);
  });

  it("have the golden bytes of the schema", () => {
    expect(hex(encodeHead({ n: 300, committedAtMs: 1 }))).toBe("08ac021001");
    expect(hex(encodeClaim({ ...claim, base: undefined }))).toBe(
      "0a0c0123456789abcdef01234567100722140a0c0123456789abcdef01234567100618012009",
    );
  });

  it("refuse what they are not, naming the key", () => {
    for (const bad of [new Uint8Array([255]), new Uint8Array([0x0a, 1, 0])]) {
      expect(() => decodeClaim(stored(bad))).toThrow(
        /^\/kafscale\/prod\/x: the value is no kafscale.metadata.v1.ShardClaim/,
      );
    }
    expect(() => decodeTopic(stored(new Uint8Array()))).toThrow(MetadataFormatError);
    const unsafe = new Uint8Array([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    expect(() => decodeHead(stored(unsafe))).toThrow(/is not a number from 0 to 2\^53 - 1/);
  });
});
