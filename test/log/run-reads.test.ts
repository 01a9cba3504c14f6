// Stretches of segments fetched in runs: few GETs, each stretch kept by itself, nothing that was not accepted.
import { describe, expect, it } from "vitest";
import { longLivedController } from "../../src/host/abort.ts";
import { ByteBudget } from "../../src/host/byte-budget.ts";
import type { Held } from "../../src/log/chunk-cache.ts";
import { KeptReads } from "../../src/log/kept-reads.ts";
import { RunReads } from "../../src/log/run-reads.ts";
import type { Run, Stretch } from "../../src/log/stretch.ts";
import { FormatError } from "../../src/objects/format-error.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { sampleSegment } from "./sample-segments.ts";
import { type GetFate, SlowStore } from "./slow-store.ts";

const signal = longLivedController().signal;
const BYTES = 100;

/** Objects of twenty stretches of 100 bytes, all in one run; a byte tells the stretch it belongs to. */
async function worldOf({ cacheBytes = 1e6, bytesMin = 300, fateOf }: Partial<Options> = {}) {
  const clock = new SimClock({ seed: "runs" });
  const store = new SlowStore(clock, fateOf);
  for (const key of ["a", "b"]) {
    const object = Uint8Array.from({ length: 20 * BYTES }, (_, at) => Math.floor(at / BYTES));
    await store.put(key, [object], { ifAbsent: true, signal });
  }
  const budget = new ByteBudget(5_000);
  const kept = new KeptReads<Held>(cacheBytes);
  const get = (key: string, range: { start: number; length: number }) => store.get(key, { range, signal });
  const accepts = ({ baseOffset, length }: Stretch, bytes: Uint8Array) =>
    bytes.length === length && bytes.every((byte) => byte === baseOffset);
  const reads = new RunReads({ get, clock, budget, kept, bytesMin, accepts });
  const read = (stretch: Stretch | undefined) => {
    if (!stretch) throw new Error("no such stretch");
    return clock.complete(reads.read(stretch));
  };
  const asked = () => store.ranges.map(({ key, start, length }) => `${key} ${start}+${length}`);
  return { clock, store, budget, kept, reads, read, asked };
}

interface Options {
  readonly cacheBytes: number;
  readonly bytesMin: number;
  readonly fateOf: (nth: number) => GetFate;
}

function stretchesOf(key: string): readonly Stretch[] {
  const stretches: Stretch[] = [];
  const segment = sampleSegment(key, 0, [1]).entry;
  const run: Run = { key, position: 0, length: 20 * BYTES, baseOffset: 0, endOffset: 20, stretches, segment };
  for (let n = 0; n < 20; n++) {
    stretches.push({
      key,
      position: n * BYTES,
      length: BYTES,
      crc32c: undefined,
      baseOffset: n,
      endOffset: n + 1,
      run,
    });
  }
  return stretches;
}

