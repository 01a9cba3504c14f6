// One target under fuzz: seeds, mutations of them, and the first input that it treats wrongly.
import { SimRandom } from "../sim/sim-random.ts";
import { execute } from "./execute.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { below, mutate, pick } from "./mutate.ts";

/** An input and what is wrong with how the target treats it. */
export interface Finding {
  readonly input: Uint8Array;
  readonly fault: string;
}

/** What came of one target. */
export interface FuzzResult {
  readonly executions: number;
  /** Inputs that were accepted: with none, the mutations would only ever have met the first check. */
  readonly accepted: number;
  readonly finding: Finding | undefined;
}

/**
 * Fuzzes `target` from `seed` until `goesOn` says no, or an input is found. First every seed as it is, which has to be
 * accepted, then mutations of seeds; where the target can repair an input, three of four are.
 */
export function fuzz(target: FuzzTarget, seed: string, goesOn: (executions: number) => boolean): FuzzResult {
  const random = new SimRandom(`${seed}/${target.name}`);
  const seeds = target.seeds(random.split("seeds"));
  const counted = countingTarget(target);
  let executions = 0;
  const result = (finding?: Finding): FuzzResult => ({ executions, accepted: counted.accepted(), finding });
  for (const input of seeds) {
    executions += 1;
    const fault = execute(counted.target, input);
    if (fault !== undefined) return result({ input, fault });
  }
  if (counted.accepted() === 0)
    return result({ input: seeds[0] ?? new Uint8Array(), fault: "no valid input is accepted" });
  while (goesOn(executions)) {
    const mutated = mutate(random, pick(random, seeds), pick(random, seeds));
    const input = target.repair !== undefined && below(random, 4) > 0 ? target.repair(mutated) : mutated;
    executions += 1;
    const fault = execute(counted.target, input);
    if (fault !== undefined) return result({ input: input.slice(), fault });
  }
  return result();
}

function countingTarget(target: FuzzTarget): { target: FuzzTarget; accepted: () => number } {
  let accepted = 0;
  const run = (input: Uint8Array) => {
    target.run(input);
    accepted += 1;
  };
  return { target: { ...target, run }, accepted: () => accepted };
}
