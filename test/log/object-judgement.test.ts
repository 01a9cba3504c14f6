// Nothing is a stray that a session which lives or is named may yet name, whatever else is true.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MetadataSnapshot } from "../../src/cluster/metadata-snapshot.ts";
import { shardOf } from "../../src/cluster/placement.ts";
import type { ShardClaim } from "../../src/cluster/shard-claim.ts";
import { judgeObject, type ReferenceView, referenceView } from "../../src/log/object-judgement.ts";
import type { ShardReferences } from "../../src/log/shard-references.ts";
import { ObjectKeys, type ObjectName } from "../../src/objects/object-keys.ts";
import { partitionKey } from "../../src/topic-partition.ts";

const keys = new ObjectKeys("test");
const topicId = "AAECAwQFBgcICQoLDA0ODw";
const shard = shardOf(topicId, 0);
const [owner, writer] = ["0a".repeat(12), "0b".repeat(12)];

interface Facts {
  readonly isWriterAlive: boolean;
  readonly isOwnerAlive: boolean;
  readonly hasHead: boolean;
  readonly namedIn: "owner" | "base" | "prev" | "nothing";
  readonly isClaimed: boolean;
  readonly isReadable: boolean;
  readonly isTopicAlive: boolean;
  readonly isListed: boolean;
  readonly isDropped: boolean;
  readonly segmentsEnd: number;
}

const facts: fc.Arbitrary<Facts> = fc.record({
  isWriterAlive: fc.boolean(),
  isOwnerAlive: fc.boolean(),
  hasHead: fc.boolean(),
  namedIn: fc.constantFrom("owner" as const, "base" as const, "prev" as const, "nothing" as const),
  isClaimed: fc.boolean(),
  isReadable: fc.boolean(),
  isTopicAlive: fc.boolean(),
  isListed: fc.boolean(),
  isDropped: fc.boolean(),
  segmentsEnd: fc.constantFrom(0, 5, 10),
});
const names: fc.Arbitrary<ObjectName> = fc.constantFrom<ObjectName>(
  { type: "wal", sessionId: writer, n: 1 },
  { type: "checkpoint", sessionId: writer, n: 1 },
  { type: "group", shard, sessionId: writer, n: 1 },
  { type: "segment", name: { topic: "t", topicId, partition: 0, baseOffset: 5, writer: { sessionId: writer, n: 1 } } },
  { type: "index", name: { topic: "t", topicId, partition: 0, baseOffset: 5, writer: { sessionId: writer, n: 1 } } },
  { type: "segment", name: { topic: "t", topicId, partition: 0, baseOffset: 5 } },
  { type: "index", name: { topic: "t", topicId, partition: 0, baseOffset: 5 } },
);

function keyOf(name: ObjectName): string {
  if (name.type === "wal") return keys.wal(name.sessionId, name.n);
  if (name.type === "checkpoint") return keys.checkpoint(name.sessionId, name.n);
  if (name.type === "group") return keys.group(name.shard, name.sessionId, name.n);
  if (name.type === "segment") return keys.segment(name.name);
  return name.type === "index" ? keys.segmentIndex(name.name) : keys.clusterId;
}

function claimOf({ namedIn }: Facts): ShardClaim {
  const claim = { sessionId: owner, epoch: 2, base: undefined, prev: [] };
  if (namedIn === "owner") return { ...claim, sessionId: writer };
  if (namedIn === "prev") return { ...claim, prev: [{ sessionId: writer, epoch: 1, from: 1, to: 1 }] };
  if (namedIn === "nothing") return claim;
  return { ...claim, base: { objectKey: "k", position: 0, length: 1, sessionId: writer, n: 1 } };
}

function viewOf(given: Facts, key: string): ReferenceView {
  const claims = given.isClaimed ? [{ shard, claim: claimOf(given), modRevision: 1 }] : [];
  const snapshot: MetadataSnapshot = {
    revision: 9,
    sessions: new Set([...(given.isWriterAlive ? [writer] : []), ...(given.isOwnerAlive ? [owner] : [])]),
    heads: new Map(given.hasHead ? [[writer, 1]] : []),
    pointers: new Map(),
    claims: new Map(claims.map((stored) => [stored.shard, stored])),
    topics: given.isTopicAlive
      ? [{ name: "t", topicId, partitionCount: 1, configs: new Map(), isInternal: false }]
      : [],
  };
  const references: ShardReferences = {
    shard,
    stamp: "1",
    references: given.isListed ? [{ type: "parts", key, parts: [], of: "t-0" }] : [],
    dropped: new Set(given.isDropped ? [key] : []),
    segmentsEnd: new Map([[partitionKey(topicId, 0), given.segmentsEnd]]),
    failure: given.isReadable ? undefined : new Error("unreadable"),
  };
  return referenceView(snapshot, new Map(given.isClaimed ? [[shard, references]] : []));
}

describe("a judgement", () => {
  it("takes nothing for removable of which one fact says that somebody may name it", () => {
    fc.assert(
      fc.property(names, facts, (name, given) => {
        const key = keyOf(name);
        const verdict = judgeObject(key, name, viewOf(given, key));
        if (verdict.type !== "stray") return;
        const isKnown = given.isClaimed && (given.isListed || given.isDropped);
        expect(isKnown).toBe(false);
        if (!verdict.isRemovable) return;
        const isOfWriter = "sessionId" in name || ("name" in name && name.name.writer !== undefined);
        expect(isOfWriter).toBe(true);
        expect(given.isWriterAlive || (given.isClaimed && given.namedIn !== "nothing")).toBe(false);
        const isOwn = name.type === "wal" || name.type === "checkpoint";
        expect(isOwn ? given.hasHead : given.isClaimed && !given.isReadable).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  it("takes what is left of a session that is gone for a stray, and a plain segment below others of its partition", () => {
    const gone: Facts = {
      isWriterAlive: false,
      isOwnerAlive: true,
      hasHead: false,
      namedIn: "nothing",
      isClaimed: true,
      isReadable: true,
      isTopicAlive: true,
      isListed: false,
      isDropped: false,
      segmentsEnd: 10,
    };
    fc.assert(
      fc.property(names, (name) => {
        const key = keyOf(name);
        const isPlain = "name" in name && name.name.writer === undefined;
        expect(judgeObject(key, name, viewOf(gone, key))).toMatchObject({ type: "stray", isRemovable: !isPlain });
        const above = judgeObject(key, name, viewOf({ ...gone, segmentsEnd: 5 }, key));
        expect(above.type).toBe(isPlain ? "undecided" : "stray");
      }),
    );
  });

  it("knows what belongs to the cluster as such, and what does not belong to it", () => {
    const view = referenceView(
      { revision: 1, sessions: new Set(), heads: new Map(), pointers: new Map(), claims: new Map(), topics: [] },
      new Map(),
    );
    for (const key of [keys.clusterId, keys.probe(1), keys.startProbe(1, "00")]) {
      expect(judgeObject(key, keys.parse(key), view)).toEqual({ type: "known" });
    }
    expect(judgeObject("test/x", keys.parse("test/x"), view)).toEqual({ type: "foreign" });
  });
});
