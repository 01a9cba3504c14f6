// Sizes and zigzag of Kafka's variable-length integers (LEB128, 7 bits a byte, low bits first).
// Who only has to know a length asks here too.
import { EncodeError } from "./encode-error.ts";

/** Most bytes a 32-bit variable-length integer takes. */
export const VARINT_BYTES_MAX = 5;
/** Most bytes a 64-bit variable-length integer takes. */
export const VARLONG_BYTES_MAX = 10;

/** Bytes of `value` as an unsigned varint; `value` is taken as 32 bits, so -1 takes five. */
export function uvarintSize(value: number): number {
  // 32 - clz32 is the number of significant bits; every byte carries seven of them.
  return value === 0 ? 1 : Math.ceil((32 - Math.clz32(value)) / 7);
}

/** Bytes of the int32 `value` as a zigzag varint, as in the fields of a record. */
export function varintSize(value: number): number {
  return uvarintSize(zigzag32(value));
}

/** Bytes of the safe integer `value` as a zigzag varlong, as in the timestamp delta of a record. */
export function varlongSize(value: number): number {
  if (!Number.isSafeInteger(value)) throw new EncodeError(`${value} is not an integer in the safe range of int64`);
  let rest = Math.floor((value < 0 ? -(value + 1) : value) / 64);
  let size = 1;
  while (rest >= 1) {
    rest = Math.floor(rest / 128);
    size += 1;
  }
  return size;
}

/** Puts the 32-bit pattern `value` as an unsigned varint at `at`, where {@link uvarintSize} bytes have to be free. */
export function putUvarint(bytes: Uint8Array, at: number, value: number): void {
  let rest = value;
  let position = at;
  while ((rest & ~0x7f) !== 0) {
    bytes[position] = (rest & 0x7f) | 0x80;
    position += 1;
    rest >>>= 7;
  }
  bytes[position] = rest;
}

/** Puts the safe integer `value` as a zigzag varlong at `at`, where {@link varlongSize} bytes have to be free. */
export function putVarlong(bytes: Uint8Array, at: number, value: number): void {
  // The folded value has 54 bits: its lowest six and the sign go first, the rest fits a number exactly.
  const magnitude = value < 0 ? -(value + 1) : value;
  let rest = Math.floor(magnitude / 64);
  let position = at;
  bytes[position] = ((magnitude % 64) << 1) | (value < 0 ? 1 : 0);
  while (rest >= 1) {
    bytes[position] = (bytes[position] ?? 0) | 0x80;
    position += 1;
    bytes[position] = rest % 128;
    rest = Math.floor(rest / 128);
  }
}

/** Folds the sign of an int32 into its lowest bit. The result is a signed 32-bit pattern. */
export function zigzag32(value: number): number {
  return (value << 1) ^ (value >> 31);
}

/** Undoes {@link zigzag32}. */
export function unzigzag32(folded: number): number {
  return (folded >>> 1) ^ -(folded & 1);
}
