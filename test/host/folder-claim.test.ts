// The agreement on who has a folder, under seeds: many processes that start, hold, release and die between any two steps
// of one another. At no moment two of them hold it, and where somebody tried and nobody held it, somebody gets it.
import { describe, expect, it } from "vitest";
import { type ClaimTable, claimFolder, type Liveness } from "../../src/host/folder-claim.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";

interface Candidate {
  isAlive: boolean;
}

/** Claims of one folder in memory; every step takes a while, and happens at once somewhere within it. */
class SimClaims implements ClaimTable<Candidate> {
  readonly #table: Map<number, Candidate>;
  readonly #step: <T>(apply: () => T) => Promise<T>;
  readonly candidates: Candidate[] = [];

  constructor(table: Map<number, Candidate>, step: <T>(apply: () => T) => Promise<T>) {
    this.#table = table;
    this.#step = step;
  }

  numbers(): Promise<readonly number[]> {
    return this.#step(() => [...this.#table.keys()]);
  }

  livenessOf(number: number): Promise<Liveness> {
    return this.#step(() => {
      const claim = this.#table.get(number);
      if (!claim) return "gone";
      return claim.isAlive ? "alive" : "dead";
    });
  }

  newCandidate(): Promise<Candidate> {
    return this.#step(() => {
      const candidate = { isAlive: true };
      this.candidates.push(candidate);
      return candidate;
    });
  }

  publish(candidate: Candidate, number: number): Promise<boolean> {
    return this.#step(() => {
      if (this.#table.has(number)) return false;
      this.#table.set(number, candidate);
      return true;
    });
  }

  drop(candidate: Candidate): Promise<void> {
    return this.#step(() => {
      candidate.isAlive = false;
    });
  }

  remove(number: number): Promise<void> {
    return this.#step(() => void this.#table.delete(number));
  }
}

/** One world under a seed. @returns how often the folder was held, and the most holders at one moment */
async function run(seed: number): Promise<{ heldCount: number; holdersMax: number; refusedCount: number }> {
  const clock = new SimClock({ seed });
  const random = new SimRandom(seed).split("world");
  const table = new Map<number, Candidate>();
  const holders = new Set<object>();
  const outcome = { heldCount: 0, holdersMax: 0, refusedCount: 0 };
  const life = () => {
    const node = clock.node();
    // Most steps are quick, some take as long as whole lives of others.
    const delay = () => (random.chance(0.2) ? random.between(0, 60) : random.between(0, 2));
    const wait = (delayMs: number) => new Promise<void>((resolve) => void node.setTimer(delayMs, resolve));
    const claims = new SimClaims(table, async (apply) => {
      await wait(delay());
      const result = apply();
      await wait(delay());
      return result;
    });
    const die = () => {
      node.kill();
      holders.delete(node);
      for (const candidate of claims.candidates) candidate.isAlive = false;
    };
    if (random.chance(0.4)) clock.setTimer(random.between(0, 120), die);
    void (async () => {
      const held = await claimFolder(claims);
      if (!held) {
        outcome.refusedCount++;
        return;
      }
      holders.add(node);
      outcome.heldCount++;
      outcome.holdersMax = Math.max(outcome.holdersMax, holders.size);
      await wait(random.between(0, 20));
      holders.delete(node);
      held.isAlive = false;
    })();
  };
  for (let start = 0; start < 30; start++) clock.setTimer(random.between(0, 200), life);
  await clock.run();
  return outcome;
}

describe("claimFolder", () => {
  it("gives the folder to one process at a time, whoever starts, dies or dawdles meanwhile", async () => {
    let heldCount = 0;
    let refusedCount = 0;
    for (let seed = 1; seed <= 400; seed++) {
      const outcome = await run(seed);
      expect([seed, outcome.holdersMax]).toEqual([seed, Math.min(1, outcome.heldCount)]);
      heldCount += outcome.heldCount;
      refusedCount += outcome.refusedCount;
    }
    expect(heldCount).toBeGreaterThan(400);
    expect(refusedCount).toBeGreaterThan(400);
  });

  it("lets one of many simultaneous starts win", async () => {
    for (let seed = 1; seed <= 100; seed++) {
      const clock = new SimClock({ seed });
      const table = new Map<number, Candidate>([[3, { isAlive: false }]]);
      const random = new SimRandom(seed);
      const step = async <T>(apply: () => T) => {
        await new Promise<void>((resolve) => void clock.setTimer(random.between(0, 5), resolve));
        return apply();
      };
      const claims = Array.from({ length: 10 }, () => claimFolder(new SimClaims(table, step)));
      const held = (await clock.complete(Promise.all(claims))).filter((one) => one !== undefined);
      expect([seed, held.length]).toEqual([seed, 1]);
      expect([...table.keys()]).toEqual([4]);
    }
  });
});
