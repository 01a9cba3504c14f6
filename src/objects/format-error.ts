// What every decoder of an object throws: the bytes are not what the format says, and where. Nothing is repaired here;
// whoever owns the object decides what follows (a failed shard, a refused start).
import { DecodeError } from "../wire/decode-error.ts";

/** Bytes of an object that break their format. */
export class FormatError extends Error {
  override readonly name = "FormatError";
  /** The part of the object that is broken, for example `wal footer`. */
  readonly place: string;

  /** @param reason which rule was broken, with the values that show it */
  constructor(place: string, reason: string, options?: ErrorOptions) {
    super(`${place}: ${reason}`, options);
    this.place = place;
  }
}

/** Runs `decode` and reports a DecodeError of the cursor as a {@link FormatError} of `place`, which keeps the position. */
export function decodeAt<T>(place: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError) throw new FormatError(place, error.message, { cause: error });
    throw error;
  }
}

/** Runs `decode` on bytes of the object at `key`; a {@link FormatError} of it then names the key. */
export function decodeObject<T>(key: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof FormatError) throw new FormatError(key, error.message, { cause: error });
    throw error;
  }
}
