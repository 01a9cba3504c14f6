// Bodies of S3 calls: what is sent, with its length and checksum, and what is read, never more than was announced and
// never less taken for whole.
import { Readable } from "node:stream";
import type { GetObjectCommandOutput } from "@aws-sdk/client-s3";
import { crc32c } from "../wire/crc32c.ts";
import { type ByteRange, ObjectStoreError } from "./object-store.ts";

/** Parts below this are sent together: each one costs a write of its own. */
const SMALL_BYTES = 16 * 1024;
/** Bytes of small parts that are sent together. */
const BLOCK_BYTES = 64 * 1024;

/** A checksum as S3 writes it: base64 of its four bytes, the highest first. */
export function base64OfCrc32c(checksum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(checksum);
  return bytes.toString("base64");
}

/** CRC-32C of the concatenation of `parts`, as S3 writes it. */
export function checksumOf(parts: readonly Uint8Array[]): string {
  return base64OfCrc32c(parts.reduce((checksum, part) => crc32c(part, checksum), 0));
}

/**
 * The concatenation of `parts` as the body of one attempt. Large parts are sent from where they lie: to bring 8 MiB
 * together first costs as much time as all the rest of a put.
 */
export class PartsBody extends Readable {
  readonly #blocks: Iterator<Uint8Array>;

  constructor(parts: readonly Uint8Array[]) {
    super({ highWaterMark: 2 * BLOCK_BYTES });
    this.#blocks = blocksOf(parts);
  }

  override _read(): void {
    for (;;) {
      const block = this.#blocks.next();
      if (block.done === true) {
        this.push(null);
        return;
      }
      if (!this.push(block.value)) return;
    }
  }
}

/** The same bytes in the same order, with runs of small parts copied together. */
function* blocksOf(parts: readonly Uint8Array[]): Generator<Uint8Array> {
  let small: Uint8Array[] = [];
  let smallBytes = 0;
  for (const part of parts) {
    const isSmall = part.byteLength < SMALL_BYTES;
    if (smallBytes > 0 && (!isSmall || smallBytes + part.byteLength > BLOCK_BYTES)) {
      yield Buffer.concat(small, smallBytes);
      small = [];
      smallBytes = 0;
    }
    if (isSmall) {
      small.push(part);
      smallBytes += part.byteLength;
    } else yield part;
  }
  if (smallBytes > 0) yield Buffer.concat(small, smallBytes);
}

/** Which read an answer belongs to. */
export interface BodyRead {
  readonly what: string;
  readonly range: ByteRange | undefined;
  readonly signal: AbortSignal;
}

/** A stream of the SDK, as far as it is used. */
interface Body extends AsyncIterable<Uint8Array> {
  destroy(error?: Error): void;
}

/**
 * Reads the body of an answer into memory of its own.
 * @throws ObjectStoreError `unavailable` when it is shorter, longer, another range or not what its checksum says, `denied`
 *   when the store ignores ranges
 */
export async function readBody(answer: GetObjectCommandOutput, { what, range, signal }: BodyRead): Promise<Uint8Array> {
  const body = answer.Body as unknown as Body;
  const giveUp = () => body.destroy();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    const bytes = await collected(body, announcedBytes(answer, range, what), what);
    const isChecked = range === undefined && answer.ChecksumType !== "COMPOSITE" && answer.ChecksumCRC32C !== undefined;
    if (isChecked && base64OfCrc32c(crc32c(bytes)) !== answer.ChecksumCRC32C) {
      throw unfit(what, `its ${bytes.byteLength} bytes do not match the checksum ${answer.ChecksumCRC32C}`);
    }
    return bytes;
  } catch (error) {
    body.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

/** How many bytes an answer has to bring; refuses one that is not what was asked for. */
function announcedBytes(answer: GetObjectCommandOutput, range: ByteRange | undefined, what: string): number {
  const { ContentLength: length, ContentRange: sent } = answer;
  if (length === undefined) throw unfit(what, "it has no length");
  // No object of ours is: some servers begin a 200 and then find that they cannot go on.
  if (answer.ContentType === "application/xml") throw unfit(what, "an error document came in its place");
  if (range === undefined) return length;
  // What HTTP has a server do that knows no ranges: it will not learn them.
  if (sent === undefined)
    throw new ObjectStoreError("denied", `${what}: the store ignores ranges: use one that honours them`);
  const [, start, end, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(sent) ?? [];
  const expectedEnd = Math.min(range.start + range.length, Number(total)) - 1;
  if (Number(start) !== range.start || Number(end) !== expectedEnd || length !== expectedEnd - range.start + 1) {
    const asked = `${range.start} to ${range.start + range.length - 1}`;
    throw unfit(what, `bytes ${asked} were asked for and ${sent} of ${length} bytes came`);
  }
  return length;
}

/** Exactly `length` bytes of a stream. */
async function collected(body: Body, length: number, what: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for await (const chunk of body) {
    if (at + chunk.byteLength > length) throw unfit(what, `more than the announced ${length} bytes came`);
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  if (at < length) throw unfit(what, `${at} of ${length} bytes came`);
  return bytes;
}

function unfit(what: string, reason: string): ObjectStoreError {
  return new ObjectStoreError("unavailable", `${what}: ${reason}`);
}
