// Chance from a seed (xoshiro128**). A child drawn by name does not depend on what its parent or siblings have drawn, so
// that one more draw in one place does not change the whole run.
import { createHash } from "node:crypto";
import type { Random } from "../../src/host/random.ts";

/** A seeded generator. Not for secrets. */
export class SimRandom implements Random {
  readonly #seed: string;
  readonly #state: Uint32Array;
  /** How often a word was drawn: part of what a determinism test compares. */
  drawnCount = 0;

  constructor(seed: string | number) {
    this.#seed = String(seed);
    const digest = createHash("sha256").update(this.#seed).digest();
    this.#state = Uint32Array.from({ length: 4 }, (_, index) => digest.readUInt32LE(index * 4));
  }

  /** A generator of its own, the same for the same seed and name. */
  split(name: string): SimRandom {
    return new SimRandom(`${this.#seed}/${name}`);
  }

  /** A whole number in [0, 2^32). */
  uint32(): number {
    this.drawnCount++;
    const state = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const c2 = c ^ a;
    const d2 = d ^ b;
    state[1] = b ^ c2;
    state[0] = a ^ d2;
    state[2] = c2 ^ (b << 9);
    state[3] = rotateLeft(d2, 11);
    return result;
  }

  uniform(): number {
    return (this.uint32() * 0x20_0000 + (this.uint32() >>> 11)) / 2 ** 53;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.uint32() & 0xff);
  }

  /** A whole number in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }

  /** A number in [low, high). */
  between(low: number, high: number): number {
    return low + this.uniform() * (high - low);
  }

  /** True with probability `rate`. Draws even when the rate is 0, so that switching a fault off moves nothing else. */
  chance(rate: number): boolean {
    return this.uniform() < rate;
  }

  /** One of `choices`, which is not empty. */
  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new Error("nothing to pick from");
    return choice;
  }
}

function rotateLeft(word: number, bits: number): number {
  return ((word << bits) | (word >>> (32 - bits))) >>> 0;
}
