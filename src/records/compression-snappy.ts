// Snappy as Kafka's clients use it: the block framing of snappy-java ("xerial"), which Java and most others write, and
// one raw block without framing, which librdkafka and Go clients may send. Both are read; the framing is written.
// Every block announces its size; all are added up and compared with the bound before anything is allocated.
import { compressSync, uncompressSync } from "snappy";
import { COMPRESSED_BLOCKS_MAX } from "./compression-limits.ts";

/** 82 "SNAPPY" 00, then version 1 and least compatible version 1 as int32. */
const HEADER = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1);
const MAGIC_BYTES = 8;
/** The first four bytes of the magic: a header in the place of a block length begins a stream that was appended. */
const MAGIC_AS_LENGTH = 0x82534e41;
/** Uncompressed bytes per block, as snappy-java has it: some readers have no larger buffer. */
const BLOCK_BYTES = 32 * 1024;
/** Without it the package hands out memory that is freed only when the event loop turns. */
const COPY = { copyOutputData: true } as const;

interface Block {
  readonly bytes: Uint8Array;
  readonly uncompressedBytes: number;
}

/** What framed or raw `bytes` hold. Throws Error if they are neither, or announce more than `bytesMax`. */
export function decompressSnappy(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const isFramed = HEADER.subarray(0, MAGIC_BYTES).every((byte, index) => bytes[index] === byte);
  const blocks = isFramed ? framedBlocks(bytes) : [blockOf(bytes)];
  const total = blocks.reduce((sum, block) => sum + block.uncompressedBytes, 0);
  if (total > bytesMax) throw new Error(`${total} bytes are announced`);
  const [only] = blocks;
  if (blocks.length === 1 && only !== undefined) return uncompressBlock(only);
  const output = new Uint8Array(total);
  let position = 0;
  for (const block of blocks) {
    output.set(uncompressBlock(block), position);
    position += block.uncompressedBytes;
  }
  return output;
}

/** `bytes` in blocks of 32 KiB in the framing of snappy-java. */
export function compressSnappy(bytes: Uint8Array): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += BLOCK_BYTES) {
    blocks.push(compressSync(bytes.subarray(start, start + BLOCK_BYTES), COPY));
  }
  const output = new Uint8Array(blocks.reduce((sum, block) => sum + 4 + block.length, HEADER.length));
  const view = new DataView(output.buffer);
  output.set(HEADER);
  let position = HEADER.length;
  for (const block of blocks) {
    view.setInt32(position, block.length);
    output.set(block, position + 4);
    position += 4 + block.length;
  }
  return output;
}

function framedBlocks(bytes: Uint8Array): Block[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks: Block[] = [];
  let position = HEADER.length;
  if (position > bytes.length) throw new Error("the header of the framing is cut off");
  while (position < bytes.length) {
    if (bytes.length - position < 4) throw new Error(`the length of a block at byte ${position} is cut off`);
    const length = view.getUint32(position);
    if (length === MAGIC_AS_LENGTH) {
      position += HEADER.length;
      continue;
    }
    if (length > bytes.length - position - 4) throw new Error(`the block at byte ${position} has ${length} bytes`);
    if (blocks.length === COMPRESSED_BLOCKS_MAX) throw new Error(`there are more than ${blocks.length} blocks`);
    blocks.push(blockOf(bytes.subarray(position + 4, position + 4 + length)));
    position += 4 + length;
  }
  return blocks;
}

/** A raw block; it begins with its uncompressed size as a varint of at most 32 bits. */
function blockOf(bytes: Uint8Array): Block {
  let uncompressedBytes = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = bytes[index];
    if (byte === undefined) break;
    uncompressedBytes += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { bytes, uncompressedBytes };
  }
  throw new Error("a block does not begin with its size");
}

function uncompressBlock(block: Block): Uint8Array {
  const output = uncompressSync(block.bytes, COPY);
  // With these options the package gives bytes, and of the announced size or not at all.
  if (typeof output === "string" || output.length !== block.uncompressedBytes) {
    throw new Error(`a block of ${block.uncompressedBytes} bytes became ${output.length}`);
  }
  return output;
}
