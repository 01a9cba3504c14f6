// LZ4 frames. The frame is parsed here and only its blocks are given to the library, because that would grow without
// a bound on a whole frame: the exact size of every block is read off its sequences before anything is allocated.
// As Java's reader, this refuses linked blocks and dictionaries; unlike it, it verifies every checksum there is.
import { compressFrameSync, uncompressSync } from "lz4-napi";
import { COMPRESSED_BLOCKS_MAX } from "./compression-limits.ts";
import { joinBytes } from "./join-bytes.ts";
import { xxh32 } from "./xxh32.ts";

const MAGIC = 0x184d2204;
const MAGIC_BYTES = 4;
/** The bits of FLG that are set in version 01 and of which the last two must not be. */
const Flag = {
  VERSION_MASK: 0xc0,
  VERSION: 0x40,
  BLOCKS_INDEPENDENT: 0x20,
  BLOCK_CHECKSUM: 0x10,
  CONTENT_SIZE: 0x08,
  CONTENT_CHECKSUM: 0x04,
  RESERVED: 0x02,
  DICTIONARY: 0x01,
} as const;
/** The highest bit of a block's length: the block is stored as it is. */
const STORED_BLOCK = 0x8000_0000;
const BLOCK_SIZE_CODE_MIN = 4;
/** The field of the library's blocks that announces their uncompressed size, little-endian. */
const SIZE_PREFIX_BYTES = 4;
const MATCH_BYTES_MIN = 4;

interface FrameHeader {
  readonly flags: number;
  readonly blockBytesMax: number;
  /** Undefined if the frame does not say. */
  readonly contentBytes: number | undefined;
}

interface Block {
  readonly bytes: Uint8Array;
  readonly isStored: boolean;
  readonly uncompressedBytes: number;
}

/** What the frames in `bytes` hold. Throws Error if they are damaged or hold more than `bytesMax`. */
export function decompressLz4(bytes: Uint8Array, options: { bytesMax: number; isMagic0: boolean }): Uint8Array {
  const reader = new FrameReader(bytes, options.bytesMax, options.isMagic0);
  const frames: Uint8Array[] = [];
  do {
    frames.push(reader.readFrame());
  } while (!reader.isAtEnd);
  return frames.length === 1 ? (frames[0] as Uint8Array) : joinBytes(frames);
}

/**
 * One frame of independent blocks. Of magic 0 its header checksum covers the magic too, as Kafka's first clients
 * computed it and their readers expect.
 */
