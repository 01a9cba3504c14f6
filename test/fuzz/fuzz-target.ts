// What a fuzz target is: a decoder, valid inputs to start from, and what it may cost.
import type { SimRandom } from "../sim/sim-random.ts";

/** One decoder under fuzz. Everything it does is a function of the input, so that an input replays alone. */
export interface FuzzTarget {
  readonly name: string;
  /** Valid inputs, the same for the same generator: mutations start from them. */
  readonly seeds: (random: SimRandom) => readonly Uint8Array[];
  /** Decodes the input as the broker would. What it throws must be one of `refusals`. */
  readonly run: (input: Uint8Array) => void;
  /** The classes of error that say "these bytes are not what the format says". */
  readonly refusals: readonly (new (
    ...args: never[]
  ) => Error)[];
  /** Makes lengths and checksums of a mutated input true again, so that what lies behind them is reached. */
  readonly repair?: (input: Uint8Array) => Uint8Array;
  /** Most bytes of array buffers one run may allocate; 64 KiB + 4 times the input if missing. */
  readonly bufferBytesMax?: (input: Uint8Array) => number;
}

/** The bound of what a decoder may allocate in array buffers. */
export function defaultBufferBytesMax(input: Uint8Array): number {
  return 64 * 1024 + 4 * input.length;
}

/**
 * The bound for objects on the heap. An element of two bytes becomes an object of a hundred, however it is written:
 * the factor is that of V8, and what it must not grow with is any announced count.
 */
export function heapBytesMax(input: Uint8Array): number {
  return 512 * 1024 + 128 * input.length;
}
