import { describe, expect, it } from "vitest";
import { Trace } from "./trace.ts";

describe("a trace", () => {
  it("has another hash when a line, its time or its place differs", () => {
    const hashOf = (...lines: (readonly [number, string])[]) => {
      let nowMs = 0;
      const trace = new Trace(() => nowMs);
      for (const [atMs, line] of lines) {
        nowMs = atMs;
        trace.note(line);
      }
      return trace.hash;
    };
    const hashes = [
      hashOf([1, "a"], [2, "b"]),
      hashOf([1, "a"], [2, "c"]),
      hashOf([1, "a"], [3, "b"]),
      hashOf([2, "b"], [1, "a"]),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(hashOf([1, "a"], [2, "b"])).toBe(hashes[0]);
  });
});
