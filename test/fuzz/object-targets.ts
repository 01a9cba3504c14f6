// The objects of the log: footers of WAL objects, indexes, sections and list blocks of checkpoints, segments and their
// indexes, the cluster id.
import { readFileSync } from "node:fs";
import { BlockKind } from "../../src/objects/block.ts";
import { decodeCheckpointIndex, decodeCheckpointTrailer } from "../../src/objects/checkpoint.ts";
import {
  decodeListBlock,
  encodeListBlock,
  foldList,
  pendingList,
  producerList,
  segmentList,
} from "../../src/objects/checkpoint-lists.ts";
import { decodeSection } from "../../src/objects/checkpoint-section.ts";
import { decodeClusterIdObject, encodeClusterIdObject } from "../../src/objects/cluster-id-object.ts";
import { FormatError } from "../../src/objects/format-error.ts";
import { TRAILER_BYTES } from "../../src/objects/object-tail.ts";
import { checkSegmentPart, decodeSegment } from "../../src/objects/segment.ts";
import { SegmentIndex } from "../../src/objects/segment-index.ts";
import { decodeWalFooter, decodeWalTrailer } from "../../src/objects/wal-object.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { address, examplePending, exampleProducers, exampleSegments } from "../objects/checkpoint-examples.ts";
import type { FuzzTarget } from "./fuzz-target.ts";

/** Room before the footer for every extent and block that it may name. */
const BODY_BYTES = 2 ** 31;
const refusals = [FormatError];

function golden(name: string): Uint8Array {
  const text = readFileSync(new URL(`../objects/golden/${name}.hex`, import.meta.url), "utf8");
  return new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

/** The checksum in the last four bytes. */
function repairChecksum(input: Uint8Array): Uint8Array {
  const bytes = input.slice();
  if (bytes.length < 4) return bytes;
  new DataView(bytes.buffer).setUint32(bytes.length - 4, crc32c(bytes.subarray(0, bytes.length - 4)));
  return bytes;
}

/** The announced length of what lies before the trailer, and the checksum. */
function repairTail(input: Uint8Array): Uint8Array {
  if (input.length < TRAILER_BYTES) return input;
  const bytes = input.slice();
  new DataView(bytes.buffer).setUint32(bytes.length - TRAILER_BYTES, bytes.length - TRAILER_BYTES);
  return repairChecksum(bytes);
}

/** The checksum of a segment's body, and both magics. */
function repairSegment(input: Uint8Array): Uint8Array {
  const bytes = input.slice();
  if (bytes.length < 48) return bytes;
  bytes.set(golden("segment-v1").subarray(0, 8));
  bytes.set(golden("segment-v1").subarray(-4), bytes.length - 4);
  new DataView(bytes.buffer).setUint32(bytes.length - 16, crc32c(bytes.subarray(32, bytes.length - 16)));
  return bytes;
}

/** The announced count of entries. */
function repairIndex(input: Uint8Array): Uint8Array {
  const bytes = input.slice(0, input.length - ((input.length - 16) % 12));
  if (bytes.length >= 16) new DataView(bytes.buffer).setInt32(6, (bytes.length - 16) / 12);
  return bytes;
}

function readTail<T>(
  input: Uint8Array,
  trailer: (tail: Uint8Array, objectBytes: number) => { position: number; length: number },
  body: (bytes: Uint8Array, objectBytes: number) => T,
): T {
  const objectBytes = BODY_BYTES + input.length;
  const { position, length } = trailer(input, objectBytes);
  // A body longer than the input would be read from the store first; there is none here.
  if (length > input.length) throw new FormatError("fuzz", "more is announced than there is");
  return body(input.subarray(position - BODY_BYTES), objectBytes);
}

/** The section of the golden checkpoint: its first block that is one. */
function goldenSections(): Uint8Array[] {
  const object = golden("checkpoint-v1");
  const range = decodeCheckpointTrailer(object, object.length);
  const { k, sections } = decodeCheckpointIndex(object.subarray(range.position), object.length);
  return sections
    .filter(({ ref }) => ref.k === k)
    .map(({ ref }) => object.subarray(ref.position, ref.position + ref.length));
}

/** How each kind of list block is read; any other block is a section. */
const lists = new Map<number, (input: Uint8Array) => unknown>([
  [BlockKind.PENDING, (input) => decodeListBlock(pendingList, input, address)],
  [BlockKind.PRODUCERS, (input) => decodeListBlock(producerList, input, address)],
  [BlockKind.FOLD, (input) => decodeListBlock(foldList, input, address)],
  [BlockKind.SEGMENTS, (input) => decodeListBlock(segmentList, input, address)],
]);

/** The targets of this file. */
export const objectTargets: readonly FuzzTarget[] = [
  {
    name: "wal-footer",
    seeds: () => [golden("wal-footer-v1")],
    run: (input) => void readTail(input, decodeWalTrailer, decodeWalFooter),
    refusals,
    repair: repairTail,
  },
  {
    name: "checkpoint-index",
    seeds: () => {
      const object = golden("checkpoint-v1");
      return [object.subarray(decodeCheckpointTrailer(object, object.length).position)];
    },
    run: (input) => void readTail(input, decodeCheckpointTrailer, decodeCheckpointIndex),
    refusals,
    repair: repairTail,
  },
  {
    name: "checkpoint-blocks",
    seeds: () => [
      ...goldenSections(),
      encodeListBlock(pendingList, address, examplePending),
      encodeListBlock(producerList, address, exampleProducers),
      encodeListBlock(foldList, address, [{ key: Uint8Array.of(1), value: Uint8Array.of(2, 3) }]),
      encodeListBlock(segmentList, address, exampleSegments),
    ],
    run: (input) => {
      const list = lists.get(input[0] ?? 0);
      if (list === undefined) decodeSection(input);
      else list(input);
    },
    refusals,
    repair: repairChecksum,
  },
  {
    name: "segment",
    seeds: () => [golden("segment-v1")],
    run: (input) => {
      const { batches, summary } = decodeSegment(input);
      checkSegmentPart(batches, { position: 32, baseOffset: summary.baseOffset });
    },
    refusals,
    repair: repairSegment,
  },
  {
    name: "segment-index",
    seeds: () => [golden("segment-index-v1")],
    run: (input) => void new SegmentIndex(input, { baseOffset: 42, endOffset: 145, bytes: 1_023 }).locate(100, 10),
    refusals,
    repair: repairIndex,
  },
  {
    name: "cluster-id",
    seeds: () => [encodeClusterIdObject({ clusterId: "AQIDBAUGBwgJCgsMDQ4PEA", generation: 3, revision: 9 })],
    run: (input) => void decodeClusterIdObject(input),
    refusals,
  },
];
