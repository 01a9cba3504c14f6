// The header of a request: who asks for what, at which version. Only as much is decoded as says how to decode the rest.
import type { Reader } from "../wire/reader.ts";

/** The first four bytes of every request. */
export interface RequestRoute {
  readonly apiKey: number;
  readonly apiVersion: number;
}

/** What follows them. */
export interface RequestOrigin {
  readonly correlationId: number;
  /** "" when the client sent none: Kafka makes no difference. */
  readonly clientId: string;
}

/** Reads API key and version. @throws DecodeError */
export function readRoute(reader: Reader): RequestRoute {
  return { apiKey: reader.int16(), apiVersion: reader.int16() };
}

/**
 * Reads the rest of a header of `headerVersion` 0, 1 or 2. The client id keeps its int16 length in version 2 too, which
 * is why any broker can read it. @throws DecodeError
 */
export function readOrigin(reader: Reader, headerVersion: number): RequestOrigin {
  const correlationId = reader.int32();
  const clientId = headerVersion >= 1 ? (reader.nullableString() ?? "") : "";
  if (headerVersion >= 2) reader.unknownTags();
  return { correlationId, clientId };
}