export function compressLz4(bytes: Uint8Array, isMagic0: boolean): Uint8Array {
  const frame = compressFrameSync(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  if (isMagic0) frame[MAGIC_BYTES + 2] = headerChecksum(frame.subarray(0, MAGIC_BYTES + 2));
  return frame;
}

/** Walks over frames, one after the other; what it has found so far counts towards one bound. */
class FrameReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #isMagic0: boolean;
  #position = 0;
  #bytesLeft: number;
  #blocksLeft = COMPRESSED_BLOCKS_MAX;

  constructor(bytes: Uint8Array, bytesMax: number, isMagic0: boolean) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#isMagic0 = isMagic0;
    this.#bytesLeft = bytesMax;
  }

  get isAtEnd(): boolean {
    return this.#position === this.#bytes.length;
  }

  readFrame(): Uint8Array {
    const header = this.#readHeader();
    const blocks: Block[] = [];
    for (let block = this.#readBlock(header); block !== undefined; block = this.#readBlock(header)) blocks.push(block);
    const content = joinBytes(blocks.map(uncompressBlock));
    if (header.contentBytes !== undefined && header.contentBytes !== content.length) {
      throw new Error(`the frame announces ${header.contentBytes} bytes and has ${content.length}`);
    }
    if ((header.flags & Flag.CONTENT_CHECKSUM) !== 0 && this.#uint32() !== xxh32(content)) {
      throw new Error("the checksum of the content is wrong");
    }
    return content;
  }

  #readHeader(): FrameHeader {
    const start = this.#position;
    if (this.#uint32() !== MAGIC) throw new Error(`no LZ4 frame begins at byte ${start}`);
    const flags = this.#uint8();
    const descriptor = this.#uint8();
    checkFlags(flags);
    const code = (descriptor >> 4) & 0x07;
    if (code < BLOCK_SIZE_CODE_MIN || (descriptor & 0x8f) !== 0) throw new Error(`block descriptor ${descriptor}`);
    let contentBytes: number | undefined;
    if ((flags & Flag.CONTENT_SIZE) !== 0) contentBytes = this.#uint32() + this.#uint32() * 2 ** 32;
    const covered = this.#bytes.subarray(start + MAGIC_BYTES, this.#position);
    const checksum = this.#uint8();
    if (!this.#isMagic0 && checksum !== headerChecksum(covered)) throw new Error("the checksum of the header is wrong");
    return { flags, blockBytesMax: 2 ** (2 * code + 8), contentBytes };
  }

  /** The next block of the frame, undefined at its end mark. */
  #readBlock(header: FrameHeader): Block | undefined {
    const word = this.#uint32();
    if (word === 0) return undefined;
    const isStored = word >= STORED_BLOCK;
    const length = isStored ? word - STORED_BLOCK : word;
    if (length > header.blockBytesMax) throw new Error(`a block has ${length} bytes`);
    const start = this.#advance(length);
    const bytes = this.#bytes.subarray(start, start + length);
    if ((header.flags & Flag.BLOCK_CHECKSUM) !== 0 && this.#uint32() !== xxh32(bytes)) {
      throw new Error(`the checksum of the block at byte ${start} is wrong`);
    }
    const uncompressedBytes = isStored ? length : uncompressedBytesOf(bytes);
    if (uncompressedBytes > header.blockBytesMax) throw new Error(`a block becomes ${uncompressedBytes} bytes`);
    this.#bytesLeft -= uncompressedBytes;
    this.#blocksLeft -= 1;
    if (this.#bytesLeft < 0) throw new Error("the blocks hold more");
    if (this.#blocksLeft < 0) throw new Error(`there are more than ${COMPRESSED_BLOCKS_MAX} blocks`);
    return { bytes, isStored, uncompressedBytes };
  }

  #uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  #uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  #advance(length: number): number {
    const position = this.#position;
    if (length > this.#bytes.length - position) throw new Error(`the frame is cut off at byte ${position}`);
    this.#position = position + length;
    return position;
  }
}

function checkFlags(flags: number): void {
  if ((flags & Flag.VERSION_MASK) !== Flag.VERSION || (flags & Flag.RESERVED) !== 0) {
    throw new Error(`frame flags ${flags} are of no known version`);
  }
  if ((flags & Flag.BLOCKS_INDEPENDENT) === 0) throw new Error("the blocks of the frame are linked");
  if ((flags & Flag.DICTIONARY) !== 0) throw new Error("the frame needs a dictionary");
}

function headerChecksum(bytes: Uint8Array): number {
  return (xxh32(bytes) >>> 8) & 0xff;
}

/**
 * Exact size of a compressed block when decompressed: the lengths of its literals and matches, added up. Only reads;
 * a block that ends within a sequence is refused.
 */
function uncompressedBytesOf(block: Uint8Array): number {
  let total = 0;
  let position = 0;
  const extended = (length: number): number => {
    if (length < 15) return length;
    let sum = length;
    let byte: number | undefined;
    do {
      byte = block[position];
      if (byte === undefined) throw new Error("a length within a block is cut off");
      position += 1;
      sum += byte;
    } while (byte === 0xff);
    return sum;
  };
  for (;;) {
    const token = block[position];
    if (token === undefined) throw new Error("a block ends without literals");
    position += 1;
    const literals = extended(token >> 4);
    total += literals;
    position += literals;
    if (position === block.length) return total;
    // Two bytes say how far back the match lies; the library judges that.
    position += 2;
    if (position > block.length) throw new Error("a block is cut off within a sequence");
    total += extended(token & 0x0f) + MATCH_BYTES_MIN;
  }
}

function uncompressBlock(block: Block): Uint8Array {
  if (block.isStored) return block.bytes;
  const prefixed = Buffer.allocUnsafe(SIZE_PREFIX_BYTES + block.bytes.length);
  prefixed.writeUInt32LE(block.uncompressedBytes, 0);
  prefixed.set(block.bytes, SIZE_PREFIX_BYTES);
  const output = uncompressSync(prefixed);
  if (output.length !== block.uncompressedBytes) {
    throw new Error(`a block of ${block.uncompressedBytes} bytes became ${output.length}`);
  }
  return output;
}
