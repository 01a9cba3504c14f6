// Zstandard frames, by node:zlib where Node has it (22.15 and later) and by a WebAssembly build elsewhere. The frames
// are walked here first, because neither library can be trusted with the sizes a hostile header announces: what the
// library may allocate follows from the blocks that are really there. Refuses dictionaries and windows over 128 MiB.
import * as zlib from "node:zlib";
import { COMPRESSED_BLOCKS_MAX } from "./compression-limits.ts";
import { joinBytes } from "./join-bytes.ts";

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;
const BLOCK_BYTES_MAX = 128 * 1024;
/** The largest window a decoder takes by default, and the largest Java's encoder makes at its highest level. */
const WINDOW_BYTES_MAX = 128 * 1024 * 1024;
/** Largest piece the native side grows its output by. */
const CHUNK_BYTES_MAX = 1024 * 1024;
const CHUNK_BYTES_MIN = 64;

const BlockType = { RAW: 0, RLE: 1, COMPRESSED: 2 } as const;

/** A library that reads one whole frame into at most `bytesMax` bytes (throwing Error past that) and writes one. */
export interface ZstdLibrary {
  decompress(frame: Uint8Array, bytesMax: number): Uint8Array;
  compress(bytes: Uint8Array): Uint8Array;
}

interface Frame {
  /** What of the frame the library gets; undefined for a skippable frame. */
  readonly bytes: Uint8Array | undefined;
  /** No more than this comes out: what the header announces, else what its blocks can hold at most. */
  readonly uncompressedBytesMax: number;
  /** Whether the above is what the header announces. */
  readonly isAnnounced: boolean;
}

/** The part of node:zlib that Node 20 does not have. */
interface ZlibWithZstd {
  readonly zstdDecompressSync?: (
    bytes: Uint8Array,
    options: { maxOutputLength: number; chunkSize: number },
  ) => Uint8Array;
  readonly zstdCompressSync?: (bytes: Uint8Array) => Uint8Array;
}

/** Zstandard of node:zlib, undefined where Node has none. */
export function nativeZstd(): ZstdLibrary | undefined {
  const { zstdCompressSync, zstdDecompressSync } = zlib as ZlibWithZstd;
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined) return undefined;
  return {
    compress: (bytes) => zstdCompressSync(bytes),
    decompress: (frame, bytesMax) => {
      const maxOutputLength = Math.max(bytesMax, 1);
      const chunkSize = Math.max(CHUNK_BYTES_MIN, Math.min(bytesMax, CHUNK_BYTES_MAX));
      return zstdDecompressSync(frame, { maxOutputLength, chunkSize });
    },
  };
}

/** Zstandard as WebAssembly. Resolves once it is compiled; its memory grows with the largest body and stays. */
export function wasmZstd(): Promise<ZstdLibrary> {
  wasmLibrary ??= loadWasmZstd();
  return wasmLibrary;
}

let wasmLibrary: Promise<ZstdLibrary> | undefined;

async function loadWasmZstd(): Promise<ZstdLibrary> {
  const wasm = await import("@bokuweb/zstd-wasm");
  // Initialised twice, the package mixes two memories up and gives wrong bytes. It may have been by another copy of
  // this module; until then every call fails.
  try {
    wasm.compress(new Uint8Array());
  } catch {
    await wasm.init();
  }
  return {
    compress: (bytes) => wasm.compress(bytes),
    decompress: (frame, bytesMax) => wasm.decompress(frame, { defaultHeapSize: bytesMax }),
  };
}

// Readers of records are synchronous, so the module is ready only when its library is.
const library: ZstdLibrary = nativeZstd() ?? (await wasmZstd());

/** What the frames in `bytes` hold. Throws Error if they are damaged or hold more than `bytesMax`. */
export function decompressZstd(bytes: Uint8Array, bytesMax: number, zstd: ZstdLibrary = library): Uint8Array {
  const walker = new FrameWalker(bytes);
  const parts: Uint8Array[] = [];
  let total = 0;
  do {
    const frame = walker.nextFrame();
    if (frame.bytes === undefined) continue;
    const bytesLeft = bytesMax - total;
    if (frame.isAnnounced && frame.uncompressedBytesMax > bytesLeft) {
      throw new Error(`the frame announces ${frame.uncompressedBytesMax} bytes`);
    }
    const part = zstd.decompress(frame.bytes, Math.min(bytesLeft, frame.uncompressedBytesMax));
    total += part.length;
    parts.push(part);
  } while (!walker.isAtEnd);
  return parts.length === 1 ? (parts[0] as Uint8Array) : joinBytes(parts);
}

