// Damages valid bytes: flips, cuts, copies, and the values that lengths and counts go wrong with.
import type { SimRandom } from "../sim/sim-random.ts";

/** Larger inputs only cost time: every length and count field has been met long before. */
const INPUT_BYTES_MAX = 32 * 1024;
const CHANGES_MAX = 6;

const integers = [0, 1, -1, -2, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, -0x8000, 0x7fff_ffff, -0x8000_0000, 0x10_0000];
const varints = [
  [0x00],
  [0x01],
  [0x02],
  [0x7f],
  [0xff, 0x01],
  [0xff, 0xff, 0x03],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xfe, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];

type Mutation = (random: SimRandom, bytes: Uint8Array, other: Uint8Array) => Uint8Array;

const mutations: readonly Mutation[] = [
  (random, bytes) => changed(bytes, (copy, at) => (copy[at] = (copy[at] as number) ^ (1 << below(random, 8))), random),
  (random, bytes) => changed(bytes, (copy, at) => (copy[at] = below(random, 256)), random),
  (random, bytes) =>
    changed(bytes, (copy, at) => (copy[at] = (copy[at] as number) + (below(random, 2) * 2 - 1)), random),
  (random, bytes) => overwritten(bytes, random, bigEndian(pick(random, integers), 2)),
  (random, bytes) => overwritten(bytes, random, bigEndian(pick(random, integers), 4)),
  (random, bytes) => overwritten(bytes, random, bigEndian(pick(random, integers), 4).toReversed()),
  (random, bytes) => overwritten(bytes, random, bigEndian(bytes.length + below(random, 9) - 4, 4)),
  (random, bytes) => overwritten(bytes, random, Uint8Array.from(pick(random, varints))),
  (random, bytes) => spliced(bytes, below(random, bytes.length + 1), 1, Uint8Array.from(pick(random, varints))),
  (random, bytes) => bytes.slice(0, below(random, bytes.length + 1)),
  (random, bytes) => spliced(bytes, below(random, bytes.length + 1), below(random, 16), new Uint8Array()),
  (random, bytes) => spliced(bytes, below(random, bytes.length + 1), 0, random.bytes(below(random, 16))),
  (random, bytes) => spliced(bytes, below(random, bytes.length + 1), 0, stretch(random, bytes)),
  (random, bytes, other) => spliced(bytes, below(random, bytes.length + 1), below(random, 64), stretch(random, other)),
  (random, bytes) => spliced(bytes, below(random, bytes.length + 1), 0, repeated(random, bytes)),
];

/** `bytes` with one to six changes; `other` is what may be mixed in. */
export function mutate(random: SimRandom, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let mutated: Uint8Array = bytes.slice();
  // Mostly few: every further change makes it likelier that only the first check is met.
  for (let left = 1 + below(random, below(random, CHANGES_MAX) + 1); left > 0; left -= 1) {
    mutated = pick(random, mutations)(random, mutated, other);
  }
  return mutated.subarray(0, INPUT_BYTES_MAX);
}

/** A whole number in [0, bound). */
export function below(random: SimRandom, bound: number): number {
  return Math.floor(random.uniform() * bound);
}

/** One of them. */
export function pick<T>(random: SimRandom, choices: readonly T[]): T {
  return choices[below(random, choices.length)] as T;
}

function changed(bytes: Uint8Array, change: (copy: Uint8Array, at: number) => void, random: SimRandom): Uint8Array {
  if (bytes.length > 0) change(bytes, below(random, bytes.length));
  return bytes;
}

function overwritten(bytes: Uint8Array, random: SimRandom, field: Uint8Array): Uint8Array {
  if (bytes.length >= field.length) bytes.set(field, below(random, bytes.length - field.length + 1));
  return bytes;
}

function spliced(bytes: Uint8Array, at: number, removed: number, inserted: Uint8Array): Uint8Array {
  const rest = bytes.subarray(Math.min(bytes.length, at + removed));
  const result = new Uint8Array(at + inserted.length + rest.length);
  result.set(bytes.subarray(0, at));
  result.set(inserted, at);
  result.set(rest, at + inserted.length);
  return result.subarray(0, INPUT_BYTES_MAX);
}

function stretch(random: SimRandom, bytes: Uint8Array): Uint8Array {
  const start = below(random, bytes.length + 1);
  return bytes.subarray(start, start + below(random, 200));
}

/** A short stretch many times: what blows up per-element costs. */
function repeated(random: SimRandom, bytes: Uint8Array): Uint8Array {
  const unit = stretch(random, bytes).subarray(0, 1 + below(random, 12));
  const result = new Uint8Array(unit.length * below(random, 400));
  for (let at = 0; at < result.length; at += unit.length) result.set(unit, at);
  return result;
}

function bigEndian(value: number, length: 2 | 4): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  if (length === 2) view.setInt16(0, value);
  else view.setInt32(0, value);
  return bytes;
}
