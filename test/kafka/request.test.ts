// Headers of requests in their three versions.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRequestHeader, encodeRequestHeader } from "../../generated/testing/request-header.ts";
import { readOrigin, readRoute } from "../../src/kafka/request.ts";
import { DecodeError } from "../../src/wire/decode-error.ts";
import { Reader } from "../../src/wire/reader.ts";
import { Writer } from "../../src/wire/writer.ts";

const correlationId = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });

describe("request headers", () => {
  it("of versions 1 and 2 read back what the mirror codec wrote, null as an empty client id", () => {
    const header = fc.record({
      version: fc.constantFrom(1, 2),
      requestApiKey: fc.integer({ min: -0x8000, max: 0x7fff }),
      requestApiVersion: fc.integer({ min: -0x8000, max: 0x7fff }),
      correlationId,
      clientId: fc.option(fc.string({ maxLength: 300, unit: "grapheme" })),
    });
    fc.assert(
      fc.property(header, ({ version, ...fields }) => {
        const writer = new Writer();
        encodeRequestHeader(writer, createRequestHeader(fields), version);
        const reader = new Reader(Buffer.concat(writer.finish()));
        expect(readRoute(reader)).toEqual({ apiKey: fields.requestApiKey, apiVersion: fields.requestApiVersion });
        const origin = readOrigin(reader, version);
        expect(origin).toEqual({ correlationId: fields.correlationId, clientId: fields.clientId ?? "" });
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it("of version 0 have no client id", () => {
    const reader = new Reader(Uint8Array.from([0, 7, 0, 0, 0, 0, 0, 5, 99]));
    expect(readRoute(reader)).toEqual({ apiKey: 7, apiVersion: 0 });
    expect(readOrigin(reader, 0)).toEqual({ correlationId: 5, clientId: "" });
    expect(reader.remaining).toBe(1);
  });

  it("that announce more than there is are refused without being allocated", () => {
    const announced = [
      [0, 0, 0, 1, 0x7f, 0xff, 1, 2],
      [0, 0, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x07],
    ];
    for (const [index, bytes] of announced.entries()) {
      expect(() => readOrigin(new Reader(Uint8Array.from(bytes)), index + 1)).toThrow(DecodeError);
    }
  });
});
