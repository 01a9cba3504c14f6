// Keys of objects are part of the format: a changed spelling loses data.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ObjectKeys, type ObjectName } from "../../src/objects/object-keys.ts";

const session = "0123456789abcdef01234567";

describe("object keys", () => {
  it("are spelled below the prefix", () => {
    const keys = new ObjectKeys("team/kafka");
    expect(keys.clusterId).toBe("team/kafka/cluster-id");
    expect(keys.wal(session, 42)).toBe(`team/kafka/wal/${session}/000000000042`);
    expect(keys.wal(session, 1_234_567_890_123)).toBe(`team/kafka/wal/${session}/1234567890123`);
    expect(keys.checkpoint(session, 7)).toBe(`team/kafka/ckpt/${session}/7`);
    expect(keys.probe(3)).toBe("team/kafka/probe/3");
    expect(keys.reach(3)).toBe("team/kafka/probe/3-reach");
    expect(keys.startProbe(3, "00ff")).toBe("team/kafka/probe/3-00ff");
  });

  it("have topic, topic id, partition and twenty digits of the base offset in those of a segment", () => {
    const keys = new ObjectKeys("team");
    const name = { topic: "or.ders_1", topicId: "AAECAwQFBgcICQoLDA0ODw", partition: 12, baseOffset: 4_294_967_296 };
    const folder = "team/or.ders_1/AAECAwQFBgcICQoLDA0ODw/12";
    expect(keys.segment(name)).toBe(`${folder}/segment-00000000004294967296.kfs`);
    expect(keys.segmentIndex(name)).toBe(`${folder}/segment-00000000004294967296.index`);
    const rewritten = { ...name, writer: { sessionId: session, n: 3 } };
    expect(keys.segment(rewritten)).toBe(`${folder}/segment-00000000004294967296.kfs-${session}-3`);
    expect(keys.segmentIndex(rewritten)).toBe(`${folder}/segment-00000000004294967296.index-${session}-3`);
    expect(keys.group(1_023, session, 5)).toBe(`team/grp/1023/${session}-5`);
  });

  it.each([
    ["a topic", { topic: ".." }],
    ["a topic", { topic: "a/b" }],
    ["a topic", { topic: "x".repeat(250) }],
    ["the id of a topic", { topicId: "short" }],
    ["the id of a topic", { topicId: "../AwQFBgcICQoLDA0ODwAA" }],
    ["a partition", { partition: -1 }],
    ["an offset", { baseOffset: 0.5 }],
    ["a session id", { writer: { sessionId: "x", n: 1 } }],
    ["number", { writer: { sessionId: session, n: 0 } }],
  ])("refuse what is not %s in that of a segment", (what, change) => {
    const name = { topic: "t", topicId: "AAECAwQFBgcICQoLDA0ODw", partition: 0, baseOffset: 0, ...change };
    expect(() => new ObjectKeys("p").segment(name)).toThrow(what);
    expect(() => new ObjectKeys("p").group(-1, session, 1)).toThrow(/is not a shard/);
  });

  it("stay within the 1,024 bytes of S3 however long their parts are", () => {
    const writer = { sessionId: session, n: Number.MAX_SAFE_INTEGER };
    const name = { topic: "t".repeat(249), topicId: "AAECAwQFBgcICQoLDA0ODw", partition: 2 ** 31 - 1, baseOffset: 1 };
    const keys = new ObjectKeys("p".repeat(512));
    expect(keys.segmentIndex({ ...name, writer }).length).toBeLessThan(1_024);
  });

  it("need no prefix, and drop slashes at its ends", () => {
    expect(new ObjectKeys("").clusterId).toBe("cluster-id");
    expect(new ObjectKeys("/a/").clusterId).toBe("a/cluster-id");
  });

  it.each(["a//b", "a/../b", ".", "a b", "ü", "x".repeat(513)])("refuses the prefix %j", (prefix) => {
    expect(() => new ObjectKeys(prefix)).toThrow(/object prefix/);
  });

  it.each([0, -1, 1.5, Number.NaN])("refuses the flush number %d", (n) => {
    expect(() => new ObjectKeys("p").wal(session, n)).toThrow(/does not number/);
  });

  it("refuses what is not a session id", () => {
    expect(() => new ObjectKeys("p").wal("../x", 1)).toThrow(/is not a session id/);
  });
});