/** One frame at the default level. */
export function compressZstd(bytes: Uint8Array, zstd: ZstdLibrary = library): Uint8Array {
  return zstd.compress(bytes);
}

/** Finds where frames end and what they can hold, by their headers and those of their blocks. */
class FrameWalker {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;
  #blocksLeft = COMPRESSED_BLOCKS_MAX;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#position === this.#bytes.length;
  }

  nextFrame(): Frame {
    const start = this.#position;
    this.#countBlock();
    const magic = this.#littleEndian(4);
    if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) {
      this.#advance(this.#littleEndian(4));
      return { bytes: undefined, uncompressedBytesMax: 0, isAnnounced: false };
    }
    if (magic !== FRAME_MAGIC) throw new Error(`no zstd frame begins at byte ${start}`);
    const descriptor = this.#littleEndian(1);
    const { windowBytes, contentBytes } = this.#readSizes(descriptor);
    const blocksBytesMax = this.#walkBlocks(Math.min(windowBytes, BLOCK_BYTES_MAX));
    if ((descriptor & 0x04) !== 0) this.#advance(4);
    return {
      bytes: this.#bytes.subarray(start, this.#position),
      uncompressedBytesMax: contentBytes ?? blocksBytesMax,
      isAnnounced: contentBytes !== undefined,
    };
  }

  /** Window and content size of a frame header (RFC 8878, 3.1.1.1); the content size is undefined if not announced. */
  #readSizes(descriptor: number): { windowBytes: number; contentBytes: number | undefined } {
    if ((descriptor & 0x08) !== 0) throw new Error(`the reserved bit of frame descriptor ${descriptor} is set`);
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const window = isSingleSegment ? 0 : this.#littleEndian(1);
    const dictionary = this.#littleEndian([0, 1, 2, 4][descriptor & 0x03] as number);
    if (dictionary !== 0) throw new Error(`the frame needs dictionary ${dictionary}`);
    const sizeCode = descriptor >> 6;
    const sizeBytes = sizeCode === 0 ? (isSingleSegment ? 1 : 0) : 2 ** sizeCode;
    const announced = this.#littleEndian(sizeBytes) + (sizeBytes === 2 ? 256 : 0);
    const contentBytes = sizeBytes === 0 ? undefined : announced;
    const windowBytes = isSingleSegment ? announced : 2 ** (10 + (window >> 3)) * (1 + (window & 0x07) / 8);
    if (!isSingleSegment && windowBytes > WINDOW_BYTES_MAX) throw new Error(`the window has ${windowBytes} bytes`);
    return { windowBytes, contentBytes };
  }

  /** Passes over the blocks of a frame. Returns the most that can come out of them. */
  #walkBlocks(blockBytesMax: number): number {
    let total = 0;
    for (;;) {
      this.#countBlock();
      const header = this.#littleEndian(3);
      const type = (header >> 1) & 0x03;
      const size = header >> 3;
      if (size > blockBytesMax || type > BlockType.COMPRESSED) {
        throw new Error(`a block of type ${type} has ${size} bytes, with at most ${blockBytesMax}`);
      }
      this.#advance(type === BlockType.RLE ? 1 : size);
      total += type === BlockType.COMPRESSED ? blockBytesMax : size;
      if ((header & 0x01) !== 0) return total;
    }
  }

  #countBlock(): void {
    this.#blocksLeft -= 1;
    if (this.#blocksLeft < 0) throw new Error(`there are more than ${COMPRESSED_BLOCKS_MAX} blocks`);
  }

  #littleEndian(length: number): number {
    const position = this.#advance(length);
    let value = 0;
    for (let index = length - 1; index >= 0; index -= 1) value = value * 256 + this.#view.getUint8(position + index);
    return value;
  }

  #advance(length: number): number {
    const position = this.#position;
    if (length > this.#bytes.length - position) throw new Error(`the frame is cut off at byte ${position}`);
    this.#position = position + length;
    return position;
  }
}
