import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameJoiner } from "./frame-joiner.ts";

describe("joining frames", () => {
  it("gives the frames that were sent, wherever the stream was cut", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), fc.array(fc.nat(30)), (frames, cuts) => {
        const stream = Buffer.concat(
          frames.flatMap((frame) => {
            const size = Buffer.alloc(4);
            size.writeInt32BE(frame.length);
            return [size, frame];
          }),
        );
        const joiner = new FrameJoiner();
        const joined: Uint8Array[] = [];
        let position = 0;
        for (const cut of [...cuts, stream.length]) {
          joined.push(...joiner.push(stream.subarray(position, position + cut)));
          position = Math.min(stream.length, position + cut);
        }
        expect(joined.map((frame) => [...frame])).toEqual(frames.map((frame) => [...frame]));
      }),
    );
  });
});
