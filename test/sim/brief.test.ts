import fc from "fast-check";
import { expect, it } from "vitest";
import { brief, withChunks } from "./brief.ts";
import { SimRandom } from "./sim-random.ts";
import { drawSwarm } from "./swarm.ts";

const swarms = fc.string().map((seed) => drawSwarm(new SimRandom(seed)));

it("has the faults of the long schedule and no others", () => {
  fc.assert(
    fc.property(swarms, (long) => {
      const short = brief(long);
      expect(short.storeRates).toEqual(long.storeRates);
      expect(short.kvRates).toEqual(long.kvRates);
      for (const [name, ms] of Object.entries(long.environment)) {
        if (typeof ms === "number")
          expect(Math.sign(short.environment[name as "crashEveryMs"]), name).toBe(Math.sign(ms));
      }
    }),
  );
});

it("lasts a few seconds, in which a fault that exists may come as often", () => {
  fc.assert(
    fc.property(swarms, (long) => {
      const short = brief(long);
      expect(short.faultPhaseMs).toBeLessThan(10_000);
      const timesOf = ({ faultPhaseMs, environment }: typeof long) => faultPhaseMs / environment.crashEveryMs;
      if (long.environment.crashEveryMs > 0) expect(timesOf(short)).toBeCloseTo(timesOf(long));
    }),
  );
});

it("reads as from a bucket in about every second one, and differs in nothing else but the tail", () => {
  let chunkedCount = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const whole = brief(drawSwarm(new SimRandom(`${seed}`)));
    const { broker, ...rest } = withChunks(whole, new SimRandom(`${seed}`).split("chunks"));
    const { coldReads, tailBytes } = whole.broker;
    expect({ ...rest, broker: { ...broker, coldReads, tailBytes } }).toEqual(whole);
    if (broker.coldReads.chunkBytes > 0) chunkedCount++;
    else expect(broker.tailBytes).toBe(tailBytes);
  }
  expect(chunkedCount).toBeGreaterThan(70);
  expect(chunkedCount).toBeLessThan(130);
});
