// Requests of every API and version with their headers, records of internal topics, and the splitting of frames.
import * as fc from "fast-check";
import { apiTable } from "../../generated/kafka/api-table.ts";
import { messageCodecs } from "../../generated/testing/messages.ts";
import { FrameError, FrameSplitter } from "../../src/kafka/frame.ts";
import { readOrigin, readRoute } from "../../src/kafka/request.ts";
import { DecodeError } from "../../src/wire/decode-error.ts";
import { Reader } from "../../src/wire/reader.ts";
import { Writer } from "../../src/wire/writer.ts";
import type { SimRandom } from "../sim/sim-random.ts";
import type { FuzzTarget } from "./fuzz-target.ts";

const SAMPLES = 2;
const FRAME_BYTES_MAX = 1024;

type MessageCodec = (typeof messageCodecs)[number];

const requests = messageCodecs.filter(({ kind }) => kind === "request");
/** What the broker reads back from its log, and what members of groups send it as bytes. */
const stored = messageCodecs.filter(({ kind }) => kind.startsWith("coordinator") || kind === "data");

/** Arbitrary messages of every version, each behind the bytes that `writeHead` puts before it. */
function samples(
  codecs: readonly MessageCodec[],
  random: SimRandom,
  writeHead: (writer: Writer, codec: MessageCodec, version: number) => void,
): Uint8Array[] {
  const inputs: Uint8Array[] = [];
  for (const codec of codecs) {
    for (const version of codec.versions) {
      const seed = Math.floor(random.uniform() * 2 ** 31);
      for (const message of fc.sample(codec.arbitrary(version), { seed, numRuns: SAMPLES })) {
        const writer = new Writer();
        writeHead(writer, codec, version);
        codec.encode(writer, message as never, version);
        inputs.push(Buffer.concat(writer.finish()));
      }
    }
  }
  return inputs;
}

function writeRequestHeader(writer: Writer, { apiKey }: MessageCodec, version: number): void {
  const headerVersion = apiTable[apiKey ?? -1]?.requestHeaderVersions[version] ?? 2;
  writer.int16(apiKey ?? -1);
  writer.int16(version);
  writer.int32(4711);
  if (headerVersion >= 1) writer.nullableString("fuzz");
  if (headerVersion >= 2) writer.unknownTags([{ tag: 1, bytes: Uint8Array.of(1, 2) }]);
}

function readRequest(input: Uint8Array): void {
  const reader = new Reader(input);
  const { apiKey, apiVersion } = readRoute(reader);
  const entry = apiTable[apiKey];
  const decode = entry?.decodeRequest[apiVersion];
  if (entry === undefined || decode === undefined) return;
  readOrigin(reader, entry.requestHeaderVersions[apiVersion] as number);
  decode(reader);
  if (reader.position > reader.end) throw new Error(`read to ${reader.position} of ${reader.end}`);
}

/** The first byte chooses the message, the second its version. */
function readStored(input: Uint8Array): void {
  const codec = stored[(input[0] ?? 0) % stored.length] as MessageCodec;
  const version = codec.versions[(input[1] ?? 0) % codec.versions.length];
  if (version === undefined || input.length < 2) return;
  codec.decode(new Reader(input, 2), version);
}

/** Cuts the stream into chunks, whose lengths follow from its bytes, and checks that nothing is lost or invented. */
function splitFrames(input: Uint8Array): void {
  const splitter = new FrameSplitter(FRAME_BYTES_MAX);
  let framed = 0;
  for (let start = 0; start < input.length; ) {
    const end = Math.min(input.length, start + 1 + ((input[start] as number) % 40));
    for (const frame of splitter.split(input.subarray(start, end))) {
      const body = input.subarray(framed + 4, framed + 4 + frame.length);
      if (Buffer.compare(frame, body) !== 0) throw new Error(`the frame at byte ${framed} is not what was sent`);
      framed += 4 + frame.length;
    }
    start = end;
    if (framed + splitter.incompleteBytes !== end) throw new Error(`bytes are missing at ${end}`);
  }
}

function frames(): Uint8Array[] {
  return [8, 40, FRAME_BYTES_MAX].map((length) => {
    const frame = new Uint8Array(4 + length).fill(7, 4);
    new DataView(frame.buffer).setInt32(0, length);
    return Buffer.concat([frame, frame, frame.subarray(0, 7)]);
  });
}

/** The targets of this file. */
export const protocolTargets: readonly FuzzTarget[] = [
  {
    name: "requests",
    seeds: (random) => samples(requests, random, writeRequestHeader),
    run: readRequest,
    refusals: [DecodeError],
  },
  {
    name: "stored-messages",
    seeds: (random) =>
      samples(stored, random, (writer, codec, version) => {
        writer.int8((stored.indexOf(codec) << 24) >> 24);
        writer.int8(codec.versions.indexOf(version));
      }),
    run: readStored,
    refusals: [DecodeError],
  },
  { name: "frames", seeds: frames, run: splitFrames, refusals: [FrameError] },
];
