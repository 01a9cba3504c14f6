// What the tests of this room share: arbitrary records, rules that allow everything, and the code of a refusal.
import fc from "fast-check";
import { expect } from "vitest";
import type { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../../src/kafka-error.ts";
import { Compression } from "../../src/records/compression.ts";
import type { BatchRecord } from "../../src/records/encode-batch.ts";
import type { ProduceRules } from "../../src/records/validate.ts";

/** A time well within every bound. */
export const NOW_MS = 1_700_000_000_000;

/** Rules as of a topic that allows all a client may send at all. */
export const openRules: ProduceRules = {
  messageBytesMax: 100_000_000,
  requiresKeys: false,
  timestampType: "CreateTime",
  timestampBeforeMaxMs: Number.POSITIVE_INFINITY,
  timestampAfterMaxMs: Number.POSITIVE_INFINITY,
  nowMs: NOW_MS,
  allowZstd: true,
  fromClient: true,
};

/** Every codec by name. */
export const everyCodec = Object.entries(Compression);

const field = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null });
const header = fc.record({ key: fc.string({ maxLength: 8, unit: "grapheme" }), value: field });
const timestamp = fc.oneof(
  fc.constant(-1),
  fc.integer({ min: NOW_MS - 1e6, max: NOW_MS + 1e6 }),
  fc.nat({ max: 2 ** 50 }),
);

/** One record, without an offset. */
export const anyRecord: fc.Arbitrary<BatchRecord> = fc.record({
  timestampMs: timestamp,
  key: field,
  value: fc.oneof(field, fc.uint8Array({ minLength: 100, maxLength: 300 })),
  headers: fc.array(header, { maxLength: 3 }),
});

/** The records of one batch, at least one. */
export const anyRecords = fc.array(anyRecord, { minLength: 1, maxLength: 20 });

/** A few plain records. */
export function someRecords(count = 3): BatchRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    timestampMs: NOW_MS + index,
    key: Uint8Array.of(107, index & 0xff),
    value: new Uint8Array(20).fill(index & 0xff),
    headers: [],
  }));
}

/** The code `action` is refused with, undefined if it is not. Anything but a KafkaError fails the test. */
export function refusal(action: () => unknown): ErrorCode | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    expect(error.message.length).toBeGreaterThan(10);
    return error.code;
  }
}

/** Text that compresses about as well as records do. */
export function sampleText(length: number): Uint8Array {
  let text = "";
  for (let index = 0; text.length < length; index += 1) text += `{"id":${index},"user":"u${(index * 7919) % 1000}"},`;
  return new TextEncoder().encode(text.slice(0, length));
}
