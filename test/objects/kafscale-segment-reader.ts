// A reader of `.kfs` and `.index` files that shares no line with ours: written from the description of the Go project's
// format alone, with Node's own buffers and a CRC that is computed bit by bit. What it cannot read, its tools cannot.

/** One batch as the file has it. */
export interface FoundBatch {
  readonly position: number;
  readonly baseOffset: bigint;
  readonly lastOffset: bigint;
  readonly messageCount: number;
  readonly maxTimestamp: bigint;
}

/** A segment file taken apart. */
export interface FoundSegment {
  readonly version: number;
  readonly flags: number;
  readonly baseOffset: bigint;
  readonly messageCount: number;
  readonly createdAt: bigint;
  readonly lastOffset: bigint;
  readonly batches: readonly FoundBatch[];
}

function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** Takes a `.kfs` file apart. Throws a plain Error where it is none. */
export function readSegmentFile(content: Uint8Array): FoundSegment {
  const file = Buffer.from(content);
  if (file.subarray(0, 4).toString("latin1") !== "KAFS") throw new Error("no KAFS at the start");
  if (file.subarray(-4).toString("latin1") !== "END!") throw new Error("no END! at the end");
  if (file.readUInt32BE(28) !== 0) throw new Error("the reserved field is set");
  const footer = file.length - 16;
  const body = file.subarray(32, footer);
  if (crc32c(body) !== file.readUInt32BE(footer)) throw new Error("the body does not match its CRC");
  return {
    version: file.readUInt16BE(4),
    flags: file.readUInt16BE(6),
    baseOffset: file.readBigInt64BE(8),
    messageCount: file.readInt32BE(16),
    createdAt: file.readBigInt64BE(20),
    lastOffset: file.readBigInt64BE(footer + 4),
    batches: readBatches(body),
  };
}

function readBatches(body: Buffer): FoundBatch[] {
  const batches: FoundBatch[] = [];
  let at = 0;
  while (at < body.length) {
    const end = at + 12 + body.readInt32BE(at + 8);
    const batch = body.subarray(at, end);
    if (batch.length !== end - at || batch.readUInt8(16) !== 2) throw new Error(`no batch at ${at}`);
    if (crc32c(batch.subarray(21)) !== batch.readUInt32BE(17)) throw new Error(`the batch at ${at} has another CRC`);
    const baseOffset = batch.readBigInt64BE(0);
    batches.push({
      position: 32 + at,
      baseOffset,
      lastOffset: baseOffset + BigInt(batch.readInt32BE(23)),
      messageCount: batch.readInt32BE(57),
      maxTimestamp: batch.readBigInt64BE(35),
    });
    at = end;
  }
  return batches;
}

/** Takes an `.index` file apart. */
export function readIndexFile(content: Uint8Array): {
  readonly interval: number;
  readonly entries: readonly { readonly offset: bigint; readonly position: number }[];
} {
  const file = Buffer.from(content);
  if (file.subarray(0, 4).toString("latin1") !== "IDX\0") throw new Error("no IDX at the start");
  if (file.readUInt16BE(4) !== 1 || file.readUInt16BE(14) !== 0) throw new Error("an unknown version");
  const count = file.readInt32BE(6);
  if (file.length !== 16 + 12 * count) throw new Error(`${file.length} bytes for ${count} entries`);
  const entries = Array.from({ length: count }, (_, k) => ({
    offset: file.readBigInt64BE(16 + 12 * k),
    position: file.readInt32BE(24 + 12 * k),
  }));
  return { interval: file.readInt32BE(10), entries };
}

/** The batches that the rule of the format gives an entry: the first, then each after 100 messages since the last one. */
export function indexedBatches(batches: readonly FoundBatch[]): { offset: bigint; position: number }[] {
  const entries: { offset: bigint; position: number }[] = [];
  let passed = Number.POSITIVE_INFINITY;
  for (const { baseOffset, position, messageCount } of batches) {
    if (passed >= 100) {
      entries.push({ offset: baseOffset, position });
      passed = 0;
    }
    passed += messageCount;
  }
  return entries;
}
