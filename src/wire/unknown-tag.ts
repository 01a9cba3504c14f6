// A tagged field that this program does not know. It is kept as bytes and written back where it was, so that a newer
// peer's field survives us. The limits keep a hostile frame from turning into many small objects.

/** One tagged field that the schema does not name. */
export interface UnknownTag {
  readonly tag: number;
  /** The payload. In a decoded message it is a view into the frame: copy it to keep it. */
  readonly bytes: Uint8Array;
}

/** Most unknown tagged fields a structure may carry; Kafka itself has at most ten known ones. */
export const UNKNOWN_TAGS_MAX = 64;
/** Most bytes the unknown tagged fields of one structure may hold together. */
export const UNKNOWN_TAG_BYTES_MAX = 64 * 1024;
