// Cuts a byte stream into Kafka frames (int32 size, then that many bytes), whatever the chunks. A size is judged before
// anything is kept for it, and memory grows with the bytes that arrived, never with the size that was announced.

/** The smallest frame: API key, version and correlation id. */
const FRAME_BYTES_MIN = 8;
const SIZE_BYTES = 4;
/** Room for a frame is made for this many times the bytes that arrived of it: few copies, and never the announced size. */
const AHEAD_FACTOR = 3;
const AHEAD_BYTES_MIN = 4 * 1024;

/** Frames up to this size share a slab, which lives as long as one of them: small, so that a waiting request pins little. */
const SMALL_FRAME_BYTES_MAX = 4 * 1024;
const SHARED_SLAB_BYTES = 16 * 1024;

const NOTHING = new Uint8Array(0);

/** A frame that cannot be read on from. The connection ends; Kafka has no answer for it. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/** The state of one stream between chunks: at most one incomplete frame. */
export class FrameSplitter {
  readonly #frameBytesMax: number;
  /** Bytes of the size field seen so far, and their value. */
  #sizeBytesSeen = 0;
  #size = 0;
  /** Holds what arrived of the frame whose size is known, in its first `#received` bytes. Never longer than the frame. */
  #frame: Uint8Array = NOTHING;
  #received = 0;
  /** Where small frames go, one after the other; grows with a connection that sends many. */
  #shared = new Uint8Array(0);
  #sharedFilled = 0;

  /** @param frameBytesMax the largest size accepted, without the size field itself */
  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Bytes that arrived of a frame that is not complete, its size field included. */
  get incompleteBytes(): number {
    return this.#sizeBytesSeen + this.#received;
  }

  /**
   * Gives the frames that `chunk` completes, in order, each copied and without the size field. The chunk
   * may be reused once the iteration has ended; it has to be run to its end.
   * @throws FrameError when a size is negative, too small for a header, or above the limit
   */
  *split(chunk: Uint8Array): Generator<Uint8Array, void> {
    let position = 0;
    while (position < chunk.length) {
      position = this.#takeSize(chunk, position);
      if (this.#sizeBytesSeen < SIZE_BYTES) return;
      const wanted = this.#size - this.#received;
      const end = Math.min(chunk.length, position + wanted);
      if (this.#received === 0 && end - position === wanted) {
        // The whole body lies in this chunk: one copy. Not `slice`, which for a Buffer is a view.
        const frame = this.#room(wanted);
        frame.set(chunk.subarray(position, end));
        this.#reset();
        position = end;
        yield frame;
        continue;
      }
      this.#keep(chunk.subarray(position, end));
      position = end;
      if (this.#received < this.#size) continue;
      const frame = this.#frame;
      this.#reset();
      yield frame;
    }
  }

  /** Memory for a frame: of its own, or for a small one a part of a slab, since allocations cost more than copies. */
  #room(bytes: number): Uint8Array {
    if (bytes > SMALL_FRAME_BYTES_MAX) return unfilled(bytes);
    if (this.#shared.length - this.#sharedFilled < bytes) {
      this.#shared = unfilled(Math.min(SHARED_SLAB_BYTES, Math.max(bytes, 2 * this.#shared.length)));
      this.#sharedFilled = 0;
    }
    const frame = this.#shared.subarray(this.#sharedFilled, this.#sharedFilled + bytes);
    this.#sharedFilled += bytes;
    return frame;
  }

  #takeSize(chunk: Uint8Array, start: number): number {
    let position = start;
    while (this.#sizeBytesSeen < SIZE_BYTES && position < chunk.length) {
      this.#size = (this.#size << 8) | (chunk[position] as number);
      this.#sizeBytesSeen++;
      position++;
      if (this.#sizeBytesSeen < SIZE_BYTES) continue;
      if (this.#size < FRAME_BYTES_MIN || this.#size > this.#frameBytesMax) {
        throw new FrameError(`a frame of ${this.#size} bytes is outside ${FRAME_BYTES_MIN} to ${this.#frameBytesMax}`);
      }
    }
    return position;
  }

  #keep(bytes: Uint8Array): void {
    const arrived = this.#received + bytes.length;
    if (arrived > this.#frame.length) {
      const wider = this.#room(Math.min(this.#size, Math.max(AHEAD_BYTES_MIN, AHEAD_FACTOR * arrived)));
      wider.set(this.#frame.subarray(0, this.#received));
      this.#frame = wider;
    }
    this.#frame.set(bytes, this.#received);
    this.#received = arrived;
  }

  #reset(): void {
    this.#sizeBytesSeen = 0;
    this.#size = 0;
    this.#frame = NOTHING;
    this.#received = 0;
  }
}

/** Memory that is written over completely before anybody reads it. */
function unfilled(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer, 0, bytes);
}
