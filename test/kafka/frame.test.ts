// The frame splitter against a straight reference, over arbitrary chunking and hostile sizes.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameError, FrameSplitter } from "../../src/kafka/frame.ts";

function framed(bodies: readonly Uint8Array[]): Uint8Array {
  const total = bodies.reduce((sum, body) => sum + 4 + body.length, 0);
  const stream = new Uint8Array(total);
  const view = new DataView(stream.buffer);
  let position = 0;
  for (const body of bodies) {
    view.setInt32(position, body.length);
    stream.set(body, position + 4);
    position += 4 + body.length;
  }
  return stream;
}

function sizeField(size: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, size);
  return bytes;
}

/** Feeds `stream` cut at `cuts`, overwriting each chunk afterwards as a transport that reuses its buffer does. */
function feed(splitter: FrameSplitter, stream: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let start = 0;
  for (const end of [...cuts, stream.length]) {
    const chunk = Buffer.from(stream.subarray(start, end));
    for (const frame of splitter.split(chunk)) frames.push(frame);
    chunk.fill(0xee);
    start = end;
  }
  return frames;
}

describe("frame splitter", () => {
  it("gives the same frames for every chunking, in memory of their own", () => {
    const bodies = fc.array(fc.uint8Array({ minLength: 8, maxLength: 300 }), { maxLength: 12 });
    const scenario = bodies.chain((list) => {
      const length = framed(list).length;
      return fc.tuple(fc.constant(list), fc.array(fc.integer({ min: 0, max: length }), { maxLength: 40 }));
    });
    fc.assert(
      fc.property(scenario, ([list, cuts]) => {
        const splitter = new FrameSplitter(1_000);
        const frames = feed(
          splitter,
          framed(list),
          [...cuts].sort((a, b) => a - b),
        );
        expect(frames.map((frame) => Buffer.from(frame))).toEqual(list.map((body) => Buffer.from(body)));
        expect(splitter.incompleteBytes).toBe(0);
      }),
    );
  });

  it("assembles a frame of many slabs byte for byte", () => {
    const body = Uint8Array.from({ length: 700_001 }, (_, index) => (index * 31) & 0xff);
    for (const step of [1_000, 65_536, 65_537, 300_000]) {
      const cuts = Array.from({ length: Math.floor(body.length / step) }, (_, index) => (index + 1) * step);
      const frames = feed(new FrameSplitter(1 << 20), framed([body, body]), cuts);
      expect(frames.map((frame) => Buffer.compare(frame, body))).toEqual([0, 0]);
    }
  });

  it.each([-1, 0, 7, 1_001, 0x7fff_ffff, -0x8000_0000])(
    "refuses a size of %i before a byte of the body came",
    (size) => {
      const splitter = new FrameSplitter(1_000);
      expect(() => [...splitter.split(sizeField(size))]).toThrow(FrameError);
    },
  );

  it("accepts a frame at the limit and one of the smallest size", () => {
    const list = [new Uint8Array(1_000).fill(1), new Uint8Array(8).fill(2)];
    expect(feed(new FrameSplitter(1_000), framed(list), [3, 5])).toEqual(list);
  });

  it("holds nothing for an announced size, and little more than what arrived", () => {
    const before = process.memoryUsage().arrayBuffers;
    const splitters = Array.from({ length: 1_000 }, () => new FrameSplitter(100 * 1024 * 1024));
    for (const splitter of splitters) {
      expect([...splitter.split(sizeField(100 * 1024 * 1024))]).toEqual([]);
      expect([...splitter.split(new Uint8Array(1))]).toEqual([]);
      expect(splitter.incompleteBytes).toBe(5);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });
});
