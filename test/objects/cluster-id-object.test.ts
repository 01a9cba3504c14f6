// The object that guards a bucket against another cluster.
import { describe, expect, it } from "vitest";
import { decodeClusterIdObject, encodeClusterIdObject } from "../../src/objects/cluster-id-object.ts";
import { FormatError } from "../../src/objects/format-error.ts";

describe("the cluster-id object", () => {
  const identity = { clusterId: "AQIDBAUGBwgJCgsMDQ4PEA", generation: 2, revision: 1234 };
  const bytes = encodeClusterIdObject(identity);

  it("decodes to what was encoded", () => {
    expect(decodeClusterIdObject(bytes)).toEqual(identity);
  });

  it("is refused when it is cut, of another version, or lacks a field", () => {
    for (let length = 0; length < bytes.length - 1; length += 1) {
      expect(() => decodeClusterIdObject(bytes.slice(0, length)), `cut to ${length} bytes`).toThrow(FormatError);
    }
    for (const text of ["[]", "7", '{"version":2}', '{"version":1,"clusterId":"x","generation":1.5,"revision":1}']) {
      expect(() => decodeClusterIdObject(new TextEncoder().encode(text)), text).toThrow(/^cluster-id: /);
    }
  });
});
