// What every decoder of bytes throws: the bytes are not what the format says. Whoever owns the connection or the
// object decides what follows (close, refuse); nobody repairs the bytes and reads on.

/** Bytes that break their format. `position` is the index, in the array that was read, where the rule was broken. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  /** Index of the byte at which the format was broken. */
  readonly position: number;

  /** @param message which rule was broken, with the values that show it */
  constructor(message: string, position: number, options?: ErrorOptions) {
    super(`${message} (at byte ${position})`, options);
    this.position = position;
  }
}
