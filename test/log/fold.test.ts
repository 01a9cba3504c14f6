// The fold of an internal partition: the newest value per key, and what changed since it was stored.
import fc from "fast-check";
import { expect, it } from "vitest";
import { Fold, type FoldChange } from "../../src/log/fold.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";

const change = fc.record({
  key: fc.uint8Array({ minLength: 1, maxLength: 1, max: 5 }),
  value: fc.option(fc.uint8Array({ maxLength: 3 }), { nil: null }),
});

function stateOf(fold: Fold): Record<string, string> {
  return Object.fromEntries([...fold.entries()].map(({ key, value }) => [String(key), String(value)]));
}

function plainState(changes: readonly FoldChange[]): Record<string, string> {
  const state = new Map<string, string>();
  for (const { key, value } of changes) {
    if (value === null) state.delete(String(key));
    else state.set(String(key), String(value));
  }
  return Object.fromEntries(state);
}

it("holds the newest value per key of the batches applied, and nothing of removed keys", () => {
  fc.assert(
    fc.property(fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { maxLength: 6 }), (batches) => {
      const fold = new Fold();
      for (const records of batches) fold.applyBatches(encodeBatch(records.map((r) => ({ ...r, timestampMs: 0 }))));
      expect(stateOf(fold)).toEqual(plainState(batches.flat()));
      const bytes = [...fold.entries()].reduce((sum, { key, value }) => sum + key.length + value.length, 0);
      expect(fold.bytes).toBe(bytes);
    }),
  );
});

it("is the stored state plus the changes told since", () => {
  fc.assert(
    fc.property(fc.array(change), fc.array(change), (before, after) => {
      const fold = new Fold();
      for (const one of before) fold.apply(one);
      const stored = [...fold.entries()];
      fold.resetChanges();
      for (const one of after) fold.apply(one);
      expect(plainState([...stored, ...fold.changes()])).toEqual(stateOf(fold));
    }),
  );
});
