// The keys of an embedded store: their order is that of their bytes, and they are what a plain map would hold.
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Operation } from "../../src/kv/key-value-store.ts";
import { compareKeys, Keyspace } from "../../src/kv/keyspace.ts";

it("orders keys by their UTF-8 bytes", () => {
  const anyKey = fc.string({ unit: "binary", maxLength: 6 });
  fc.assert(
    fc.property(anyKey, anyKey, (left, right) => {
      expect(Math.sign(compareKeys(left, right))).toBe(
        Math.sign(Buffer.compare(Buffer.from(left), Buffer.from(right))),
      );
    }),
    { numRuns: 2000 },
  );
});

it("holds what a plain map would, whatever is done to it", () => {
  const anyKey = fc.constantFrom("a", "a/1", "a/2", "b", "b/1", "c");
  const anyOperation = fc.oneof(
    fc.record({ type: fc.constant("put" as const), key: anyKey, value: fc.uint8Array({ maxLength: 2 }) }),
    fc.record({
      type: fc.constant("put" as const),
      key: anyKey,
      value: fc.uint8Array({ maxLength: 2 }),
      lease: fc.constantFrom("1", "2"),
    }),
    fc.record({ type: fc.constant("delete" as const), key: anyKey }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.uniqueArray(anyOperation, { maxLength: 4, selector: ({ key }) => key }), { maxLength: 30 }),
      (txns) => {
        const keyspace = new Keyspace();
        const model = new Map<string, { operation: Operation & { type: "put" }; modRevision: number }>();
        for (const operations of txns) {
          const before = keyspace.revision;
          const { change } = keyspace.apply({ compare: [], then: operations });
          const isChanged = operations.some(({ type, key }) => type === "put" || model.has(key));
          expect(keyspace.revision).toBe(before + (isChanged ? 1 : 0));
          expect(change?.revision).toBe(isChanged ? before + 1 : undefined);
          for (const operation of operations) {
            if (operation.type === "put") model.set(operation.key, { operation, modRevision: keyspace.revision });
            else model.delete(operation.key);
          }
          const expected = [...model].sort(([left], [right]) => compareKeys(left, right));
          expect(keyspace.range("").map(({ key, value, modRevision }) => [key, value, modRevision])).toEqual(
            expected.map(([key, { operation, modRevision }]) => [key, operation.value, modRevision]),
          );
          for (const lease of ["1", "2"]) {
            expect(keyspace.keysOf(lease)).toEqual(
              expected.flatMap(([key, { operation }]) => (operation.lease === lease ? [key] : [])),
            );
          }
        }
        keyspace.deleteAll(keyspace.keysOf("1"));
        expect(keyspace.keysOf("1")).toEqual([]);
        expect(keyspace.size).toBe(keyspace.range("").length);
      },
    ),
    { numRuns: 200 },
  );
});
