// The five codecs of Kafka's records, by number. What comes out is bounded before it is allocated: a batch that would
// grow past the bound is CORRUPT_MESSAGE, as is one its codec cannot read. Synchronous, because validation and
// iteration are; batches that only pass through are never decompressed.
import { gunzipSync, gzipSync } from "node:zlib";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";
import { compressLz4, decompressLz4 } from "./compression-lz4.ts";
import { compressSnappy, decompressSnappy } from "./compression-snappy.ts";
import { compressZstd, decompressZstd } from "./compression-zstd.ts";

/** The numbers of the codecs, as the attributes of batches and messages carry them. */
export const Compression = { NONE: 0, GZIP: 1, SNAPPY: 2, LZ4: 3, ZSTD: 4 } as const;
/** Number of a codec that exists. */
export type Compression = (typeof Compression)[keyof typeof Compression];

/** Most bytes one batch may have when decompressed: it bounds the memory and the time of one step. */
export const DECOMPRESSED_BYTES_MAX = 64 * 1024 * 1024;
const EXPANSION_MAX = 64;
const EXPANSION_FREE_BYTES = 1024 * 1024;
const GZIP_CHUNK_BYTES_MIN = 16 * 1024;

/** How to read one compressed body. */
export interface DecompressOptions {
  /** Most bytes that may come out; {@link decompressedBytesMax} of the input if not given, and never more than that. */
  readonly bytesMax?: number;
  /** The body is of a message of magic 0, whose LZ4 frames carry a header checksum that old clients computed wrongly. */
  readonly isMagic0?: boolean;
}

/** Most bytes that `compressedBytes` may become: min(64 MiB, 64 times as many plus 1 MiB). */
export function decompressedBytesMax(compressedBytes: number): number {
  return Math.min(DECOMPRESSED_BYTES_MAX, EXPANSION_MAX * compressedBytes + EXPANSION_FREE_BYTES);
}

/** Whether a codec of this number exists. */
export function isCompression(codec: number): codec is Compression {
  return codec >= Compression.NONE && codec <= Compression.ZSTD;
}

/**
 * What `bytes` hold, as bytes of our own (with codec NONE: the same). Throws KafkaError CORRUPT_MESSAGE if they are not
 * of that codec or would become more than the bound, of which nothing past it is allocated.
 */
export function decompress(codec: Compression, bytes: Uint8Array, options: DecompressOptions = {}): Uint8Array {
  if (codec === Compression.NONE) return bytes;
  const bytesMax = Math.min(options.bytesMax ?? DECOMPRESSED_BYTES_MAX, decompressedBytesMax(bytes.length));
  try {
    return plain(decompressWith(codec, bytes, { bytesMax, isMagic0: options.isMagic0 ?? false }));
  } catch (cause) {
    if (cause instanceof KafkaError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new KafkaError(
      ErrorCode.CORRUPT_MESSAGE,
      `${bytes.length} bytes of codec ${codec} were not decompressed to at most ${bytesMax}: ${message}`,
      { cause },
    );
  }
}

function decompressWith(codec: Compression, bytes: Uint8Array, options: Required<DecompressOptions>): Uint8Array {
  switch (codec) {
    case Compression.NONE:
      return bytes;
    case Compression.GZIP:
      return decompressGzip(bytes, options.bytesMax);
    case Compression.SNAPPY:
      return decompressSnappy(bytes, options.bytesMax);
    case Compression.LZ4:
      return decompressLz4(bytes, options);
    case Compression.ZSTD:
      return decompressZstd(bytes, options.bytesMax);
  }
}

/** `bytes` in the framing Java clients write and read; with codec NONE the same. Magic 0 wants its LZ4 checksum wrong. */
export function compress(codec: Compression, bytes: Uint8Array, options: { isMagic0?: boolean } = {}): Uint8Array {
  switch (codec) {
    case Compression.NONE:
      return bytes;
    case Compression.GZIP:
      return plain(gzipSync(bytes));
    case Compression.SNAPPY:
      return compressSnappy(bytes);
    case Compression.LZ4:
      return plain(compressLz4(bytes, options.isMagic0 ?? false));
    case Compression.ZSTD:
      return plain(compressZstd(bytes));
  }
}

function decompressGzip(bytes: Uint8Array, bytesMax: number): Uint8Array {
  // Node reads concatenated members by itself, and grows its output by chunks of this size up to the bound.
  const chunkSize = Math.max(GZIP_CHUNK_BYTES_MIN, Math.min(bytesMax, 4 * bytes.length));
  return gunzipSync(bytes, { maxOutputLength: bytesMax, chunkSize });
}

/** The same bytes not as a Buffer, whose `slice` would not copy. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
