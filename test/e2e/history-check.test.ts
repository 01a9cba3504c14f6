// The checker of the cluster scenarios finds what it is there to find.
import { describe, expect, it } from "vitest";
import { keyOf, longestGaps, partitionsWrittenSince, type RecordStream, valueOf } from "./history.ts";
import { check, type FoundRecord, type Verdict } from "./history-check.ts";

/** A producer that sent three records to partition 0, one every 10 ms, and was told their offsets. */
function streamOf(isIdempotent: boolean): RecordStream {
  const sent = [0, 1, 2].map((number) => {
    const sentMs = 100 + number * 10;
    return { partition: 0, number, sentMs, answeredMs: sentMs + 5, outcome: number };
  });
  return { name: "a", isIdempotent, sent, warnings: [], end: () => Promise.resolve() };
}

/** What is stored, by the numbers of the producer's records in the order of their offsets. */
function foundOf(numbers: readonly number[]): readonly FoundRecord[] {
  return numbers.map((number, offset) => {
    const key = keyOf("a", 0, number);
    return { partition: 0, offset, key, value: valueOf(key) };
  });
}

function countsOf({ lost, duplicated, outOfOrder, moved, holes, repeatCount }: Verdict): readonly number[] {
  return [lost.length, duplicated.length, outOfOrder.length, moved.length, holes.length, repeatCount];
}

describe("check", () => {
  const whole = foundOf([0, 1, 2]);
  const foreign = { partition: 0, offset: 3, key: "b/0/0", value: valueOf("b/0/0") };
  const elsewhere = { partition: 1, offset: 0, key: "a/0/3", value: valueOf("a/0/3") };
  // Lost, duplicated, out of order, moved, holes, repeated.
  const cases: readonly (readonly [string, readonly FoundRecord[], readonly number[]])[] = [
    ["nothing where all is well", whole, [0, 0, 0, 0, 0, 0]],
    ["a loss at the end", whole.slice(0, 2), [1, 0, 0, 0, 0, 0]],
    ["a loss in the middle, and its hole", whole.toSpliced(1, 1), [1, 0, 0, 0, 1, 0]],
    ["a record stored twice", foundOf([0, 1, 2, 1]), [0, 1, 0, 0, 0, 0]],
    ["two records exchanged, also by their offsets", foundOf([0, 2, 1]), [0, 0, 1, 2, 0, 0]],
    ["a record of nobody", [...whole, foreign], [0, 0, 0, 1, 0, 0]],
    ["a record in another partition", [...whole, elsewhere], [0, 0, 0, 1, 0, 0]],
    ["a torn value", whole.with(1, { partition: 0, offset: 1, key: "a/0/1", value: "a/0/1a" }), [0, 0, 0, 1, 0, 0]],
  ];
  for (const [what, found, counts] of cases) {
    it(`finds ${what}`, () => {
      expect(countsOf(check([streamOf(true)], found))).toEqual(counts);
    });
  }

  it("takes a repeated record of a client that promises nothing for no fault", () => {
    expect(countsOf(check([streamOf(false)], foundOf([0, 1, 2, 1])))).toEqual([0, 0, 0, 0, 0, 1]);
  });
});

describe("histories", () => {
  it("give the longest pause of each partition, longest first, the ends of the span counted", () => {
    const gaps = longestGaps([streamOf(true)], 2, { fromMs: 100, toMs: 140 });
    expect(gaps).toEqual([
      { partition: 1, fromMs: 100, ms: 40 },
      { partition: 0, fromMs: 125, ms: 15 },
    ]);
  });

  it("count a partition as written since a moment only by what was sent after it", () => {
    expect(partitionsWrittenSince([streamOf(true)], 120)).toEqual(new Set([0]));
    expect(partitionsWrittenSince([streamOf(true)], 121)).toEqual(new Set());
  });
});
