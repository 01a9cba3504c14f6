// Big-endian integers where they lie in an array: for single fields of many small arrays, where making a DataView costs
// more than all the reads. Nothing is checked here: the caller knows that the bytes are there.
import { EncodeError } from "./encode-error.ts";
import { int64FromHalves } from "./int64.ts";

/** The signed 16-bit integer at `at`. */
export function int16At(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) << 24) >> 16) | (bytes[at + 1] as number);
}

/** The signed 32-bit integer at `at`. */
export function int32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

/** The signed 64-bit integer at `at`; rounded outside the safe range, which the caller checks. */
export function int64At(bytes: Uint8Array, at: number): number {
  return int64FromHalves(int32At(bytes, at), int32At(bytes, at + 4) >>> 0);
}

/** Puts the 32-bit pattern of `value` at `at`. */
export function putInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Puts `value` as a signed 64-bit integer at `at`. Throws EncodeError if it is not a safe integer. */
export function putInt64(bytes: Uint8Array, at: number, value: number): void {
  if (!Number.isSafeInteger(value)) throw new EncodeError(`${value} is not an integer in the safe range of int64`);
  putInt32(bytes, at, Math.floor(value / 0x1_0000_0000));
  putInt32(bytes, at + 4, value);
}
