// The bytes of requests, made by the mirror codecs, for tests that damage them before they are sent.
import { apiTable } from "../../generated/kafka/api-table.ts";
import { createRequestHeader, encodeRequestHeader } from "../../generated/testing/request-header.ts";
import { Reader } from "../../src/wire/reader.ts";
import { Writer } from "../../src/wire/writer.ts";
import type { ClientApi } from "../sim/kafka-client.ts";

/** What may be said of a request besides its message. */
export interface RequestFrameOptions {
  readonly correlationId?: number;
  readonly clientId?: string;
  /** Changes the message's bytes before they are framed. */
  readonly damage?: (body: Uint8Array) => Uint8Array;
  /** Unknown tagged fields of the header, as they lie on the wire, in place of none. */
  readonly headerTags?: Uint8Array;
}

/** A request as it goes over the wire, its size field included. */
export function frameOf<Request>(
  api: Omit<ClientApi<Request, unknown>, "version" | "decode">,
  version: number,
  message: Request,
  options: RequestFrameOptions = {},
): Uint8Array {
  const { correlationId = 1, clientId = "raw", damage = (body: Uint8Array) => body, headerTags } = options;
  const headerVersion = apiTable[api.apiKey]?.requestHeaderVersions[version] ?? 1;
  const header = { requestApiKey: api.apiKey, requestApiVersion: version, correlationId, clientId };
  const writer = new Writer();
  encodeRequestHeader(writer, createRequestHeader(header), headerVersion);
  let head = Buffer.concat(writer.finish());
  // The empty tag section is the last byte of a flexible header.
  if (headerTags) head = Buffer.concat([head.subarray(0, -1), headerTags]);
  api.encode(writer, message, version);
  return framed(Buffer.concat([head, damage(Buffer.concat(writer.finish()))]));
}

/** Bytes with their size before them. */
export function framed(bytes: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(4 + bytes.length);
  frame.writeInt32BE(bytes.length);
  frame.set(bytes, 4);
  return frame;
}

/** Reads an answer that has the header of `version`. */
export function answerOf<Response>(
  api: Pick<ClientApi<unknown, Response>, "decode"> & { readonly apiKey: number },
  version: number,
  frame: Uint8Array,
): { readonly correlationId: number; readonly response: Response } {
  const reader = new Reader(frame);
  const correlationId = reader.int32();
  if (apiTable[api.apiKey]?.responseHeaderVersions[version] === 1) reader.unknownTags();
  return { correlationId, response: api.decode(reader, version) };
}

/** An unsigned LEB128. */
export function uvarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** A section of `count` unknown tagged fields with `bytes` of payload in all, from tag 1000 on. */
export function tagSection(count: number, bytes = 0): Uint8Array {
  const parts: Uint8Array[] = [uvarint(count)];
  let rest = bytes;
  for (let index = 0; index < count; index++) {
    const length = index === count - 1 ? rest : Math.floor(bytes / count);
    rest -= length;
    parts.push(uvarint(1_000 + index), uvarint(length), new Uint8Array(length));
  }
  return Buffer.concat(parts);
}