const sessionId = fc.stringMatching(/^[0-9a-f]{24}$/);
const n = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const segmentName = fc.record(
  {
    topic: fc.stringMatching(/^[a-z._-]{1,12}$/).filter((topic) => topic !== "." && topic !== ".."),
    topicId: fc.stringMatching(/^[A-Za-z0-9_-]{22}$/),
    partition: fc.nat(),
    baseOffset: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    writer: fc.record({ sessionId, n }),
  },
  { requiredKeys: ["topic", "topicId", "partition", "baseOffset"] },
);
const objectName: fc.Arbitrary<ObjectName> = fc.oneof(
  fc.record({ type: fc.constantFrom("wal" as const, "checkpoint" as const), sessionId, n }),
  fc.record({ type: fc.constant("group" as const), shard: fc.integer({ min: 0, max: 1023 }), sessionId, n }),
  fc.record({ type: fc.constantFrom("segment" as const, "index" as const), name: segmentName }),
);

function spelling(keys: ObjectKeys, name: ObjectName): string {
  if (name.type === "wal") return keys.wal(name.sessionId, name.n);
  if (name.type === "checkpoint") return keys.checkpoint(name.sessionId, name.n);
  if (name.type === "group") return keys.group(name.shard, name.sessionId, name.n);
  if (name.type === "segment") return keys.segment(name.name);
  return name.type === "index" ? keys.segmentIndex(name.name) : keys.clusterId;
}

describe("the name in a key", () => {
  it.each(["team/kafka", ""])("is what the key was spelled from, below the prefix %j", (prefix) => {
    const keys = new ObjectKeys(prefix);
    fc.assert(
      fc.property(objectName, (name) => {
        const key = spelling(keys, name);
        expect(key.startsWith(keys.all)).toBe(true);
        expect(keys.parse(key)).toEqual(name);
      }),
    );
    expect(keys.parse(keys.clusterId)).toEqual({ type: "cluster-id" });
    expect(keys.parse(keys.probe(3))).toEqual({ type: "probe" });
    expect(keys.parse(keys.reach(3))).toEqual({ type: "probe" });
    expect(keys.parse(keys.startProbe(3, "00ff"))).toEqual({ type: "probe" });
  });

  it("is none where a character of it was changed, unless that spells another one", () => {
    const keys = new ObjectKeys("team");
    fc.assert(
      fc.property(objectName, fc.nat(), fc.constantFrom("", "0", "x", "/", "-", ".", "Ü"), (name, at, by) => {
        const key = spelling(keys, name);
        const position = at % key.length;
        const changed = key.slice(0, position) + by + key.slice(position + 1);
        const parsed = keys.parse(changed);
        expect(parsed === undefined || spelling(keys, parsed) === changed).toBe(true);
      }),
    );
  });

  it.each([
    "other/cluster-id",
    "team/readme.txt",
    "team/",
    `team/wal/${session}/1`,
    `team/wal/${session}/000000000000`,
    `team/wal/${session}/000000000001/`,
    `team/ckpt/${session}/01`,
    `team/ckpt/${session}/99999999999999999`,
    `team/grp/01/${session}-1`,
    `team/../AAECAwQFBgcICQoLDA0ODw/0/segment-00000000000000000000.kfs`,
    "team/t/AAECAwQFBgcICQoLDA0ODw/0/segment-99999999999999999999.kfs",
    `team/t/AAECAwQFBgcICQoLDA0ODw/0/segment-00000000000000000000.kfs-${session}-0`,
  ])("is none in %s", (key) => {
    expect(new ObjectKeys("team").parse(key)).toBeUndefined();
  });
});
