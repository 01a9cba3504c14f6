// Keys of objects are part of the format: a changed spelling loses data.
import { describe, expect, it } from "vitest";
import { ObjectKeys } from "../../src/objects/object-keys.ts";

const session = "0123456789abcdef01234567";

describe("object keys", () => {
  it("are spelled below the prefix", () => {
    const keys = new ObjectKeys("team/kafka");
    expect(keys.clusterId).toBe("team/kafka/cluster-id");
    expect(keys.wal(session, 42)).toBe(`team/kafka/wal/${session}/000000000042`);
    expect(keys.wal(session, 1_234_567_890_123)).toBe(`team/kafka/wal/${session}/1234567890123`);
    expect(keys.checkpoint(session, 7)).toBe(`team/kafka/ckpt/${session}/7`);
    expect(keys.probe(3)).toBe("team/kafka/probe/3");
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
