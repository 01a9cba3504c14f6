// The two checksums of Kafka's records: CRC-32C (Castagnoli) of batches since magic 2, CRC-32 (IEEE) of the older
// messages. Native code where it is there and the input is long enough to pay for the call, slicing-by-8 otherwise.
// Both are incremental: the result so far is the seed of the next part.
import { createRequire } from "node:module";
import { crc32 as nativeCrc32 } from "node:zlib";

/** Below this a call into native code costs more than the loop here. */
const NATIVE_BYTES_MIN = 200;

const CASTAGNOLI_REVERSED = 0x82f63b78;
const IEEE_REVERSED = 0xedb88320;

/** Eight tables of 256 entries, one behind the other: entry `256 k + b` is the checksum of byte b before k zero bytes. */
function slicingTables(reversedPolynomial: number): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ reversedPolynomial : crc >>> 1;
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at += 1) {
    const before = tables[at - 256] as number;
    tables[at] = (before >>> 8) ^ (tables[before & 0xff] as number);
  }
  return tables;
}

/**
 * The checksum of `bytes` by slicing-by-8 over `tables`, continued from `seed`.
 * Every index is masked to its table and every byte lies below `bytes.length`, hence the assertions on reads.
 */
function sliced(tables: Int32Array, bytes: Uint8Array, seed: number): number {
  const t = tables;
  let crc = ~seed;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    crc =
      (t[1792 + (low & 0xff)] as number) ^
      (t[1536 + ((low >>> 8) & 0xff)] as number) ^
      (t[1280 + ((low >>> 16) & 0xff)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (bytes[at + 4] as number)] as number) ^
      (t[512 + (bytes[at + 5] as number)] as number) ^
      (t[256 + (bytes[at + 6] as number)] as number) ^
      (t[bytes[at + 7] as number] as number);
  }
  for (; at < bytes.length; at += 1) crc = (t[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

const castagnoli = slicingTables(CASTAGNOLI_REVERSED);
const ieee = slicingTables(IEEE_REVERSED);

type Checksum = (bytes: Uint8Array, seed?: number) => number;

/** The optional native package; undefined on a platform it has no binary for. */
function loadNativeCrc32c(): Checksum | undefined {
  try {
    return (createRequire(import.meta.url)("@node-rs/crc32") as { crc32c: Checksum }).crc32c;
  } catch {
    return undefined;
  }
}

/** The native CRC-32C, undefined where its optional package does not load. For tests and benchmarks. */
export const crc32cNative: Checksum | undefined = loadNativeCrc32c();

/** CRC-32C in JavaScript alone. What {@link crc32c} uses for short inputs and where native code is missing. */
export function crc32cSliced(bytes: Uint8Array, seed = 0): number {
  return sliced(castagnoli, bytes, seed);
}

/** CRC-32 in JavaScript alone. What {@link crc32} uses for short inputs. */
export function crc32Sliced(bytes: Uint8Array, seed = 0): number {
  return sliced(ieee, bytes, seed);
}

/** CRC-32C (Castagnoli) of `bytes` as an unsigned 32-bit number; `seed` is the CRC-32C of the bytes before them. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  if (bytes.length < NATIVE_BYTES_MIN || crc32cNative === undefined) return sliced(castagnoli, bytes, seed);
  return crc32cNative(bytes, seed);
}

/**
 * CRC-32C of two stretches of bytes, one behind the other, from the checksum of each and the length of the second,
 * which is below 2^27. Costs about as much as the checksum of 4 KiB.
 */
export function crc32cOfBoth(first: number, second: number, secondBytes: number): number {
  // Appending n bytes multiplies the first checksum by x^(8n); that power is made of those at the bits of n.
  let shifted = first;
  for (let rest = secondBytes, bit = 3; rest > 0; rest >>>= 1, bit += 1) {
    if (rest & 1) shifted = product(doublings[bit] as number, shifted);
  }
  return (shifted ^ second) >>> 0;
}

/** The product of two polynomials modulo Castagnoli's, bits reversed as in the checksum. */
function product(left: number, right: number): number {
  let sum = 0;
  let term = right;
  for (let rest = left; rest !== 0; rest <<= 1) {
    if (rest < 0) sum ^= term;
    term = term & 1 ? (term >>> 1) ^ CASTAGNOLI_REVERSED : term >>> 1;
  }
  return sum;
}

/** x^(2^k) at index k. */
const doublings: readonly number[] = (() => {
  const powers = [0x4000_0000];
  while (powers.length < 31) {
    const last = powers.at(-1) as number;
    powers.push(product(last, last));
  }
  return powers;
})();

/** CRC-32 (IEEE 802.3) of `bytes` as an unsigned 32-bit number; `seed` is the CRC-32 of the bytes before them. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return bytes.length < NATIVE_BYTES_MIN ? sliced(ieee, bytes, seed) : nativeCrc32(bytes, seed);
}
