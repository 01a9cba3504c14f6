// The walk over records: positions, and refusal of parts that do not fill their record.
import { describe, expect, it } from "vitest";
import { RecordCursor } from "../../src/records/record-cursor.ts";
import { DecodeError } from "../../src/wire/decode-error.ts";

/** Length 10; attributes, time +1, offset +1, key "k", value null, one header "h" without value. */
const record = Uint8Array.of(20, 0, 2, 2, 2, 107, 1, 2, 2, 104, 1);

describe("RecordCursor", () => {
  it("stands on the parts of a record", () => {
    const cursor = new RecordCursor(record);
    expect(cursor.isAtEnd).toBe(false);
    cursor.next();
    const { index, timestampDelta, offsetDelta, headerCount } = cursor;
    expect({ index, timestampDelta, offsetDelta, headerCount }).toEqual({
      index: 0,
      timestampDelta: 1,
      offsetDelta: 1,
      headerCount: 1,
    });
    expect([cursor.key(), cursor.value(), cursor.isAtEnd]).toEqual([Uint8Array.of(107), null, true]);
    expect(() => cursor.next()).toThrow(DecodeError);
  });

  it.each([
    ["a length one too small", 0, 18],
    ["a length one too large", 0, 22],
    ["a negative length", 0, 19],
    ["a key longer than the record", 4, 40],
    ["a negative count of headers", 7, 1],
    ["more headers than bytes", 7, 100],
    ["a header key of negative length", 8, 1],
  ])("refuses %s", (_, at, value) => {
    const damaged = record.slice();
    damaged[at] = value;
    expect(() => new RecordCursor(damaged).next()).toThrow(DecodeError);
  });
});
