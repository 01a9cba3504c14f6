// The formats before record batches: message sets of magic 0 and 1. Each message has its own CRC-32; a compressed one
// holds a whole message set as its value. Reading refuses (KafkaError) what is damaged; nothing here looks inside.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";
import type { Offset, TimestampMs } from "../topic-partition.ts";
import { crc32 } from "../wire/crc32c.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { writeInt64 } from "../wire/int64.ts";
import { Reader } from "../wire/reader.ts";
import { BATCH_OVERHEAD_BYTES, batchSizeAt, NO_TIMESTAMP } from "./record-batch.ts";

/** The magic of a message set. */
export type MessageMagic = 0 | 1;

/** Bits of the attributes of a message. */
export const MessageAttribute = { COMPRESSION_MASK: 0x07, LOG_APPEND_TIME: 0x08 } as const;

/** One message. Key and value are views when it was read. */
export interface Message {
  /** Absolute; within a compressed message of magic 1 relative to the first offset of its batch. */
  readonly offset: Offset;
  readonly attributes: number;
  /** -1 in magic 0, which has none. */
  readonly timestampMs: TimestampMs;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/** A message that was read, with the magic it is written in. */
export interface ReadMessage extends Message {
  readonly magic: MessageMagic;
}

const CRC_AT = 12;
const MAGIC_AT = 16;
const ATTRIBUTES_AT = 17;
const TIMESTAMP_AT = 18;
/** Bytes of a message of magic 0 without key and value, after the length field. */
const MESSAGE_BYTES_MIN = 14;
const TIMESTAMP_BYTES = 8;

/**
 * The messages of a set in order, each checked against its CRC. Ends before a last one that is cut off, as Kafka does.
 * Throws KafkaError CORRUPT_MESSAGE on the first that is damaged.
 */
export function* iterateMessages(bytes: Uint8Array): Generator<ReadMessage, void, undefined> {
  const reader = new Reader(bytes);
  for (let start = 0; start < bytes.length; ) {
    const sizeInBytes = batchSizeAt(bytes, start);
    if (sizeInBytes === undefined) return;
    if (sizeInBytes < BATCH_OVERHEAD_BYTES + MESSAGE_BYTES_MIN) {
      throw corrupt(start, `it announces ${sizeInBytes - BATCH_OVERHEAD_BYTES} bytes, less than ${MESSAGE_BYTES_MIN}`);
    }
    yield readMessage(reader.reset(bytes, start, start + sizeInBytes), bytes);
    start += sizeInBytes;
  }
}

/** The message that fills what `reader` has before it, in `bytes`. */
function readMessage(reader: Reader, bytes: Uint8Array): ReadMessage {
  const start = reader.position;
  try {
    const offset = reader.int64();
    reader.skip(4);
    const crc = reader.uint32();
    const computed = crc32(bytes.subarray(start + MAGIC_AT, reader.end));
    if (crc !== computed) throw corrupt(start, `it carries checksum ${crc}, its bytes have ${computed}`);
    const magic = reader.int8();
    if (magic !== 0 && magic !== 1) throw corrupt(start, `it has magic ${magic}`);
    const attributes = reader.int8();
    const timestampMs = magic === 0 ? NO_TIMESTAMP : reader.int64();
    const key = reader.nullableBytes();
    const value = reader.nullableBytes();
    if (reader.remaining > 0) throw corrupt(start, `${reader.remaining} bytes follow its value`);
    return { offset, magic, attributes, timestampMs, key, value };
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw corrupt(start, cause.message, { cause });
  }
}

/** `messages` as a set of that magic, in bytes of its own. */
export function encodeMessages(messages: readonly Message[], magic: MessageMagic): Uint8Array {
  let total = 0;
  for (const message of messages) total += messageBytes(message, magic);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let position = 0;
  for (const message of messages) position = putMessage({ bytes, view, magic }, position, message);
  return bytes;
}

function messageBytes(message: Message, magic: MessageMagic): number {
  const timestampBytes = magic === 0 ? 0 : TIMESTAMP_BYTES;
  const fieldBytes = (message.key?.length ?? 0) + (message.value?.length ?? 0);
  return BATCH_OVERHEAD_BYTES + MESSAGE_BYTES_MIN + timestampBytes + fieldBytes;
}

interface Target {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly magic: MessageMagic;
}

function putMessage(target: Target, start: number, message: Message): number {
  const { bytes, view, magic } = target;
  const end = start + messageBytes(message, magic);
  writeInt64(view, start, message.offset);
  view.setInt32(start + 8, end - start - BATCH_OVERHEAD_BYTES);
  view.setInt8(start + MAGIC_AT, magic);
  view.setInt8(start + ATTRIBUTES_AT, message.attributes);
  if (magic === 1) writeInt64(view, start + TIMESTAMP_AT, message.timestampMs);
  const keyStart = start + TIMESTAMP_AT + (magic === 0 ? 0 : TIMESTAMP_BYTES);
  putNullable(target, putNullable(target, keyStart, message.key), message.value);
  view.setUint32(start + CRC_AT, crc32(bytes.subarray(start + MAGIC_AT, end)));
  return end;
}

function putNullable(target: Target, start: number, field: Uint8Array | null): number {
  target.view.setInt32(start, field === null ? -1 : field.length);
  if (field === null) return start + 4;
  target.bytes.set(field, start + 4);
  return start + 4 + field.length;
}

function corrupt(start: number, reason: string, options?: ErrorOptions): KafkaError {
  return new KafkaError(ErrorCode.CORRUPT_MESSAGE, `the message at byte ${start} of its set: ${reason}`, options);
}
