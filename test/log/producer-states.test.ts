// Duplicates, gaps and epochs of idempotent producers, against a log that remembers everything.
import fc from "fast-check";
import { expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { errorCodeOf } from "../../src/kafka-error.ts";
import { type BatchIdentity, ProducerStates } from "../../src/log/producer-states.ts";

function batch(producerEpoch: number, firstSequence: number, lastSequence = firstSequence): BatchIdentity {
  return { producerId: 1, producerEpoch, firstSequence, lastSequence };
}

function verdict(states: ProducerStates<string>, identity: BatchIdentity): string {
  try {
    const found = states.judge(identity);
    return found.type === "committed" ? `committed at ${found.batch.baseOffset}` : found.type;
  } catch (error) {
    return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER === errorCodeOf(error) ? "gap" : "old epoch";
  }
}

function commit(states: ProducerStates<string>, identity: BatchIdentity, baseOffset: number): void {
  states.commit({ ...identity, baseOffset, timestampMs: 0 }, 0);
}

it("takes any first sequence of a producer it does not know, then only the next one", () => {
  const states = new ProducerStates<string>();
  expect(verdict(states, batch(0, 17))).toBe("new");
  commit(states, batch(0, 17, 19), 100);
  expect(verdict(states, batch(0, 20))).toBe("new");
  expect(verdict(states, batch(0, 21))).toBe("gap");
  expect(verdict(states, batch(0, 18))).toBe("gap");
});

it("recognises each of the last five batches, and calls an older copy a gap", () => {
  const states = new ProducerStates<string>();
  for (let sequence = 0; sequence < 7; sequence++) commit(states, batch(0, sequence), 10 + sequence);
  const verdicts = Array.from({ length: 7 }, (_, sequence) => verdict(states, batch(0, sequence)));
  expect(verdicts).toEqual([
    "gap",
    "gap",
    "committed at 12",
    "committed at 13",
    "committed at 14",
    "committed at 15",
    "committed at 16",
  ]);
});

it("orders what comes after an uncommitted batch, and names that batch for its copies", () => {
  const states = new ProducerStates<string>();
  states.addTentative(batch(0, 0, 4), "first");
  states.addTentative(batch(0, 5), "second");
  expect(states.judge(batch(0, 0, 4))).toEqual({ type: "tentative", outcome: "first" });
  expect(states.judge(batch(0, 5))).toEqual({ type: "tentative", outcome: "second" });
  expect(verdict(states, batch(0, 6))).toBe("new");
  commit(states, batch(0, 0, 4), 7);
  expect(verdict(states, batch(0, 0, 4))).toBe("committed at 7");
});

it("wants a new epoch to begin at sequence 0 and refuses an older one", () => {
  const states = new ProducerStates<string>();
  commit(states, batch(3, 0, 9), 0);
  expect(verdict(states, batch(4, 10))).toBe("gap");
  expect(verdict(states, batch(2, 0))).toBe("old epoch");
  expect(verdict(states, batch(4, 0))).toBe("new");
  commit(states, batch(4, 0), 10);
  expect(verdict(states, batch(3, 0, 9))).toBe("old epoch");
});

it("wraps sequences from 2^31 - 1 to 0", () => {
  const states = new ProducerStates<string>();
  commit(states, batch(0, 0x7fff_fffe, 0x7fff_ffff), 0);
  expect(verdict(states, batch(0, 0))).toBe("new");
});

it("forgets producers idle for longer than the expiration, except those with batches under way", () => {
  const states = new ProducerStates<string>();
  for (const producerId of [1, 2, 3]) {
    states.commit({ ...batch(0, 0), producerId, baseOffset: 0, timestampMs: 0 }, producerId * 100);
  }
  states.addTentative(batch(0, 1), "under way");
  states.expire(1_250, 1_000);
  expect(states.snapshot().map(({ producerId }) => producerId)).toEqual([1, 3]);
  expect(states.changes().removed).toEqual([2]);
});

it("holds the same state when it is loaded from a snapshot plus the changes since", () => {
  const step = fc.record({ producerId: fc.nat(5), count: fc.integer({ min: 1, max: 3 }) });
  fc.assert(
    fc.property(fc.array(step), fc.array(step), (before, after) => {
      const states = new ProducerStates<string>();
      const next = new Map<number, number>();
      const apply = (steps: typeof before) => {
        for (const { producerId, count } of steps) {
          const first = next.get(producerId) ?? 0;
          next.set(producerId, first + count);
          const identity = { producerId, producerEpoch: 0, firstSequence: first, lastSequence: first + count - 1 };
          states.commit({ ...identity, baseOffset: first, timestampMs: 0 }, 0);
        }
      };
      apply(before);
      const stored = structuredClone(states.snapshot());
      states.resetChanges();
      apply(after);
      const { added, removed } = states.changes();
      const changed = new Set([...removed, ...added.map(({ producerId }) => producerId)]);
      const loaded = new ProducerStates<string>();
      loaded.load([...stored.filter(({ producerId }) => !changed.has(producerId)), ...added], 0);
      const byId = (list: typeof stored) => list.toSorted((a, b) => a.producerId - b.producerId);
      expect(byId(loaded.snapshot())).toEqual(byId(states.snapshot()));
    }),
  );
});
