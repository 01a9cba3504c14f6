// Cuts the broker's byte stream into frames on the client's side: int32 size, then that many bytes.

/** The bytes of one stream that do not make a frame yet. */
export class FrameJoiner {
  #rest: Uint8Array = new Uint8Array(0);

  /** The frames that `chunk` completes, without their size, each in memory of its own. */
  push(chunk: Uint8Array): Uint8Array[] {
    const bytes = new Uint8Array(this.#rest.length + chunk.length);
    bytes.set(this.#rest);
    bytes.set(chunk, this.#rest.length);
    const view = new DataView(bytes.buffer);
    const frames: Uint8Array[] = [];
    let position = 0;
    while (bytes.length - position >= 4) {
      const end = position + 4 + view.getInt32(position);
      if (end > bytes.length) break;
      frames.push(bytes.subarray(position + 4, end));
      position = end;
    }
    this.#rest = bytes.subarray(position);
    return frames;
  }
}