describe("a stretch of a run", () => {
  it("costs one GET together with those after it, however many ask for however many of them", async () => {
    const { clock, reads, read, asked } = await worldOf();
    const stretches = stretchesOf("a");
    const found = await clock.complete(Promise.all(stretches.map((stretch) => reads.read(stretch))));
    expect(found.map((bytes) => bytes[7])).toEqual(stretches.map((_, n) => n));
    for (const stretch of stretches) expect((await read(stretch))[0]).toBe(stretch.baseOffset);
    expect(asked()).toEqual(["a 0+2000"]);
  });

  it("is checked in a turn of its own, however many come together", async () => {
    const { clock, read, asked } = await worldOf();
    const firedBefore = clock.firedCount;
    await read(stretchesOf("a")[0]);
    expect(asked()).toEqual(["a 0+2000"]);
    expect(clock.firedCount - firedBefore).toBeGreaterThanOrEqual(19);
  });

  it("keeps no other in memory, and leaves it alone", async () => {
    const { kept, reads, read } = await worldOf({ cacheBytes: 2_000 });
    const [first, second] = stretchesOf("a");
    expect((await read(first)).buffer.byteLength).toBe(BYTES);
    if (!first || !second) throw new Error("there are two");
    reads.noteDone(first);
    kept.set("other", { bytes: new Uint8Array(BYTES) }, "many");
    expect([reads.isAtHand(first), reads.isAtHand(second), kept.bytes]).toEqual([false, true, 2_000]);
  });

  it("is fetched from there on, up to what is at hand", async () => {
    const { read, asked } = await worldOf();
    const stretches = stretchesOf("a");
    for (const n of [15, 3, 4, 0]) await read(stretches[n]);
    expect(asked()).toEqual(["a 1500+500", "a 300+1200", "a 0+300"]);
  });

  it("comes with no more than there is room for beside what waits for its reader, and a bite at least", async () => {
    const { clock, reads, read, asked, kept } = await worldOf({ cacheBytes: 2_500 });
    const [a, b] = [stretchesOf("a"), stretchesOf("b")];
    const firsts = [a, b].flatMap((stretches) => stretches.slice(0, 1));
    await clock.complete(Promise.all(firsts.map((first) => reads.read(first))));
    expect(asked()).toEqual(["a 0+2000", "b 0+500"]);
    await read(b[5]);
    expect(asked()[2]).toBe("b 500+300");
    expect(kept.bytes).toBe(2_500);
    for (const stretch of a) reads.noteDone(stretch);
    await read(b[8]);
    expect(asked()[3]).toBe("b 800+1200");
  });

  it("is a part of a GET of whole bytes, whatever the shares of the room come to", async () => {
    const { reads, kept } = await worldOf({ cacheBytes: 1_001, bytesMin: 0.25 });
    kept.set("shared", { bytes: new Uint8Array(500) }, "many");
    expect(reads.bytesFor(2_000)).toBe(751);
    kept.set("waiting", { bytes: new Uint8Array(1_001) }, "next");
    expect(reads.bytesFor(2_000)).toBe(1);
  });

  it("comes in whole runs again, some time after those left who had most of the room for what they did not read", async () => {
    const { reads, read, kept, store } = await worldOf({ cacheBytes: 2_000, bytesMin: 300 });
    const [first] = stretchesOf("a");
    await read(first);
    expect(kept.bytes).toBe(2_000);
    const stretches = stretchesOf("b");
    for (let round = 0; round < 20; round++) {
      for (const stretch of stretches) {
        await read(stretch);
        reads.noteDone(stretch);
      }
      for (const { key, position, length } of stretches) kept.delete(`${key}@${position}+${length}`);
    }
    expect(store.ranges.at(-1)?.length).toBe(2_000);
  });

  it("that is not accepted fails who asks for it alone, and is fetched anew by the next", async () => {
    const { store, clock, reads, read, asked } = await worldOf();
    const object = Uint8Array.from({ length: 20 * BYTES }, (_, at) => Math.floor(at / BYTES));
    object[250] = 99;
    await store.put("a", [object], { ifAbsent: false, signal });
    const stretches = stretchesOf("a").slice(0, 4);
    const ended = await clock.complete(Promise.allSettled(stretches.map((stretch) => reads.read(stretch))));
    expect(ended.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    await expect(read(stretches[2])).rejects.toThrow(FormatError);
    object[250] = 2;
    await store.put("a", [object], { ifAbsent: false, signal });
    expect((await read(stretches[2]))[50]).toBe(2);
    expect(asked()).toEqual(["a 0+2000", "a 200+100", "a 200+100"]);
  });

  it("fails all who wait for a GET that fails, once, and every byte of the budget comes back", async () => {
    const { clock, reads, read, asked, budget } = await worldOf({ fateOf: (nth) => ({ ms: 10, fails: nth === 0 }) });
    const stretches = stretchesOf("a");
    const ended = await clock.complete(Promise.allSettled(stretches.map((stretch) => reads.read(stretch))));
    expect(new Set(ended.map(({ status }) => status))).toEqual(new Set(["rejected"]));
    expect([asked().length, budget.taken, reads.roomBytes]).toEqual([1, 0, 1e6]);
    expect((await read(stretches[19]))[0]).toBe(19);
  });
});
