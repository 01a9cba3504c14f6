// The pace of consumers who catch up: how much they are given in a second, alone and beside producers.
import { describe, expect, it } from "vitest";
import { CatchUpPace, type CatchUpPaceSettings } from "../../src/log/catch-up-pace.ts";
import { SimClock } from "../sim/sim-clock.ts";

const signal = new AbortController().signal;
const settings = { bytesPerSecond: 100_000, bytesPerSecondBesideProducers: 10_000 };

function paceOf(over: Partial<CatchUpPaceSettings> = {}) {
  const clock = new SimClock({ seed: "pace" });
  let produced = 0;
  const pace = new CatchUpPace({ clock, settings: { ...settings, ...over }, producedBytes: () => produced });
  const produce = (bytes: number) => {
    produced += bytes;
  };
  /** Reads on for a while beside whatever is produced in every tenth of a second; gives bytes a second. */
  const rateOver = async (seconds: number, producedPerSecond = 0) => {
    const endMs = clock.monotonicMs() + seconds * 1_000;
    let bytes = 0;
    const reading = (async () => {
      while (clock.monotonicMs() < endMs) {
        await pace.awaitTurn(500, signal);
        bytes += 500;
      }
    })();
    while (clock.monotonicMs() < endMs) {
      produce(producedPerSecond / 10);
      await clock.advance(100);
    }
    await clock.complete(reading);
    return bytes / seconds;
  };
  return { clock, pace, produce, rateOver };
}

describe("the pace of catching up", () => {
  it("is the full one while nobody produces", async () => {
    const { rateOver } = paceOf();
    expect((await rateOver(10)) / settings.bytesPerSecond).toBeCloseTo(1, 1);
  });

  it("falls for as long as somebody produces, and for two seconds more at most", async () => {
    const { clock, rateOver } = paceOf();
    await rateOver(2, 100);
    expect((await rateOver(10, 100)) / settings.bytesPerSecondBesideProducers).toBeCloseTo(1, 1);
    await clock.advance(2_000);
    await rateOver(1);
    expect((await rateOver(10)) / settings.bytesPerSecond).toBeCloseTo(1, 1);
  });

  it("is twice that of producers where that is more, so that who lags behind gets nearer", async () => {
    const { rateOver } = paceOf();
    await rateOver(2, 20_000);
    const rate = await rateOver(10, 20_000);
    expect(rate).toBeGreaterThan(35_000);
    expect(rate).toBeLessThan(45_000);
  });

  it("is never above the full one", async () => {
    const { rateOver } = paceOf();
    await rateOver(2, 300_000);
    expect(await rateOver(10, 300_000)).toBeLessThan(1.1 * settings.bytesPerSecond);
  });

  it("is not lowered where the lower one is 0", async () => {
    const { rateOver } = paceOf({ bytesPerSecondBesideProducers: 0 });
    await rateOver(2, 100);
    expect((await rateOver(10, 100)) / settings.bytesPerSecond).toBeCloseTo(1, 1);
  });

  it("waits for nothing where both are 0", async () => {
    const { clock, pace, produce } = paceOf({ bytesPerSecond: 0, bytesPerSecondBesideProducers: 0 });
    produce(1_000);
    await pace.awaitTurn(1e9, signal);
    await pace.awaitTurn(1e9, signal);
    expect(clock.monotonicMs()).toBe(0);
  });

  it("counts what came, not what was asked for", async () => {
    const { clock, pace } = paceOf();
    for (let index = 0; index < 11; index++) {
      await clock.complete(pace.awaitTurn(100_000, signal));
      pace.refund(90_000);
    }
    expect(clock.monotonicMs()).toBeCloseTo(1_000, -1);
  });

  it("ends a wait with its signal", async () => {
    const { pace } = paceOf();
    const ending = new AbortController();
    await pace.awaitTurn(100_000, signal);
    const waiting = pace.awaitTurn(1, ending.signal);
    ending.abort(new Error("the reader left"));
    await expect(waiting).rejects.toThrow("the reader left");
  });
});
