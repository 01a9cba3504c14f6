// Checkpoint objects: round trips through writer, index, sections and sub-blocks; golden bytes; refusal of damage.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CHECKPOINT_TRAILER_BYTES,
  CheckpointWriter,
  decodeCheckpointIndex,
  decodeCheckpointTrailer,
} from "../../src/objects/checkpoint.ts";
import {
  decodeListBlock,
  foldList,
  type PendingExtent,
  pendingList,
  producerList,
  segmentList,
} from "../../src/objects/checkpoint-lists.ts";
import { type CheckpointSection, decodeSection, emptyList } from "../../src/objects/checkpoint-section.ts";
import { FormatError } from "../../src/objects/format-error.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import {
  address,
  examplePending,
  exampleProducers,
  exampleSection,
  exampleSegments,
  exampleSegmentsV1,
  OLD_SESSION,
} from "./checkpoint-examples.ts";
import { damaged, golden, joined, oldGolden } from "./golden-bytes.ts";

/** A checkpoint with a block of each kind, a section that names them, and a row that refers to an earlier object. */
function exampleObject(): Uint8Array {
  const writer = new CheckpointWriter({ k: 5, n: 120 });
  const pending = writer.addPendingBlock(address, examplePending);
  const producers = writer.addProducerBlock(address, exampleProducers);
  const fold = writer.addFoldBlock(address, [{ key: new Uint8Array([1, 2]), value: new Uint8Array([3]) }]);
  const segments = writer.addSegmentBlock(address, exampleSegments);
  writer.addSection(exampleSection({ pending, producers, fold, segments }), { lowestPendingN: 12 });
  writer.addSectionReference({
    shard: 2,
    epoch: 3,
    ref: { k: 4, position: 10, length: 99 },
    lowestPendingN: undefined,
  });
  return joined(writer.finish());
}

function indexOf(object: Uint8Array) {
  const { position, length } = decodeCheckpointTrailer(object, object.length);
  return decodeCheckpointIndex(object.subarray(position, position + length), object.length);
}

