// The bytes of the journal: what each version wrote still opens or is refused by its number, and nothing crashes the
// reader.
import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  decodeJournal,
  encodeChanges,
  encodeJournal,
  JOURNAL_VERSION,
  JournalError,
} from "../../src/kv/journal-format.ts";
import type { KeyValue, WatchBatch } from "../../src/kv/key-value-store.ts";
import { crc32c } from "../../src/wire/crc32c.ts";

const prefix = "/kafscale/demo";

it("reads a journal that version 1 wrote", async () => {
  const { revision, entries, tornBytes } = decodeJournal(
    "v1",
    await readFile(new URL("fixtures/journal-v1.bin", import.meta.url)),
  );
  const rows = entries.map(({ key, value, createRevision, modRevision, lease }) => [
    key.slice(prefix.length),
    new TextDecoder().decode(value),
    createRevision,
    modRevision,
    lease !== undefined,
  ]);
  expect([revision, tornBytes]).toEqual([5, 0]);
  expect(rows.toSorted(([left], [right]) => (String(left) < String(right) ? -1 : 1))).toEqual([
    ["/cluster", "id", 2, 2, false],
    ["/h/1", "8", 4, 5, false],
    ["/s/1", "alive", 3, 3, true],
    ["/topics/orders", "\u0000\u0001bytes", 2, 2, false],
    ["/ü", "", 5, 5, false],
  ]);
});

it("has a fixture of every version up to the present one", async () => {
  for (let version = 1; version <= JOURNAL_VERSION; version++) {
    const bytes = await readFile(new URL(`fixtures/journal-v${version}.bin`, import.meta.url));
    expect(bytes.readUInt16BE(8)).toBe(version);
  }
});

it("refuses a version it does not know, by its number", () => {
  const bytes = Buffer.concat(encodeJournal(1, []));
  bytes.writeUInt16BE(2, 8);
  bytes.writeUInt32BE(crc32c(bytes.subarray(0, 12)), 12);
  expect(() => decodeJournal("/data/metadata.journal", bytes)).toThrow("/data/metadata.journal has format version 2");
});

it("gives back every state and change that it wrote", () => {
  fc.assert(
    fc.property(
      fc.array(anyEntry, { maxLength: 30 }),
      fc.array(fc.array(anyEntry, { maxLength: 4 }), { maxLength: 6 }),
      (state, batches) => {
        const entries = new Map(state.map((entry) => [entry.key, entry]));
        const changes = batches.map<WatchBatch>((batch, index) => {
          const revision = 1000 + index + 1;
          const events = [...new Map(batch.map((entry) => [entry.key, entry])).values()].map((entry, place) =>
            place % 3 === 2
              ? ({ type: "delete", key: entry.key, modRevision: revision } as const)
              : ({ type: "put", entry: { ...entry, modRevision: revision } } as const),
          );
          return { revision, events };
        });
        const bytes = Buffer.concat([
          ...encodeJournal(1000, [...entries.values()]),
          ...changes.flatMap((one) => encodeChanges([one])),
        ]);
        for (const { revision, events } of changes) {
          for (const event of events) {
            if (event.type === "delete") entries.delete(event.key);
            else {
              const createRevision = entries.get(event.entry.key)?.createRevision ?? revision;
              entries.set(event.entry.key, { ...event.entry, createRevision });
            }
          }
        }
        const decoded = decodeJournal("any", bytes);
        expect(decoded.revision).toBe(1000 + changes.length);
        expect(new Map(decoded.entries.map((entry) => [entry.key, entry]))).toEqual(entries);
      },
    ),
    { numRuns: 100 },
  );
});

it("meets any truncation and any flipped bit with a state or a JournalError", () => {
  const value = new Uint8Array([1, 2, 3]);
  const entry: KeyValue = { key: "k", value, createRevision: 2, modRevision: 2 };
  const change: WatchBatch = { revision: 3, events: [{ type: "put", entry: { ...entry, modRevision: 3 } }] };
  const whole = Buffer.concat([...encodeJournal(2, [entry]), ...encodeChanges([change])]);
  const attempt = (bytes: Uint8Array) => {
    try {
      return decodeJournal("any", bytes).revision;
    } catch (error) {
      return error instanceof JournalError ? "refused" : error;
    }
  };
  const outcomes = new Set<unknown>();
  for (let size = 0; size < whole.byteLength; size++) outcomes.add(attempt(whole.subarray(0, size)));
  for (let bit = 0; bit < whole.byteLength * 8; bit++) {
    const bytes = Uint8Array.from(whole);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    outcomes.add(attempt(bytes));
  }
  expect([...outcomes].map(String).sort()).toEqual(["2", "refused"]);
});

it("refuses frames that are whole but out of place, naming where", () => {
  const start = Buffer.concat(encodeJournal(5, []));
  const gap = Buffer.concat([start, ...encodeChanges([{ revision: 7, events: [] }])]);
  expect(() => decodeJournal("/j", gap)).toThrow(`/j makes no sense at byte ${start.byteLength}: revision 7 follows 5`);
  const twice = Buffer.concat([start, start.subarray(16)]);
  expect(() => decodeJournal("/j", twice)).toThrow("out of place");
});

const anyEntry = fc
  .record({
    key: fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" }),
    value: fc.uint8Array({ maxLength: 300 }),
    createRevision: fc.integer({ min: 2, max: 900 }),
    modRevision: fc.integer({ min: 900, max: 1000 }),
    isLeased: fc.boolean(),
  })
  .map<KeyValue>(({ isLeased, ...entry }) => ({ ...entry, ...(isLeased ? { lease: "0" } : {}) }));