describe("checkpoint", () => {
  it("gives back head, rows, sections and sub-blocks", () => {
    const object = exampleObject();
    const index = indexOf(object);
    expect({ k: index.k, n: index.n, shards: index.sections.map((row) => row.shard) }).toEqual({
      k: 5,
      n: 120,
      shards: [2, 1023],
    });
    expect(index.sections[0]?.ref).toEqual({ k: 4, position: 10, length: 99 });
    const row = index.sections[1];
    expect(row).toMatchObject({ epoch: 9, lowestPendingN: 12, ref: { k: 5 } });
    const at = row?.ref ?? { position: 0, length: 0 };
    const section = decodeSection(object.subarray(at.position, at.position + at.length));
    const [partition] = section.partitions;
    const blockOf = (stored: { position: number; length: number } | undefined) =>
      object.subarray(stored?.position, (stored?.position ?? 0) + (stored?.length ?? 0));
    expect(partition?.pending.stored?.upTo).toBe(120);
    expect(decodeListBlock(pendingList, blockOf(partition?.pending.stored), address)).toEqual(examplePending);
    expect(decodeListBlock(producerList, blockOf(partition?.producers.stored), address)).toEqual(exampleProducers);
    expect(decodeListBlock(foldList, blockOf(partition?.fold.stored), address)).toHaveLength(1);
    expect(decodeListBlock(segmentList, blockOf(partition?.segments.stored), address)).toEqual(exampleSegments);
    expect(section.dropped).toEqual(["p/topic/old.kfs"]);
  });

  it("has the golden bytes of the present versions of its blocks", () => {
    const object = exampleObject();
    const stored = golden("checkpoint-blocks-v2", object);
    expect(Buffer.from(object).toString("hex")).toBe(Buffer.from(stored).toString("hex"));
    expect(indexOf(stored).sections).toHaveLength(2);
  });

  it("reads sections and segment lists of version 1", () => {
    const object = oldGolden("checkpoint-v1");
    const { position, length } = indexOf(object).sections[1]?.ref ?? { position: 0, length: 0 };
    const section = decodeSection(object.subarray(position, position + length));
    const segments = section.partitions[0]?.segments;
    expect(segments?.added).toEqual(exampleSegmentsV1);
    const at = segments?.stored ?? { position: 0, length: 0 };
    const block = object.subarray(at.position, at.position + at.length);
    expect(decodeListBlock(segmentList, block, address)).toEqual(exampleSegmentsV1);
    const isSame = { ...section.partitions[0], segments: undefined };
    expect(isSame).toMatchObject({ ...address, logStart: 90, logEnd: 151, pendingFrom: 100 });
    expect(section.dropped).toEqual(["p/topic/old.kfs"]);
  });

  it("refuses every truncation and every flipped bit of an index", () => {
    const object = exampleObject();
    const { position } = decodeCheckpointTrailer(object, object.length);
    const index = object.slice(position);
    let count = 0;
    for (const damage of damaged(index)) {
      expect(() => decodeCheckpointIndex(damage.bytes, position + damage.bytes.length), damage.name).toThrow(
        FormatError,
      );
      count += 1;
    }
    expect(count).toBe(index.length * 10 - 1);
    expect(index.length).toBeGreaterThan(CHECKPOINT_TRAILER_BYTES);
  });

  it("refuses a row whose own section lies outside the object, or in a later one", () => {
    const writer = new CheckpointWriter({ k: 5, n: 1 });
    expect(() =>
      writer.addSectionReference({ shard: 1, epoch: 1, ref: { k: 5, position: 0, length: 1 }, lowestPendingN: 1 }),
    ).toThrow(/refers to checkpoint 5/);
    const object = exampleObject();
    const { position } = decodeCheckpointTrailer(object, object.length);
    expect(() => decodeCheckpointIndex(object.slice(position), object.length - position + 10)).toThrow(FormatError);
  });

  it("refuses two sections of one shard", () => {
    const writer = new CheckpointWriter({ k: 1, n: 0 });
    writer.addSection(exampleSection({}), { lowestPendingN: undefined });
    expect(() => writer.addSection(exampleSection({}), { lowestPendingN: undefined })).toThrow(/two sections/);
  });

  it("never throws anything but a FormatError for a wrong index under a right checksum", () => {
    const object = exampleObject();
    const { position } = decodeCheckpointTrailer(object, object.length);
    const valid = object.slice(position);
    fc.assert(
      fc.property(fc.nat(valid.length - CHECKPOINT_TRAILER_BYTES - 1), fc.nat(255), (at, byte) => {
        const bytes = valid.slice();
        bytes[at] = byte;
        new DataView(bytes.buffer).setUint32(bytes.length - 4, crc32c(bytes.subarray(0, bytes.length - 4)));
        try {
          const index = decodeCheckpointIndex(bytes, object.length);
          expect(index.sections.every(({ ref }) => ref.k < index.k || ref.position + ref.length <= position)).toBe(
            true,
          );
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("checkpoint section", () => {
  it("without partitions is a few bytes", () => {
    const writer = new CheckpointWriter({ k: 1, n: 0 });
    const section: CheckpointSection = { shard: 7, epoch: 1, covers: [], partitions: [], dropped: [] };
    expect(writer.addSection(section, { lowestPendingN: undefined }).length).toBeLessThan(16);
  });

  it("of ten thousand pending extents with one new one takes as much as the new one", () => {
    const many = Array.from(
      { length: 10_000 },
      (_, index): PendingExtent => ({
        ...(examplePending[0] as PendingExtent),
        sessionId: OLD_SESSION,
        n: index + 1,
        baseOffset: index * 20,
        offsetCount: 20,
      }),
    );
    const first = new CheckpointWriter({ k: 1, n: 10_000 });
    const stored = first.addPendingBlock(address, many);
    const second = new CheckpointWriter({ k: 2, n: 10_001 });
    const section = exampleSection({});
    const [partition] = section.partitions;
    const added = { ...(many[0] as PendingExtent), n: 10_001, baseOffset: 200_000 };
    const changed = { ...partition, pending: { stored, removed: [], added: [added] }, producers: emptyList };
    const ref = second.addSection(
      { ...section, partitions: [changed as CheckpointSection["partitions"][number]] },
      { lowestPendingN: 1 },
    );
    expect(stored.length).toBeLessThan(25 * many.length);
    expect(ref.length).toBeLessThan(300);
  });
});
